//! Dumps of PostgreSQL that are no good, in each of their formats.

use std::path::{Path, PathBuf};
use std::process::Command;

use dump::{ContentsError, Expected, Folder, verify};
use testkit::{Postgres, tool};

use crate::setting::{MINUTE, fault, postgres, programs, read, shop, taken};

fn dumped(server: &Postgres, to: &Path, arguments: &[&str]) -> PathBuf {
    let mut command = Command::new(tool("pg_dump"));
    command.args(arguments).arg("--file").arg(to);
    command.args(["--dbname", &server.url("postgres", "shop")]);
    let ran = command.output().expect("pg_dump can be started");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    to.to_owned()
}

#[tokio::test]
async fn every_format_is_read_and_a_part_of_it_is_refused() {
    let server = postgres();
    let home = tempfile::tempdir().unwrap();
    for format in ["custom", "tar", "plain"] {
        let path = dumped(&server, &home.path().join(format), &["--format", format]);
        let good = read(&path).await.unwrap();
        assert_eq!(good.tables.len(), 2, "{format}");
        assert_eq!(good.with_data, good.tables, "{format}");
        let whole = std::fs::read(&path).unwrap();
        for part in [99, 60, 20] {
            std::fs::write(&path, &whole[..whole.len() * part / 100]).unwrap();
            let told = fault(&path).await;
            assert!(
                told.starts_with("it is cut off: "),
                "{format} {part} %: {told}"
            );
        }
        std::fs::write(&path, "").unwrap();
        assert_eq!(fault(&path).await, "it is empty");
        std::fs::write(&path, b"no dump, just some text\n".repeat(100)).unwrap();
        assert_eq!(
            fault(&path).await,
            "it is not a dump of PostgreSQL or MariaDB"
        );
    }
    let folder = dumped(
        &server,
        &home.path().join("directory"),
        &["--format=directory"],
    );
    assert_eq!(read(&folder).await.unwrap().tables.len(), 2);
    let largest = std::fs::read_dir(&folder).unwrap().flatten();
    let largest = largest
        .max_by_key(|entry| entry.metadata().unwrap().len())
        .unwrap()
        .path();
    let whole = std::fs::read(&largest).unwrap();
    std::fs::write(&largest, &whole[..whole.len() / 2]).unwrap();
    let told = fault(&folder).await;
    assert!(told.starts_with("it is "), "{told}");
    std::fs::remove_file(&largest).unwrap();
    let told = fault(&folder).await;
    assert!(told.contains("No such file"), "{told}");
}

#[tokio::test]
async fn half_a_dump_and_another_databases_are_refused() {
    let server = postgres();
    let home = tempfile::tempdir().unwrap();
    for format in ["custom", "tar", "directory", "plain"] {
        let path = |name: &str| home.path().join(format!("{name}-{format}"));
        let only = dumped(&server, &path("data"), &["--data-only", "--format", format]);
        assert_eq!(
            fault(&only).await,
            "it has the rows and not the schema, as `--data-only` leaves them",
            "{format}"
        );
        let only = dumped(
            &server,
            &path("schema"),
            &["--schema-only", "--format", format],
        );
        assert_eq!(
            fault(&only).await,
            "it has the schema and no rows, as `--schema-only` leaves it",
            "{format}"
        );
    }
    server.sql("CREATE TABLE t (id int)");
    let other = home.path().join("other");
    let mut command = Command::new(tool("pg_dump"));
    command.args(["--format=custom", "--file"]).arg(&other);
    let ran = command
        .args(["--dbname", &server.url("postgres", "postgres")])
        .status()
        .unwrap();
    assert!(ran.success());
    assert_eq!(
        fault(&other).await,
        "it is a dump of `postgres`, not of `shop`"
    );
}

#[tokio::test]
async fn one_bit_that_changed_is_found_wherever_it_is() {
    let server = postgres();
    let home = tempfile::tempdir().unwrap();
    let backup = taken(&shop(&server), &Folder::new(home.path())).await;
    let whole = std::fs::read(&backup.path).unwrap();
    let expected = Expected {
        sha256: Some(backup.facts.sha256.clone()),
        ..Expected::default()
    };
    let path = home.path().join("flipped");
    let mut by_reading = 0;
    for at in (0..whole.len()).step_by(whole.len() / 24) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        let error = verify(&path, &expected, &programs(), MINUTE)
            .await
            .unwrap_err();
        let fault = error.as_fault();
        assert!(
            fault.is_some() || error.to_string().contains("newer"),
            "{at}: {error}"
        );
        by_reading += usize::from(!matches!(fault, Some(ContentsError::Changed { .. })));
    }
    // The checksum finds what is in no compressed part.
    assert!(by_reading >= 20, "{by_reading}");
}

//! Where the database's password is while a migration runs, and where it is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::{Bed, PASSWORD};
use crate::projects::Kind;

/// Arguments and environments of every process, as often as they can be read. `Ok` where the password is in
/// none but the environment of ours and of what descends from it.
fn look(seen: &mut BTreeMap<u32, u32>, us: u32, password: &str) -> Result<(), String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for id in ids {
        let read = |name: &str| {
            let bytes = std::fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let stat = read("stat");
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        seen.insert(id, parent.unwrap_or(0));
        let arguments = read("cmdline");
        if arguments.contains(password) {
            return Err(format!("an argument: {arguments}"));
        }
        if id != us && read("environ").contains(password) && !descends(seen, id, us) {
            return Err(format!("the environment of {id}: {arguments}"));
        }
    }
    Ok(())
}

fn descends(parents: &BTreeMap<u32, u32>, id: u32, from: u32) -> bool {
    let mut at = id;
    for _ in 0..64 {
        match parents.get(&at) {
            Some(parent) if *parent == from => return true,
            Some(parent) => at = *parent,
            None => return false,
        }
    }
    false
}

/// Every file below a folder that has the password.
fn files_with_it(folder: &Path, password: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            files_with_it(&path, password, found);
        } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(password) {
            found.push(path.display().to_string());
        }
    }
}

fn nowhere(kind: Kind) {
    let bed = Bed::new();
    // Other tests run beside this one: the password is this one's alone.
    let password = format!("canary-{}-{}", kind.name(), std::process::id());
    let url = bed.url().replace(PASSWORD, &password);
    assert_ne!(url, bed.url());
    bed.postgres
        .sql(&format!("ALTER ROLE app PASSWORD '{password}'"));
    kind.set_up(
        &bed,
        json!({"deadline": "60s", "backup": {"required": true}}),
    );
    kind.migration(
        &bed,
        1,
        "CREATE TABLE t (id int); SELECT pg_sleep(1);",
        "DROP TABLE t;",
    );
    kind.migration(
        &bed,
        2,
        "ALTER TABLE nowhere ADD COLUMN x int;",
        "SELECT 1;",
    );
    let out = std::fs::File::create(bed.path().join("stdout")).unwrap();
    let log = std::fs::File::create(bed.path().join("stderr")).unwrap();
    let mut run = Command::new(testkit::bin_path("migrate"))
        .current_dir(bed.path())
        .env("DATABASE_URL", &url)
        .env("GITHUB_STEP_SUMMARY", bed.path().join("summary.md"))
        .env("GITHUB_OUTPUT", bed.path().join("output"))
        .args([
            "run",
            "--release",
            "v1",
            "-vv",
            "--report",
            "report.json",
            "--html",
            "report.html",
        ])
        .stdout(Stdio::from(out))
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap();
    let (mut parents, mut looks, since) = (BTreeMap::new(), 0, Instant::now());
    let status = loop {
        if let Some(status) = run.try_wait().unwrap() {
            break status;
        }
        look(&mut parents, run.id(), &password).unwrap_or_else(|found| panic!("{kind:?}: {found}"));
        looks += 1;
        assert!(since.elapsed() < Duration::from_secs(120), "{kind:?}");
    };
    let read = |name: &str| std::fs::read_to_string(bed.path().join(name)).unwrap();
    let said = read("stdout") + &read("stderr");
    assert_eq!(status.code(), Some(1), "{kind:?}: {said}");
    assert!(said.contains("nowhere"), "{kind:?}: {said}");
    assert!(looks > 10, "{kind:?}: {looks}");
    for name in ["report.json", "report.html", "summary.md", "stderr"] {
        assert!(
            bed.path().join(name).metadata().unwrap().len() > 0,
            "{name}"
        );
    }
    for words in [["status", "-vv"], ["decide", "-vv"]] {
        let ran = bed.run(&words).env("DATABASE_URL", &url).output().unwrap();
        for text in [ran.stdout, ran.stderr] {
            assert!(
                !String::from_utf8_lossy(&text).contains(&password),
                "{kind:?}"
            );
        }
    }
    let mut found = Vec::new();
    files_with_it(bed.path(), &password, &mut found);
    assert!(found.is_empty(), "{kind:?}: {found:?}");
}

#[test]
fn the_password_for_alembic_is_nowhere_else() {
    nowhere(Kind::Alembic);
}

#[test]
fn the_password_for_dbmate_is_nowhere_else() {
    nowhere(Kind::Dbmate);
}

#[test]
fn the_password_for_knex_is_nowhere_else() {
    nowhere(Kind::Knex);
}

#[test]
fn the_password_for_sqitch_is_nowhere_else() {
    nowhere(Kind::Sqitch);
}

//! PostgreSQL: a backup is taken, kept and restored.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use database::QueryRows as _;
use dump::{Error, Folder, Format, Scratch, Source, schema};
use testkit::Postgres;

use crate::setting::{HBA, MINUTE, at, postgres, programs, read, shop, taken, try_take};

#[tokio::test]
async fn a_backup_is_taken_kept_and_found() {
    let server = postgres();
    let folder = tempfile::tempdir().unwrap();
    let folder = Folder::new(folder.path().join("backups"));
    assert_eq!(folder.list().unwrap(), []);
    let first = taken(&shop(&server), &folder).await;
    let second = taken(&shop(&server), &folder).await;
    let facts = &second.facts;
    assert_eq!(
        (facts.database.as_str(), facts.format),
        ("shop", Format::Custom)
    );
    assert_eq!((facts.tables, facts.schema.as_deref()), (2, Some("3")));
    assert_eq!(facts.rows["public.orders"], 20_000);
    assert_eq!(facts.rows["public.empty"], 0);
    assert!(facts.server.starts_with("15."), "{facts:?}");
    assert!(facts.tool.starts_with("pg_dump (PostgreSQL)"), "{facts:?}");
    let contents = read(&second.path).await.unwrap();
    assert_eq!(
        (contents.size, &contents.sha256),
        (facts.size, &facts.sha256)
    );
    let modes = [(second.path.as_path(), 0o600), (folder.path(), 0o700)];
    for (path, mode) in modes {
        let has = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(has & 0o777, mode, "{}", path.display());
    }
    assert_eq!(folder.list().unwrap(), [second.clone(), first.clone()]);
    assert_eq!(folder.newest("shop").unwrap(), Some(second.clone()));
    assert_eq!(folder.newest("other").unwrap(), None);
    assert_eq!(folder.find(&first.facts.id).unwrap(), first);
    let none = folder.find("nothing").unwrap_err();
    assert!(matches!(none, Error::NoBackup(_)), "{none}");
}

#[tokio::test]
async fn the_newest_stays_and_so_does_what_the_state_names() {
    let server = postgres();
    let folder = tempfile::tempdir().unwrap();
    let folder = Folder::new(folder.path());
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(taken(&shop(&server), &folder).await.facts.id);
    }
    let in_order: Vec<String> = folder
        .list()
        .unwrap()
        .into_iter()
        .map(|backup| backup.facts.id)
        .collect();
    let named = BTreeSet::from([in_order[3].clone()]);
    let removed = folder.rotate("shop", 0, &named).unwrap();
    let removed: Vec<String> = removed.into_iter().map(|backup| backup.facts.id).collect();
    assert_eq!(removed, in_order[1..3]);
    let left: Vec<String> = folder
        .list()
        .unwrap()
        .into_iter()
        .map(|backup| backup.facts.id)
        .collect();
    assert_eq!(left, [in_order[0].clone(), in_order[3].clone()]);
    assert_eq!(folder.rotate("other", 0, &BTreeSet::new()).unwrap(), []);
}

#[tokio::test]
async fn nothing_is_kept_of_a_backup_that_failed_or_was_killed() {
    let server = postgres();
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::new(home.path());
    // No user may read it.
    server.sql_in(
        "shop",
        "CREATE TABLE hidden (id int); REVOKE ALL ON hidden FROM app",
    );
    let denied = try_take(&shop(&server), &folder).await.unwrap_err();
    assert!(
        denied
            .to_string()
            .contains("permission denied for table hidden"),
        "{denied}"
    );
    assert!(denied.hint().unwrap().contains("pg_read_all_data"));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    server.sql_in("shop", "DROP TABLE hidden");
    // A table that another has locked is not waited for.
    let holder = at(&server.url("postgres", "shop"))
        .postgres()
        .await
        .unwrap();
    holder.rows("BEGIN; LOCK TABLE orders").await.unwrap();
    let late = try_take(&shop(&server), &folder).await.unwrap_err();
    assert!(
        late.hint()
            .unwrap()
            .contains("another session has locked the table"),
        "{late}"
    );
    holder.rows("ROLLBACK").await.unwrap();
    // What a killed run leaves has no lock.
    let left = home.path().join(".partial-0123456789abcdef");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("shop.dump"), "half").unwrap();
    // What a living one writes has.
    let living = home.path().join(".partial-fedcba9876543210");
    std::fs::create_dir(&living).unwrap();
    let lock = std::fs::File::open(&living).unwrap();
    lock.try_lock().unwrap();
    taken(&shop(&server), &folder).await;
    assert!(!left.exists());
    assert!(living.exists());
    assert_eq!(folder.list().unwrap().len(), 1);
}

#[tokio::test]
async fn an_empty_database_has_a_backup_too() {
    let server = Postgres::listening(HBA, None);
    let home = tempfile::tempdir().unwrap();
    let backup = taken(
        &at(&server.url("postgres", "postgres")),
        &Folder::new(home.path()),
    )
    .await;
    assert_eq!(backup.facts.tables, 0);
}

#[tokio::test]
async fn the_password_is_in_no_argument_and_no_environment() {
    let server = postgres();
    let holder = at(&server.url("postgres", "shop"))
        .postgres()
        .await
        .unwrap();
    holder.rows("BEGIN; LOCK TABLE orders").await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::new(home.path());
    let database = shop(&server);
    let taking = try_take(&database, &folder);
    let looking = async {
        // It waits for the table meanwhile.
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let seen = children_of_ours();
            if let Some(dump) = seen.iter().find(|seen| seen.contains("PGPASSFILE")) {
                assert!(dump.contains("pg_dump"), "{dump}");
                return seen.join("\n");
            }
        }
    };
    let (late, seen) = tokio::join!(taking, looking);
    assert!(late.is_err());
    assert!(
        !seen.contains("hun:ter") && !seen.contains("hun%3A"),
        "{seen}"
    );
    assert!(!seen.contains("PGPASSWORD"), "{seen}");
    // The file has no name.
    assert!(seen.contains("PGPASSFILE=/proc/"), "{seen}");
}

/// The arguments and the environment of each process that this one has started.
fn children_of_ours() -> Vec<String> {
    let ours = std::process::id().to_string();
    let mut seen = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = entry.path();
        let text = |name: &str| std::fs::read(path.join(name)).unwrap_or_default();
        let stat = String::from_utf8_lossy(&text("stat")).into_owned();
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1).map(str::to_owned));
        if parent.as_deref() == Some(&ours) {
            let all = [text("cmdline"), text("environ")].concat();
            seen.push(String::from_utf8_lossy(&all).replace('\0', " "));
        }
    }
    seen
}

#[tokio::test]
async fn a_scratch_database_is_a_copy_and_goes_away() {
    let server = postgres();
    let home = tempfile::tempdir().unwrap();
    let database = shop(&server);
    let backup = taken(&database, &Folder::new(home.path())).await;
    let contents = read(&backup.path).await.unwrap();
    let from_backup = Source::Backup {
        path: &backup.path,
        contents: &contents,
        owners: false,
    };
    let mut schemas = vec![schema(&database, &[], &programs(), MINUTE).await.unwrap()];
    for source in [from_backup, Source::Template] {
        let scratch = Scratch::create(&database, source, MINUTE, &programs(), MINUTE)
            .await
            .unwrap();
        assert!(
            scratch.name().starts_with("dg_scratch_shop_"),
            "{}",
            scratch.name()
        );
        let mut connection = scratch.database().connect().await.unwrap();
        let rows = connection
            .rows("SELECT count(*), sum(total) FROM orders")
            .await
            .unwrap();
        assert_eq!(
            rows.rows[0],
            [Some("20000".to_owned()), Some("300015000.0".to_owned())]
        );
        schemas.push(
            schema(scratch.database(), &[], &programs(), MINUTE)
                .await
                .unwrap(),
        );
        // Who is still connected is ended.
        scratch.remove().await.unwrap();
    }
    assert_eq!(schemas[0].difference(&schemas[1]), None);
    assert_eq!(schemas[0].difference(&schemas[2]), None);
    assert_eq!(scratches(&server), "");
}

fn scratches(server: &Postgres) -> String {
    server.sql_in(
        "postgres",
        "SELECT datname FROM pg_database WHERE datname LIKE 'dg%'",
    )
}

#[tokio::test]
async fn a_template_that_is_in_use_is_told_and_a_scratch_of_a_killed_run_is_dropped_when_its_time_is_over()
 {
    let server = postgres();
    let database = shop(&server);
    let installed = programs();
    let create = || Scratch::create(&database, Source::Template, MINUTE, &installed, MINUTE);
    let user = database.connect().await.unwrap();
    let in_use = create().await.map(drop).unwrap_err();
    assert!(
        in_use.to_string().contains("restore a backup instead"),
        "{in_use}"
    );
    drop(user);
    server.sql("CREATE DATABASE dg_scratch_shop_20200101t000000z_abcdef OWNER app");
    server.sql("CREATE DATABASE dg_scratch_shop_29990101t000000z_abcdef OWNER app");
    server.sql("CREATE DATABASE dg_scratch_mine OWNER app");
    let scratch = create().await.unwrap();
    let name = scratch.name().to_owned();
    drop(scratch);
    let since = std::time::Instant::now();
    while scratches(&server).contains(&name) {
        assert!(since.elapsed() < MINUTE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        scratches(&server),
        "dg_scratch_shop_29990101t000000z_abcdef\ndg_scratch_mine\n"
    );
}

#[tokio::test]
async fn a_schema_that_differs_is_told_line_by_line() {
    let server = postgres();
    let database = shop(&server);
    let look = || async {
        schema(&database, &["public.kept".to_owned()], &programs(), MINUTE)
            .await
            .unwrap()
    };
    let before = look().await;
    server.sql_in(
        "shop",
        "CREATE TABLE kept (id serial); INSERT INTO orders VALUES (0, '')",
    );
    assert_eq!(before.difference(&look().await), None);
    server.sql_in("shop", "ALTER TABLE orders ALTER email SET NOT NULL");
    let told = before.difference(&look().await).unwrap();
    assert!(
        told.contains("\n-    email text,\n+    email text NOT NULL,\n"),
        "{told}"
    );
}

#[tokio::test]
async fn a_backup_is_taken_and_copied_through_a_socket() {
    let server = postgres();
    let folder = server.sql_in("postgres", "SHOW unix_socket_directories");
    let port = server.port();
    let url = format!(
        "postgresql:///shop?host={}&port={port}&user=postgres",
        folder.trim()
    );
    let database = at(&url);
    let home = tempfile::tempdir().unwrap();
    let backup = taken(&database, &Folder::new(home.path())).await;
    let contents = read(&backup.path).await.unwrap();
    let source = Source::Backup {
        path: &backup.path,
        contents: &contents,
        owners: true,
    };
    let scratch = Scratch::create(&database, source, MINUTE, &programs(), MINUTE)
        .await
        .unwrap();
    let mut connection = scratch.database().connect().await.unwrap();
    let rows = connection
        .rows("SELECT count(*) FROM orders")
        .await
        .unwrap();
    assert_eq!(rows.first_cell(), Some("20000"));
    scratch.remove().await.unwrap();
}

//! A backup before anything is changed, and the way back to one.

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::json;

use crate::bed::{Bed, PASSWORD};

/// A database with a migration applied and three rows.
fn served(further: serde_json::Value) -> Bed {
    let bed = Bed::new();
    bed.postgres.sql("ALTER ROLE app CREATEDB");
    bed.configure(json!({ "backup": { "required": true } }));
    bed.configure(further);
    bed.migration(
        "20240101_orders.sql",
        "CREATE TABLE orders (id int, note text);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.ask("INSERT INTO orders SELECT i, 'note ' || i FROM generate_series(1, 3) i");
    bed
}

fn backups(bed: &Bed) -> Vec<String> {
    let folder = bed.path().join(".deploy-guard/backups");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_backup_is_taken_beside_the_state_and_the_oldest_are_removed() {
    let bed = served(json!({ "backup": { "keep": 2 } }));
    for _ in 0..3 {
        bed.run(&["backup"])
            .assert()
            .code(0)
            .stdout(contains("tables").and(contains("read to its end")))
            .stdout(contains(PASSWORD).not());
    }
    assert_eq!(backups(&bed).len(), 2);
    let noted = &bed.state()["backup"];
    assert_eq!(
        noted["id"].as_str(),
        backups(&bed).last().map(String::as_str)
    );
    assert_eq!(noted["schema"], "20240101");
    bed.run(&["backup", "--dry-run"])
        .assert()
        .code(3)
        .stdout(contains("would take a backup"));
    assert_eq!(backups(&bed).len(), 2);
}

#[test]
fn run_takes_a_backup_first_and_is_refused_where_it_cannot() {
    let bed = served(json!({ "backup": { "required": true } }));
    bed.migration(
        "20240102_coupon.sql",
        "ALTER TABLE orders ADD COLUMN coupon text;",
        "ALTER TABLE orders DROP COLUMN coupon;",
    );
    bed.postgres.sql_in("shop", "CREATE TABLE hidden (id int)");
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(5)
        .stdout(contains("refused/backup").and(contains("permission denied for table hidden")));
    assert_eq!(
        bed.ask("SELECT max(version) FROM schema_migrations"),
        "20240101"
    );
    bed.postgres.sql_in("shop", "DROP TABLE hidden");
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(0)
        .stdout(contains("backup/taken").and(contains("read to its end")));
    assert_eq!(backups(&bed).len(), 1);
}

#[test]
fn a_young_backup_of_the_same_schema_is_enough_and_a_spoilt_one_is_not() {
    let bed = served(json!({ "backup": { "required": true, "max-age": "1h" } }));
    bed.run(&["backup"]).assert().code(0);
    let folder = bed
        .path()
        .join(".deploy-guard/backups")
        .join(&backups(&bed)[0]);
    let dump = folder.join("shop.dump");
    let whole = std::fs::read(&dump).unwrap();
    bed.migration(
        "20240102_more.sql",
        "CREATE TABLE more (id int);",
        "DROP TABLE more;",
    );
    std::fs::write(&dump, &whole[..whole.len() / 5]).unwrap();
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(5)
        .stdout(contains("refused/backup").and(contains("it is cut off")));
    std::fs::write(&dump, &whole).unwrap();
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(0)
        .stdout(contains("backup/proved"));
    assert_eq!(backups(&bed).len(), 1);
}

#[test]
fn a_command_of_the_users_makes_a_backup_that_is_read_the_same_way() {
    let bed = served(json!({ "backup": {
        "command": "pg_dump --format=custom --file=own.dump \"$DATABASE_URL\" && echo done >&2 && echo own.dump"
    } }));
    bed.run(&["backup"])
        .assert()
        .code(0)
        .stdout(contains("own.dump"));
    bed.configure(json!({ "backup": {
        "command": "pg_dump --format=custom --schema-only --file=own.dump \"$DATABASE_URL\"; echo own.dump"
    } }));
    bed.run(&["backup"]).assert().code(1).stdout(contains(
        "it has the schema and no rows, as `--schema-only` leaves it",
    ));
    bed.configure(json!({ "backup": { "command": "echo none; exit 3" } }));
    bed.run(&["backup"])
        .assert()
        .code(1)
        .stdout(contains("`backup.command` failed: exit status 3"));
}

#[test]
fn a_restore_takes_the_name_typed_and_a_backup_that_is_whole() {
    let bed = served(json!({ "stop": "date >stopped", "start": "date >started" }));
    bed.run(&["backup"]).assert().code(0);
    let id = backups(&bed)[0].clone();
    bed.migration("20240102_gone.sql", "DROP TABLE orders;", "SELECT 1;");
    bed.run(&["run", "--release", "v2"]).assert().code(0);
    bed.run(&["restore", "--backup", &id])
        .assert()
        .code(5)
        .stdout(contains("refused/unconfirmed").and(contains("--confirm v2")));
    bed.run(&["restore", "--backup", "nothing", "--confirm", "v2"])
        .assert()
        .code(5)
        .stdout(contains("refused/no-backup").and(contains(&id)));
    let dump = bed
        .path()
        .join(".deploy-guard/backups")
        .join(&id)
        .join("shop.dump");
    let whole = std::fs::read(&dump).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(&dump, &flipped).unwrap();
    bed.run(&["restore", "--backup", &id, "--confirm", "v2"])
        .assert()
        .code(5)
        .stdout(contains("refused/unverified"));
    std::fs::write(&dump, &whole).unwrap();
    bed.run(&["restore", "--backup", &id, "--confirm", "v2", "--dry-run"])
        .assert()
        .code(3)
        .stdout(contains("swap the names"));
    assert!(!bed.path().join("stopped").exists());
    bed.run(&["restore", "--backup", "latest", "--confirm", "v2"])
        .assert()
        .code(0)
        .stdout(contains("kept as `shop_before_"))
        .stdout(contains(PASSWORD).not());
    assert_eq!(bed.ask("SELECT count(*) FROM orders"), "3");
    assert_eq!(
        bed.ask("SELECT max(version) FROM schema_migrations"),
        "20240101"
    );
    assert_eq!(
        bed.ask("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'"),
        "app"
    );
    assert_eq!(
        bed.ask("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop_before_%'"),
        "1"
    );
    assert!(bed.path().join("stopped").exists() && bed.path().join("started").exists());
    assert_eq!(bed.state()["database"]["revision"], "20240101");
    assert!(bed.state()["lock"].is_null());
}

#[test]
fn a_service_that_does_not_stop_is_not_restored_over() {
    let bed = served(json!({ "stop": "echo it hangs >&2; exit 1" }));
    bed.run(&["backup"]).assert().code(0);
    bed.run(&["restore", "--backup", "latest", "--confirm", "v1"])
        .assert()
        .code(1)
        .stdout(contains("restore/stopped").and(contains("it hangs")));
    assert_eq!(
        bed.ask(
            "SELECT count(*) FROM pg_database WHERE datname LIKE 'shop_%' OR datname LIKE 'dg_%'"
        ),
        "0"
    );
}

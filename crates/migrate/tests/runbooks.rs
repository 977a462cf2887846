//! What the runbooks ask a person to do by hand, by the name of the page.

use std::process::Command;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::json;

use crate::bed::Bed;

const INSIST: [&str; 4] = ["--force", "unrehearsed", "--reason", "the runbook"];

/// `orders` is there, and the next migration stopped half-way, outside of a transaction.
fn stopped_half_way() -> Bed {
    let bed = Bed::new();
    bed.migration(
        "0001_orders.sql",
        "CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.file(
        "0002_half.sql",
        "-- migrate:up transaction:false\nALTER TABLE orders ADD COLUMN note text;\nALTER TABLE nowhere ADD COLUMN x int;\n-- migrate:down\nALTER TABLE orders DROP COLUMN IF EXISTS note;\n",
    );
    bed
}

#[test]
fn runbook_000_failure_c_which_revision_and_why_it_failed() {
    let bed = stopped_half_way();
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(1)
        .stdout(contains("relation \"nowhere\" does not exist"));
    bed.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("shop is at 0001; pending: 1").and(contains("0002")));
    // It ran outside of a transaction: its first statement stays.
    bed.run(&["decide"])
        .assert()
        .code(1)
        .stdout(contains("a part of 0002 may be applied"));
}

#[test]
fn runbook_000_option_4_a_migration_that_stopped_half_way_is_recovered() {
    let bed = Bed::new();
    bed.migration(
        "0001_orders.sql",
        "CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    bed.migration(
        "0002_note.sql",
        "ALTER TABLE orders ADD COLUMN note text;",
        "ALTER TABLE orders DROP COLUMN note;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    let mut undo = vec!["undo"];
    undo.extend(INSIST);
    bed.run(&undo)
        .assert()
        .code(0)
        .stdout(contains("the schema is at 0001"));
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders'";
    assert_eq!(bed.ask(columns), "1");
}

#[test]
fn runbook_000_impact_migrations_in_an_inconsistent_state_are_told() {
    let bed = Bed::new();
    bed.migration(
        "0001_orders.sql",
        "CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    bed.migration(
        "0002_note.sql",
        "ALTER TABLE orders ADD COLUMN note text;",
        "SELECT 1;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    std::fs::remove_file(bed.path().join("db/migrations/0002_note.sql")).unwrap();
    bed.run(&["status"]).assert().code(1).stdout(
        contains("0002").and(contains("no file has it").or(contains("ahead of this release"))),
    );
    bed.run(&["run", "--release", "v0"]).assert().code(5);
}

#[test]
fn runbook_001_staging_migration_option_1_retry_is_safe() {
    let bed = Bed::new();
    bed.migration(
        "0001_orders.sql",
        "ALTER TABLE later ADD COLUMN x int; CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(1);
    bed.run(&["decide"])
        .assert()
        .code(1)
        .stdout(contains("FIX FORWARD").and(contains("nothing is half applied")));
    bed.postgres.sql_in(
        "shop",
        "CREATE TABLE later (id int); ALTER TABLE later OWNER TO app",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.run(&["status"]).assert().code(0);
}

#[test]
fn runbook_001_staging_migration_option_2_goes_down_and_option_3_is_fixed_by_hand() {
    let bed = Bed::new();
    bed.migration(
        "0001_orders.sql",
        "CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    let mut undo = vec!["undo"];
    undo.extend(INSIST);
    bed.run(&undo).assert().code(0);
    bed.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("pending"));
    // The file is fixed, and applied again.
    bed.migration(
        "0001_orders.sql",
        "CREATE TABLE orders (id bigint);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
}

#[test]
fn runbook_001_production_migration_fix_of_the_record_by_hand_is_seen() {
    let bed = stopped_half_way();
    bed.run(&["run", "--release", "v2"]).assert().code(1);
    // A person finishes it and writes the record.
    let by_hand = "INSERT INTO schema_migrations (version) VALUES ('0002')";
    bed.postgres.sql_in("shop", by_hand);
    bed.run(&["status"])
        .assert()
        .code(0)
        .stdout(contains("0002, the head"));
    bed.run(&["run", "--release", "v2"]).assert().code(0);
    assert_eq!(bed.state()["database"]["revision"], "0002");
}

#[test]
fn runbook_002_scenario_3_roll_back_fix_the_file_and_apply_again() {
    let bed = stopped_half_way();
    bed.run(&["run", "--release", "v2"]).assert().code(1);
    bed.migration(
        "0002_half.sql",
        "ALTER TABLE orders ADD COLUMN IF NOT EXISTS note text;",
        "ALTER TABLE orders DROP COLUMN note;",
    );
    bed.run(&["run", "--release", "v2"]).assert().code(0);
    bed.run(&["status"]).assert().code(0);
}

#[test]
fn runbook_003_safe_migration_dry_run_during_and_after() {
    let bed = Bed::new();
    bed.configure(json!({"backup": {"required": true}}));
    bed.migration(
        "0001_orders.sql",
        "CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.migration(
        "0002_note.sql",
        "ALTER TABLE orders ADD COLUMN note text;",
        "ALTER TABLE orders DROP COLUMN note;",
    );
    // Before: review the SQL, dry run.
    bed.run(&["plan"])
        .assert()
        .code(0)
        .stdout(contains("ALTER TABLE orders").and(contains("ACCESS EXCLUSIVE")));
    bed.run(&["run", "--release", "v2", "--dry-run"])
        .assert()
        .code(3);
    // During: with a backup first. After: verified.
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(0)
        .stdout(contains("backup").and(contains("applied, as the tables show")));
    bed.run(&["status"]).assert().code(0);
}

#[test]
fn runbook_004_mode_4_the_pending_migration_is_applied() {
    let bed = Bed::new();
    bed.migration(
        "0001_orders.sql",
        "CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    bed.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("pending"));
    bed.run(&["run", "--release", "v1"]).assert().code(0);
}

#[test]
fn runbook_004_emergency_an_irreversible_migration_is_completed_or_the_backup_restored() {
    let bed = Bed::new();
    bed.file(
        "0001_orders.sql",
        "-- migrate:up\nCREATE TABLE orders (id int);\n-- migrate:down\n",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    let mut undo = vec!["undo"];
    undo.extend(INSIST);
    bed.run(&undo)
        .assert()
        .code(5)
        .stdout(contains("no way back"));
    // The forward migration can be completed.
    bed.migration(
        "0002_note.sql",
        "ALTER TABLE orders ADD COLUMN note text;",
        "SELECT 1;",
    );
    bed.run(&["decide"])
        .assert()
        .code(1)
        .stdout(contains("FIX FORWARD").and(contains("migrate run")));
    let ran = Command::new(testkit::bin_path("migrate"))
        .current_dir(bed.path())
        .env("DATABASE_URL", bed.url())
        .args(["run", "--release", "v1"])
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(0));
}

/// A database with an order, whose last migration took a backup and cannot be undone.
fn with_a_backup() -> Bed {
    let bed = Bed::new();
    bed.postgres.sql("ALTER ROLE app CREATEDB");
    bed.migration(
        "0001_orders.sql",
        "CREATE TABLE orders (id int); INSERT INTO orders VALUES (1);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.configure(json!({"backup": {"required": true}}));
    bed.file(
        "0002_gone.sql",
        "-- migrate:up\nDELETE FROM orders;\n-- migrate:down\n",
    );
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(0)
        .stdout(contains("backup/taken").and(contains("read to its end")));
    bed
}

fn is_restored(bed: &Bed) {
    bed.run(&["restore", "--backup", "latest", "--confirm", "v2"])
        .assert()
        .code(0)
        .stdout(contains("kept as `shop_before_"));
    assert_eq!(bed.ask("SELECT count(*) FROM orders"), "1");
    bed.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("shop is at 0001; pending: 1"));
}

#[test]
fn runbook_000_option_4_the_backup_is_restored_where_there_is_no_way_down() {
    let bed = with_a_backup();
    let mut undo = vec!["undo"];
    undo.extend(INSIST);
    bed.run(&undo)
        .assert()
        .code(5)
        .stdout(contains("no way back"));
    is_restored(&bed);
}

#[test]
fn runbook_001_production_migration_backup_first_then_retry_or_roll_back() {
    let bed = Bed::new();
    bed.configure(json!({"backup": {"required": true}}));
    bed.migration(
        "0001_orders.sql",
        "CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.migration(
        "0002_items.sql",
        "ALTER TABLE later ADD COLUMN x int; CREATE TABLE items (id int);",
        "DROP TABLE items;",
    );
    // The backup is there before the migration fails.
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(1)
        .stdout(contains("backup/taken").and(contains("relation \"later\" does not exist")));
    bed.postgres.sql_in(
        "shop",
        "CREATE TABLE later (id int); ALTER TABLE later OWNER TO app",
    );
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(0)
        .stdout(contains("migrated to 0002"));
    let mut undo = vec!["undo"];
    undo.extend(INSIST);
    bed.run(&undo).assert().code(0);
    assert_eq!(bed.ask("SELECT to_regclass('items') IS NULL"), "t");
}

#[test]
fn runbook_001_production_migration_the_backup_is_put_back() {
    is_restored(&with_a_backup());
}

#[test]
fn runbook_003_troubleshooting_3_a_corrupted_database_is_restored_from_its_backup() {
    let bed = with_a_backup();
    bed.ask("DROP TABLE orders");
    is_restored(&bed);
}

#[test]
fn runbook_004_emergency_the_backup_of_before_an_irreversible_migration_is_restored() {
    let bed = with_a_backup();
    bed.run(&["restore", "--backup", "latest"])
        .assert()
        .code(5)
        .stdout(contains("refused/unconfirmed").and(contains("--confirm v2")));
    is_restored(&bed);
}

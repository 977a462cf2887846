//! What is applied, pending and wrong.

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;

use crate::bed::{Bed, PASSWORD};

#[test]
fn each_revision_is_named_and_nothing_is_changed() {
    let bed = Bed::new();
    bed.migration(
        "20240101_orders.sql",
        "CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    bed.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("20240101").and(contains("pending")));
    assert_eq!(
        bed.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
        "0"
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.run(&["status"])
        .assert()
        .code(0)
        .stdout(contains("20240101, the head"));
}

#[test]
fn a_database_that_cannot_be_asked_is_an_error_and_the_password_is_not_told() {
    let bed = Bed::new();
    let away = format!(
        "postgresql://app:{PASSWORD}@127.0.0.1:{}/shop",
        testkit::free_port()
    );
    let reached = bed
        .run(&["status"])
        .env("DATABASE_URL", away)
        .assert()
        .code(4)
        .stdout(contains("is not reached").and(contains(PASSWORD).not()));
    let log = String::from_utf8_lossy(&reached.get_output().stderr).into_owned();
    assert!(!log.contains(PASSWORD), "{log}");
    let wrong = bed.url().replace(PASSWORD, "hunter3-canary");
    bed.run(&["status"])
        .env("DATABASE_URL", wrong)
        .assert()
        .code(4)
        .stdout(contains("refuses the login").and(contains("hunter3").not()));
    bed.run(&["status"])
        .env("DATABASE_URL", bed.url().replace("/shop", "/nowhere"))
        .assert()
        .code(4)
        .stdout(contains("there is no database `nowhere`"));
}

#[test]
fn what_is_not_configured_or_not_set_is_a_usage_error() {
    let bed = Bed::new();
    bed.run(&["status"])
        .env_remove("DATABASE_URL")
        .assert()
        .code(2)
        .stderr(contains("DATABASE_URL is not set"));
    bed.run(&["status"])
        .env("DATABASE_URL", "sqlite:///hunter2")
        .assert()
        .code(2)
        .stderr(contains("is not the URL of a database").and(contains("hunter2").not()));
    std::fs::write(bed.path().join("deploy-guard.yml"), "version: 1\n").unwrap();
    bed.run(&["status"])
        .assert()
        .code(2)
        .stderr(contains("no migration tool is configured"));
}

#[test]
fn an_index_that_failed_is_told_and_repaired() {
    let bed = Bed::new();
    bed.migration(
        "1_t.sql",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1);",
        "DROP TABLE t;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    let built = std::process::Command::new(testkit::tool("psql"))
        .args([
            bed.url().as_str(),
            "-c",
            "CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id)",
        ])
        .output()
        .unwrap();
    assert!(!built.status.success());
    bed.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("public.t_id is invalid"));
    bed.run(&["decide"])
        .assert()
        .code(1)
        .stdout(contains("FIX FORWARD").and(contains("migrate repair")));
    bed.run(&["repair"]).assert().code(0);
    bed.run(&["status"]).assert().code(0);
    bed.run(&["repair"])
        .assert()
        .code(0)
        .stdout(contains("nothing to repair"));
}

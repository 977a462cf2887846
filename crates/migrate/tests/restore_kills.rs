//! A restore that is killed while the service is down: what became of it is told, and `resume` leads out.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::json;

use crate::bed::Bed;

const WITHIN: Duration = Duration::from_secs(30);
/// Names of the database, whatever else there is.
const NAMES: &str = "SELECT string_agg(regexp_replace(datname, '[0-9].*', ''), ',' ORDER BY datname) FROM pg_database \
    WHERE datname LIKE 'shop%' OR datname LIKE 'dg_%'";

/// A served database whose backup has three orders, and which has none of them any more.
fn bed(stop: &str, start: &str) -> Bed {
    let bed = Bed::new();
    bed.postgres.sql("ALTER ROLE app CREATEDB");
    bed.configure(json!({ "stop": stop, "start": start }));
    bed.migration(
        "1_orders.sql",
        "CREATE TABLE orders (id int); INSERT INTO orders VALUES (1), (2), (3);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.run(&["backup"]).assert().code(0);
    bed.ask("DELETE FROM orders");
    bed
}

fn restoring(bed: &Bed) -> Child {
    let mut command = Command::new(testkit::bin_path("migrate"));
    command
        .current_dir(bed.path())
        .env("DATABASE_URL", bed.url())
        .args(["restore", "--backup", "latest", "--confirm", "v1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    testkit::clear_environment(&mut command).spawn().unwrap()
}

/// Kills it at the moment at which this is so.
fn kill_when(mut child: Child, is_there: impl Fn() -> bool) {
    assert!(testkit::wait_until(WITHIN, is_there));
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// A hook that leaves a file, and rests the first time.
fn resting(name: &str) -> String {
    format!("[ -e {name} ] || {{ touch {name}; sleep 3; }}; date >>{name}")
}

fn is_restored(bed: &Bed) {
    assert_eq!(bed.ask("SELECT count(*) FROM orders"), "3");
    assert_eq!(bed.ask(NAMES), "shop,shop_before_");
    assert_eq!(bed.state()["database"]["revision"], "1");
    assert!(bed.state()["lock"].is_null());
    bed.run(&["status"]).assert().code(0);
    bed.run(&["resume"])
        .assert()
        .code(0)
        .stdout(contains("nothing to resume"));
}

#[test]
fn killed_while_the_service_is_stopped_it_is_before_the_swap_and_resume_restores() {
    let bed = bed(&resting("stopped"), "date >>started");
    kill_when(restoring(&bed), || bed.path().join("stopped").exists());
    let told = || {
        contains("interrupted before the swap")
            .and(contains("`shop` is the database of before"))
            .and(contains("the service may be stopped"))
    };
    bed.run(&["status"]).assert().code(1).stdout(told());
    bed.run(&["decide"]).assert().code(1).stdout(
        contains("RESTORE")
            .and(contains("migrate resume"))
            .and(told()),
    );
    for other in [&["run", "--release", "v1"][..], &["undo"]] {
        bed.run(other)
            .assert()
            .code(5)
            .stdout(contains("refused/unfinished"));
    }
    bed.run(&["resume"])
        .assert()
        .code(0)
        .stdout(contains("restore/swapped"));
    assert!(bed.path().join("started").exists());
    is_restored(&bed);
}

#[test]
fn killed_before_the_swap_the_restore_may_be_made_again_instead() {
    let bed = bed(&resting("stopped"), "date >>started");
    kill_when(restoring(&bed), || bed.path().join("stopped").exists());
    bed.run(&["restore", "--backup", "latest", "--confirm", "v1"])
        .assert()
        .code(0);
    is_restored(&bed);
}

#[test]
fn killed_while_the_service_starts_it_is_after_the_swap_and_resume_starts_it() {
    let bed = bed("date >>stopped", &resting("started"));
    kill_when(restoring(&bed), || bed.path().join("started").exists());
    assert_eq!(bed.ask("SELECT count(*) FROM orders"), "3");
    bed.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("interrupted after the swap").and(contains("kept as `shop_before_")));
    // It is not restored a second time.
    bed.run(&["restore", "--backup", "latest", "--confirm", "v1"])
        .assert()
        .code(5)
        .stdout(contains("refused/unfinished").and(contains("migrate resume")));
    bed.run(&["resume"])
        .assert()
        .code(0)
        .stdout(contains("restore/started"));
    is_restored(&bed);
}

/// A transaction that keeps the name of the database, and so the swap from being made.
struct Holder(Child);

impl Holder {
    fn open(bed: &Bed) -> Holder {
        let url = bed.postgres.url("postgres", "postgres");
        let sql = "BEGIN; COMMENT ON DATABASE shop IS 'held'; SELECT pg_sleep(60)";
        let holder = Command::new(testkit::tool("psql"))
            .args([url.as_str(), "-c", sql])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Holder(holder)
    }

    fn end(mut self, bed: &Bed) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()";
        bed.postgres.sql_in("postgres", sql);
        self.0.wait().unwrap();
    }
}

/// Whether the server is at it. It lets no one into the database meanwhile.
fn is_swapping(bed: &Bed) -> bool {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'BEGIN; ALTER DATABASE%' \
        AND state = 'active' AND pid <> pg_backend_pid()";
    bed.postgres.sql_in("postgres", sql) == "1\n"
}

fn killed_in_the_swap(bed: &Bed) -> Holder {
    let holder = Holder::open(bed);
    kill_when(restoring(bed), || is_swapping(bed));
    // The server does not know that it is alone.
    assert!(is_swapping(bed));
    holder
}

#[test]
fn killed_in_the_swap_that_the_server_then_makes_alone_it_is_told_as_made() {
    let bed = bed("date >>stopped", "date >>started");
    let holder = killed_in_the_swap(&bed);
    holder.end(&bed);
    assert!(testkit::wait_until(WITHIN, || !is_swapping(&bed)));
    bed.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("interrupted after the swap"));
    assert!(!bed.path().join("started").exists());
    bed.run(&["resume"]).assert().code(0);
    assert!(bed.path().join("started").exists());
    is_restored(&bed);
}

#[test]
fn killed_in_the_swap_that_is_still_waiting_resume_ends_it_and_restores() {
    let bed = bed("date >>stopped", "date >>started");
    let holder = killed_in_the_swap(&bed);
    // The database lets no one in, and why is told all the same.
    bed.run(&["status"])
        .assert()
        .code(4)
        .stdout(contains("interrupted before the swap"));
    std::thread::scope(|scope| {
        let resumed = scope.spawn(|| {
            bed.run(&["resume"]).assert().code(0);
        });
        // The one of the dead run is ended, and that of this run waits.
        std::thread::sleep(Duration::from_secs(3));
        holder.end(&bed);
        resumed.join().unwrap();
    });
    is_restored(&bed);
}

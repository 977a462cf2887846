//! A change of the schema: made once, politely, proved, recorded, and gone on with after a kill.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::json;

use crate::bed::Bed;
use crate::projects::Kind;

const ORDERS: (&str, &str, &str) = (
    "20240101_orders.sql",
    "CREATE TABLE orders (id int, note text);",
    "DROP TABLE orders;",
);

fn migration(bed: &Bed, (name, up, down): (&str, &str, &str)) {
    bed.migration(name, up, down);
}

#[test]
fn what_is_pending_is_applied_once_and_recorded_with_its_release() {
    let bed = Bed::new();
    migration(&bed, ORDERS);
    bed.run(&["run", "--release", "v1"])
        .assert()
        .code(0)
        .stdout(contains("migrated to 20240101").and(contains("applied, as the tables show")));
    let state = bed.state();
    assert_eq!(state["database"]["revision"], "20240101");
    assert_eq!(state["database"]["release"], "v1");
    assert!(state["lock"].is_null());
    bed.run(&["run", "--release", "v1"])
        .assert()
        .code(0)
        .stdout(contains("nothing to do"));
    bed.run(&["resume"])
        .assert()
        .code(0)
        .stdout(contains("nothing to resume"));
}

#[test]
fn a_migration_that_fails_says_so_in_the_databases_own_words() {
    let bed = Bed::new();
    migration(&bed, ORDERS);
    bed.migration(
        "20240102_bad.sql",
        "ALTER TABLE nowhere ADD COLUMN x int;",
        "SELECT 1;",
    );
    bed.run(&["run", "--release", "v1"])
        .assert()
        .code(1)
        .stdout(contains("relation \"nowhere\" does not exist").and(contains("migrate decide")));
    assert_eq!(
        bed.ask("SELECT count(*) FROM orders"),
        "0",
        "the one before it stays"
    );
    bed.run(&["decide"])
        .assert()
        .code(1)
        .stdout(contains("FIX FORWARD").and(contains("does not exist")));
    bed.migration(
        "20240102_bad.sql",
        "ALTER TABLE orders ADD COLUMN x int;",
        "SELECT 1;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
}

#[test]
fn a_dry_run_changes_nothing() {
    let bed = Bed::new();
    migration(&bed, ORDERS);
    bed.run(&["run", "--release", "v1", "--dry-run"])
        .assert()
        .code(3)
        .stdout(contains("would apply it by"));
    assert_eq!(
        bed.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
        "0"
    );
    assert!(bed.state().is_null());
}

/// A session that reads a table and stays.
struct Reader<'b>(Child, &'b Bed);

impl Reader<'_> {
    fn open(bed: &Bed, seconds: u32) -> Reader<'_> {
        let sql = format!("BEGIN; SELECT count(*) FROM orders; SELECT pg_sleep({seconds}); COMMIT");
        let child = Command::new(testkit::tool("psql"))
            .args([bed.postgres.url("postgres", "shop").as_str(), "-c", &sql])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let holds =
            || bed.ask("SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass") != "0";
        assert!(testkit::wait_until(Duration::from_secs(20), holds));
        Reader(child, bed)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // Its session sleeps on at the server where only the program is ended.
        self.1.ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()");
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long the slowest of many reads took, while `during` goes on.
fn slowest_read<T>(bed: &Bed, during: impl FnOnce() -> T) -> (T, Duration) {
    let url = bed.postgres.url("postgres", "shop");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut slowest = Duration::ZERO;
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let since = Instant::now();
                        let read = Command::new(testkit::tool("psql"))
                            .args([url.as_str(), "-At", "-c", "SELECT count(*) FROM orders"])
                            .output()
                            .unwrap();
                        assert!(read.status.success());
                        slowest = slowest.max(since.elapsed());
                    }
                    slowest
                })
            })
            .collect();
        let done = during();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let slowest = readers.into_iter().map(|reader| reader.join().unwrap());
        (done, slowest.max().unwrap_or_default())
    })
}

#[test]
fn others_wait_no_longer_than_the_lock_timeout_and_it_is_done_once_the_reader_ends() {
    let bed = Bed::new();
    migration(&bed, ORDERS);
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.migration(
        "20240102_x.sql",
        "ALTER TABLE orders ADD COLUMN x int;",
        "ALTER TABLE orders DROP COLUMN x;",
    );
    let reader = Reader::open(&bed, 4);
    let ((), slowest) = slowest_read(&bed, || {
        bed.run(&["run", "--release", "v2"])
            .assert()
            .code(0)
            .stdout(contains("migrated to 20240102"));
    });
    drop(reader);
    // 500 ms, and what psql and a busy machine take. The plain tool: as long as the reader.
    assert!(slowest < Duration::from_millis(1800), "{slowest:?}");
}

#[test]
fn a_reader_that_outlasts_the_deadline_is_inconclusive_and_nothing_is_half_applied() {
    let bed = Bed::new();
    migration(&bed, ORDERS);
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.configure(json!({"deadline": "3s"}));
    bed.migration(
        "20240102_x.sql",
        "ALTER TABLE orders ADD COLUMN x int;",
        "ALTER TABLE orders DROP COLUMN x;",
    );
    let reader = Reader::open(&bed, 60);
    let since = Instant::now();
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(3)
        .stdout(contains("deadline").and(contains("not applied")));
    assert!(since.elapsed() < Duration::from_secs(8));
    drop(reader);
    assert_eq!(
        bed.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
        "0"
    );
    bed.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("20240102 (x) is pending"));
    bed.run(&["run", "--release", "v2"]).assert().code(0);
}

#[test]
fn killed_at_any_moment_status_tells_the_truth_and_resume_leads_out() {
    let kills: u64 = std::env::var("KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(12);
    let seed: u64 = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(7);
    let bed = Bed::new();
    for round in 0..kills {
        let name = format!("{:04}_t.sql", round + 1);
        bed.migration(
            &name,
            &format!("CREATE TABLE t{round} (id int); SELECT pg_sleep(0.15); INSERT INTO t{round} VALUES (1);"),
            &format!("DROP TABLE t{round};"),
        );
        let mut run = Command::new(testkit::bin_path("migrate"))
            .current_dir(bed.path())
            .env("DATABASE_URL", bed.url())
            .args(["run", "--release", "v1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis((round * 137 + seed * 31) % 700));
        run.kill().unwrap();
        run.wait().unwrap();
        let status = bed.run(&["status", "--format", "json"]).output().unwrap();
        assert!(matches!(status.status.code(), Some(0 | 1)), "round {round}");
        bed.run(&["resume"]).assert().code(0);
        bed.run(&["run", "--release", "v1"]).assert().code(0);
        assert_eq!(
            bed.ask(&format!("SELECT count(*) FROM t{round}")),
            "1",
            "round {round}"
        );
        let left = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
        assert!(
            testkit::wait_until(Duration::from_secs(5), || bed.ask(left) == "0"),
            "round {round}"
        );
        assert!(bed.state()["lock"].is_null(), "round {round}");
    }
}

#[test]
fn what_was_undone_is_recorded_and_only_on_insistence_where_it_was_never_tried() {
    let bed = Bed::new();
    migration(&bed, ORDERS);
    bed.migration(
        "20240102_x.sql",
        "ALTER TABLE orders ADD COLUMN x int;",
        "ALTER TABLE orders DROP COLUMN x;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed.run(&["undo"])
        .assert()
        .code(5)
        .stdout(contains("was never tried").and(contains("--force unrehearsed")));
    bed.run(&["undo", "--force", "contract", "--reason", "it is small"])
        .assert()
        .code(2)
        .stderr(contains("rules that can be lifted: unrehearsed"));
    bed.run(&["undo", "--force", "unrehearsed", "--reason", "it is small"])
        .assert()
        .code(0)
        .stdout(contains("undone, as the tables show"))
        .stdout(contains("forced/unrehearsed").and(contains("because: it is small")));
    let journals = std::fs::read_dir(bed.path().join(".deploy-guard/state.json.journals")).unwrap();
    let texts =
        journals.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default());
    let lines: Vec<String> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let begun = |line: &&String| line.contains("\"begin\"") && line.contains("it is small");
    assert_eq!(lines.iter().filter(begun).count(), 1, "{lines:?}");
    assert_eq!(bed.state()["database"]["revision"], "20240101");
    bed.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("20240102 (x) is pending"));
}

#[test]
fn an_undo_that_was_killed_is_finished_by_resume_and_never_applied_again() {
    let bed = Bed::new();
    bed.migration("1_t.sql", "CREATE TABLE t (id int);", "DROP TABLE t;");
    bed.migration(
        "2_u.sql",
        "CREATE TABLE u (id int);",
        "SELECT pg_sleep(0.4); DROP TABLE u;",
    );
    for round in 0..4_u64 {
        bed.run(&["run", "--release", "v1"]).assert().code(0);
        let mut undo = Command::new(testkit::bin_path("migrate"))
            .current_dir(bed.path())
            .env("DATABASE_URL", bed.url())
            .args(["undo", "--force", "unrehearsed", "--reason", "test"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let state = bed.path().join(".deploy-guard/state.json.journals");
        let begun = || {
            let files = std::fs::read_dir(&state).into_iter().flatten().flatten();
            let mut texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
            texts.any(|text| text.contains("\"undo\"") && !text.contains("\"event\":\"end\""))
        };
        assert!(
            testkit::wait_until(Duration::from_secs(20), begun),
            "round {round}"
        );
        std::thread::sleep(Duration::from_millis(round * 150));
        undo.kill().unwrap();
        undo.wait().unwrap();
        bed.run(&["resume"]).assert().code(0);
        assert_eq!(
            bed.ask("SELECT count(*) FROM pg_tables WHERE tablename = 'u'"),
            "0",
            "round {round}"
        );
        assert_eq!(bed.state()["database"]["revision"], "1", "round {round}");
        bed.run(&["resume"])
            .assert()
            .code(0)
            .stdout(contains("nothing to resume"));
    }
}

#[test]
fn an_undo_goes_on_after_the_databases_lock_was_lost() {
    let bed = Bed::new();
    migration(&bed, ORDERS);
    bed.migration(
        "20240102_note.sql",
        "ALTER TABLE orders ADD COLUMN more text;",
        "SELECT pg_sleep(4); ALTER TABLE orders DROP COLUMN more;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    std::thread::scope(|scope| {
        scope.spawn(|| bed.lose_the_lock_during("pg_sleep(4)"));
        bed.run(&["undo", "--force", "unrehearsed", "--reason", "a test"])
            .assert()
            .code(0)
            .stdout(contains("the schema is at 20240101"));
    });
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders'";
    assert_eq!(bed.ask(columns), "2");
    assert_eq!(bed.state()["database"]["revision"], "20240101");
    assert!(bed.state()["lock"].is_null());
    bed.run(&["resume"])
        .assert()
        .code(0)
        .stdout(contains("nothing to resume"));
}

#[test]
fn a_driver_that_is_missing_is_named_with_its_package_and_the_other_scheme() {
    let bed = Bed::new();
    Kind::Alembic.set_up(&bed, json!({}));
    Kind::Alembic.migration(
        &bed,
        1,
        "CREATE TABLE orders (id int);",
        "DROP TABLE orders;",
    );
    // As it was written for SQLAlchemy 2.0: 2.1 takes psycopg 3 for that scheme.
    let env = std::fs::read_to_string(bed.path().join("alembic/env.py")).unwrap();
    bed.write(
        "alembic/env.py",
        &env.replace("postgresql+psycopg2://", "postgresql://"),
    );
    bed.run(&["run", "--release", "v1"])
        .assert()
        .code(1)
        .stdout(
            contains("No module named 'psycopg'")
                .and(contains("pip install 'psycopg[binary]'"))
                .and(contains("postgresql+psycopg2://…")),
        );
    bed.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("r0001 is pending"));
}

#[test]
fn a_tool_that_is_not_there_is_told_with_what_to_do() {
    let bed = Bed::new();
    bed.configure(json!({ "dbmate": { "command": "/opt/none/dbmate" } }));
    migration(&bed, ORDERS);
    bed.run(&["run", "--release", "v1"])
        .assert()
        .code(1)
        .stdout(contains("dbmate was not found").and(contains("virtual environment")));
}

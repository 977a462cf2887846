//! What others notice of a migration that is run through us, with the tools as they are.

use std::time::{Duration, Instant};

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::bystanders::{Bystanders, Waits, reader, transaction};
use crate::projects::{FOUR, Kind};

const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// What a machine may take beside it that runs other tests at the same time; without us others wait for seconds.
/// `cargo xtask bench` holds it against the tools alone.
const BESIDE: Duration = Duration::from_secs(1);

/// How long the reader stays: `READER=30` for the long mode.
fn stay() -> Duration {
    let given = std::env::var("READER").ok();
    let seconds = given.and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

/// A bed with the table `orders`, made by the tool.
fn with_orders(kind: Kind, further: Value) -> Bed {
    let bed = Bed::new();
    kind.set_up(&bed, further);
    kind.migration(
        &bed,
        1,
        "CREATE TABLE orders (id int, note text);",
        "DROP TABLE orders;",
    );
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    bed
}

fn has_column(bed: &Bed, name: &str) -> bool {
    let sql = format!(
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders' AND column_name = '{name}'"
    );
    bed.ask(&sql) == "1"
}

/// What they wait where nothing is changed, on this machine at this moment.
fn at_rest(bed: &Bed) -> Duration {
    let bystanders = Bystanders::start(bed, "orders");
    std::thread::sleep(Duration::from_millis(1500));
    bystanders.end().percentile(99)
}

fn assert_polite(what: &str, waits: &Waits, rest: Duration) {
    let (late, longest) = (waits.percentile(99), waits.longest());
    eprintln!("{what}: 99th percentile {late:?}, longest {longest:?}, at rest {rest:?}");
    assert!(late <= LOCK_TIMEOUT + BESIDE + rest, "{what}: {late:?}");
}

fn done_once_the_reader_ends(kind: Kind) {
    let bed = with_orders(kind, json!({"deadline": "90s"}));
    kind.migration(
        &bed,
        2,
        "ALTER TABLE orders ADD COLUMN x int;",
        "ALTER TABLE orders DROP COLUMN x;",
    );
    let rest = at_rest(&bed);
    let staying = reader(&bed, "orders", stay());
    let bystanders = Bystanders::start(&bed, "orders");
    let ran = bed.run(&["run", "--release", "v2"]).output().unwrap();
    let is_held = !staying.is_finished();
    let waits = bystanders.end();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.status.code(), Some(0), "{kind:?}: {said}");
    assert!(
        !is_held,
        "{kind:?} was done before the reader ended: {said}"
    );
    assert!(has_column(&bed, "x"), "{kind:?}");
    assert_polite(&format!("{kind:?}"), &waits, rest);
    staying.join().unwrap();
}

#[test]
fn others_wait_for_alembic_as_long_as_the_lock_timeout_at_most() {
    done_once_the_reader_ends(Kind::Alembic);
}

#[test]
fn others_wait_for_django_as_long_as_the_lock_timeout_at_most() {
    done_once_the_reader_ends(Kind::Django);
}

#[test]
fn others_wait_for_dbmate_as_long_as_the_lock_timeout_at_most() {
    done_once_the_reader_ends(Kind::Dbmate);
}

#[test]
fn others_wait_for_knex_as_long_as_the_lock_timeout_at_most() {
    done_once_the_reader_ends(Kind::Knex);
}

#[test]
fn a_reader_that_outlasts_the_deadline_ends_every_tool_before_it_and_nothing_is_half_applied() {
    for kind in FOUR {
        let bed = with_orders(kind, json!({"deadline": "60s"}));
        kind.configure(&bed, json!({"deadline": "6s"}));
        kind.migration(
            &bed,
            2,
            "CREATE TABLE half (id int); ALTER TABLE orders ADD COLUMN x int;",
            "ALTER TABLE orders DROP COLUMN x; DROP TABLE half;",
        );
        let staying = reader(&bed, "orders", Duration::from_secs(14));
        let since = Instant::now();
        let ran = bed.run(&["run", "--release", "v2"]).output().unwrap();
        let took = since.elapsed();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(ran.status.code(), Some(3), "{kind:?}: {said}");
        assert!(said.contains("deadline"), "{kind:?}: {said}");
        assert!(took < Duration::from_secs(9), "{kind:?}: {took:?}");
        assert!(!staying.is_finished());
        assert_eq!(
            bed.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'deploy-guard migrate%'"),
            "0",
            "{kind:?}"
        );
        assert_eq!(
            bed.ask("SELECT count(*) FROM pg_tables WHERE tablename = 'half'"),
            "0"
        );
        staying.join().unwrap();
        assert!(!has_column(&bed, "x"), "{kind:?}");
        kind.configure(&bed, json!({"deadline": "60s"}));
        bed.run(&["status"])
            .assert()
            .code(1)
            .stdout(contains("pending"));
        bed.run(&["run", "--release", "v2"]).assert().code(0);
    }
}

#[test]
fn a_rewrite_of_a_big_table_is_taken_back_when_others_wait_longer_than_max_blocking() {
    let bed = with_orders(
        Kind::Dbmate,
        json!({"max-blocking": "300ms", "lock-timeout": "2s", "deadline": "9s"}),
    );
    bed.postgres.sql_in(
        "shop",
        "INSERT INTO orders SELECT n, repeat('x', 100) FROM generate_series(1, 400000) n; ANALYZE orders",
    );
    // It holds ACCESS EXCLUSIVE for as long as it takes, and that is longer than the deadline.
    Kind::Dbmate.migration(
        &bed,
        2,
        "ALTER TABLE orders ALTER COLUMN note TYPE varchar(200) USING note || pg_sleep(0.0001)::text;",
        "SELECT 1;",
    );
    let rest = at_rest(&bed);
    let bystanders = Bystanders::start(&bed, "orders");
    let ran = bed.run(&["run", "--release", "v2"]).output().unwrap();
    let waits = bystanders.end();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.status.code(), Some(3), "{said}");
    assert!(
        said.contains("others would have waited longer than 300ms"),
        "{said}"
    );
    let late = waits.percentile(99);
    eprintln!("rewrite: {late:?}, longest {:?}", waits.longest());
    assert!(
        late <= Duration::from_millis(300) + BESIDE + rest,
        "{late:?}"
    );
}

/// The first statement of a migration holds a table while the second waits for another one; what else the
/// bed has is made by `prepare`, and `run` calls us.
fn given_back_in_time(
    what: &str,
    kind: Kind,
    prepare: impl FnOnce(&Bed, Value),
    run: impl FnOnce(&Bed) -> assert_cmd::Command,
) {
    let section = json!({"max-blocking": "300ms", "lock-timeout": "3s"});
    let bed = with_orders(kind, section.clone());
    kind.migration(&bed, 2, "CREATE TABLE other (id int);", "DROP TABLE other;");
    bed.run(&["run", "--release", "v1"]).assert().code(0);
    kind.migration(
        &bed,
        3,
        "ALTER TABLE orders ADD COLUMN x int; ALTER TABLE other ADD COLUMN x int;",
        "SELECT 1;",
    );
    prepare(&bed, section);
    let rest = at_rest(&bed);
    let staying = reader(&bed, "other", Duration::from_secs(9));
    let bystanders = Bystanders::start(&bed, "orders");
    run(&bed).assert().code(0);
    let waits = bystanders.end();
    staying.join().unwrap();
    let (late, longest) = (waits.percentile(99), waits.longest());
    eprintln!("{what}: 99th percentile {late:?}, longest {longest:?}, at rest {rest:?}");
    let most = Duration::from_millis(300) + BESIDE + rest;
    assert!(late <= most, "{what}: {late:?}");
    // It was there to be waited for.
    assert!(longest >= Duration::from_millis(200), "{what}: {longest:?}");
}

fn as_usual(bed: &Bed) -> assert_cmd::Command {
    bed.run(&["run", "--release", "v2"])
}

#[test]
fn what_a_first_statement_holds_while_the_second_waits_is_given_back_in_time() {
    given_back_in_time("dbmate", Kind::Dbmate, |_, _| (), as_usual);
    given_back_in_time("alembic", Kind::Alembic, |_, _| (), as_usual);
}

#[test]
fn a_tool_that_gives_itself_another_name_is_watched_all_the_same() {
    let rename = |bed: &Bed, _: Value| {
        let path = bed.path().join("alembic/env.py");
        let text = std::fs::read_to_string(&path).unwrap();
        let own = "create_engine(url, connect_args={'application_name': 'shop'}, ";
        let renamed = text.replace("create_engine(url, ", own);
        assert_ne!(text, renamed);
        std::fs::write(path, renamed).unwrap();
    };
    given_back_in_time("alembic, another name", Kind::Alembic, rename, as_usual);
}

#[test]
fn a_url_with_a_name_and_options_of_its_own_beats_neither_the_watch_nor_the_limits() {
    let run = |bed: &Bed| {
        let url = format!(
            "{}&application_name=shop&options=-c%20search_path%3Dpublic",
            bed.url()
        );
        let mut run = as_usual(bed);
        run.env("DATABASE_URL", url);
        run
    };
    given_back_in_time("a URL of its own", Kind::Dbmate, |_, _| (), run);
}

#[test]
fn a_tool_on_a_host_is_watched_by_its_name() {
    let sshd = testkit::Sshd::start();
    let prepare = |bed: &Bed, mut section: Value| {
        bed.write("known_hosts", &sshd.known_hosts());
        let host = json!({
            "address": "127.0.0.1",
            "port": sshd.port(),
            "user": sshd.user(),
            "key-file": sshd.key(),
            "known-hosts": bed.path().join("known_hosts"),
        });
        section["host"] = json!("box");
        section["directory"] = json!(bed.path());
        Kind::Dbmate.configure_all(bed, section, json!({"hosts": {"box": host}}));
    };
    given_back_in_time("on a host", Kind::Dbmate, prepare, as_usual);
}

/// A command that runs what follows it with an environment of its own, as `docker exec` does.
fn with_container(bed: &Bed, mut section: Value) {
    let path = std::env::var("PATH").unwrap();
    let text = format!(
        "#!/bin/sh\nexec env -i PATH='{path}' sh -c '. ./container.env; exec \"$@\"' container \"$@\"\n"
    );
    bed.write("container", &text);
    bed.write(
        "container.env",
        &format!("export DATABASE_URL='{}'\n", bed.url()),
    );
    section["exec"] = json!("sh container");
    Kind::Dbmate.configure(bed, section);
}

#[test]
fn a_tool_in_a_container_is_watched_by_its_name() {
    given_back_in_time("by exec", Kind::Dbmate, with_container, as_usual);
}

#[test]
fn the_limits_reach_every_tool_beside_the_options_that_it_has_already() {
    for kind in FOUR {
        let bed = with_orders(kind, json!({"deadline": "60s"}));
        kind.migration(
            &bed,
            2,
            "CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS lock, current_setting('search_path') AS path, current_setting('application_name') AS name;",
            "DROP TABLE seen;",
        );
        let mut run = as_usual(&bed);
        run.env("PGOPTIONS", "-c search_path=public,pg_catalog");
        run.assert().code(0);
        let seen = bed.ask("SELECT lock, path, name LIKE 'deploy-guard migrate %' FROM seen");
        assert_eq!(seen, "500ms|public,pg_catalog|t", "{kind:?}");
    }
}

#[test]
fn a_concurrent_index_that_was_cut_off_and_tried_again_leaves_no_invalid_one() {
    let bed = with_orders(Kind::Dbmate, json!({}));
    bed.migration(
        "0002_index.sql",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_id ON orders (id);",
        "DROP INDEX orders_id;",
    );
    let path = bed.path().join("db/migrations/0002_index.sql");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replacen("migrate:up", "migrate:up transaction:false", 1);
    std::fs::write(&path, text).unwrap();
    let writer = transaction(
        &bed,
        "INSERT INTO orders VALUES (1)",
        Duration::from_secs(4),
    );
    bed.run(&["run", "--release", "v2"])
        .assert()
        .code(0)
        .stdout(contains("migrated to 0002").and(contains("attempts: 1").not()));
    writer.join().unwrap();
    assert_eq!(
        bed.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_id'::regclass"),
        "t"
    );
    assert_eq!(
        bed.ask("SELECT count(*) FROM pg_index WHERE NOT indisvalid"),
        "0"
    );
}

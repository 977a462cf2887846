//! MariaDB, which commits every change of a schema at once: what is applied, what is half applied, and who waits.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::MariaDb;

const PASSWORD: &str = "hunter2-canary";

struct Bed {
    server: MariaDb,
    folder: TempDir,
}

impl Bed {
    /// The database `shop` with the table `orders`, which the first migration made.
    fn new() -> Bed {
        let bed = Bed::empty(json!({}));
        bed.migration("1_orders.sql", "CREATE TABLE orders (id int);");
        bed.run().assert().code(0).stdout(contains("migrated to 1"));
        bed
    }

    /// dbmate without migrations, with further keys under `migrate:`.
    fn empty(further: Value) -> Bed {
        let bed = Bed {
            server: MariaDb::start(),
            folder: tempfile::tempdir().unwrap(),
        };
        bed.server.sql(&format!(
            "CREATE DATABASE shop; CREATE USER app@127.0.0.1 IDENTIFIED BY '{PASSWORD}';
             GRANT ALL ON shop.* TO app@127.0.0.1"
        ));
        let mut migrate = json!({
            "dbmate": { "command": testkit::tool("dbmate") },
            "lock-timeout": "1s",
            "retry-pause": "200ms",
            "deadline": "20s",
            "backup": { "required": false },
        });
        crate::bed::merge(&mut migrate, further);
        let config = json!({ "version": 1, "migrate": migrate });
        bed.write("deploy-guard.yml", &config.to_string());
        bed
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn migration(&self, name: &str, up: &str) {
        let text = format!("-- migrate:up\n{up}\n\n-- migrate:down\nSELECT 1;\n");
        self.write(&format!("db/migrations/{name}"), &text);
    }

    fn call(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = testkit::bin("migrate");
        let port = self.server.port();
        command.args(args).current_dir(self.folder.path()).env(
            "DATABASE_URL",
            format!("mysql://app:{PASSWORD}@127.0.0.1:{port}/shop"),
        );
        command
    }

    fn run(&self) -> assert_cmd::Command {
        self.call(&["run", "--release", "v1"])
    }

    fn ask(&self, sql: &str) -> String {
        self.server
            .sql(&format!("USE shop; {sql}"))
            .trim()
            .to_owned()
    }
}

const COLUMNS: &str =
    "SELECT group_concat(column_name ORDER BY ordinal_position) FROM information_schema.columns
    WHERE table_schema = 'shop' AND table_name = 'orders'";

#[test]
fn what_is_pending_is_applied_once_proved_and_recorded() {
    let bed = Bed::new();
    assert_eq!(
        bed.ask("SELECT group_concat(version) FROM schema_migrations"),
        "1"
    );
    let state = std::fs::read_to_string(bed.folder.path().join(".deploy-guard/state.json"));
    let state: Value = serde_json::from_str(&state.unwrap()).unwrap();
    assert_eq!(state["database"]["revision"], "1");
    assert_eq!(state["database"]["release"], "v1");
    bed.run().assert().code(0).stdout(contains("nothing to do"));
    bed.call(&["status"])
        .assert()
        .code(0)
        .stdout(contains("1, the head"));
}

#[test]
fn a_migration_that_fails_is_told_in_the_servers_words_and_never_as_if_nothing_were_half_applied() {
    let bed = Bed::new();
    bed.migration(
        "2_half.sql",
        "ALTER TABLE orders ADD COLUMN note text;\nALTER TABLE nowhere ADD COLUMN x int;",
    );
    bed.run().assert().code(1).stdout(
        contains("Table 'shop.nowhere' doesn't exist")
            .and(contains("the schema is at 1"))
            .and(contains("nothing is half applied").not()),
    );
    assert_eq!(bed.ask(COLUMNS), "id,note", "the first statement stays");
    bed.call(&["status"])
        .assert()
        .code(1)
        .stdout(contains("2 (half) is pending"));
    bed.call(&["decide"]).assert().code(1).stdout(
        contains("FIX FORWARD")
            .and(contains("a part of 2 may be applied"))
            .and(contains("doesn't exist"))
            .and(contains("nothing is half applied").not())
            .and(contains("migrate restore").not()),
    );
    // What is done is taken out of the file, and the rest is applied.
    bed.migration(
        "2_half.sql",
        "ALTER TABLE orders ADD COLUMN IF NOT EXISTS note text;",
    );
    bed.run().assert().code(0).stdout(contains("migrated to 2"));
}

#[test]
fn of_three_at_once_one_applies_it() {
    let bed = Bed::new();
    // Applied a second time, it adds a row.
    bed.migration(
        "2_slow.sql",
        "INSERT INTO orders VALUES (1);\nSELECT sleep(1);",
    );
    let runs: Vec<Child> = (0..3)
        .map(|_| {
            let mut command = Command::new(testkit::bin_path("migrate"));
            let port = bed.server.port();
            command
                .args(["run", "--release", "v1"])
                .current_dir(bed.folder.path())
                .env(
                    "DATABASE_URL",
                    format!("mysql://app:{PASSWORD}@127.0.0.1:{port}/shop"),
                )
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            testkit::clear_environment(&mut command).spawn().unwrap()
        })
        .collect();
    let mut codes: Vec<i32> = runs
        .into_iter()
        .map(|mut run| run.wait().unwrap().code().unwrap())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes[0], 0, "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, 0 | 5)), "{codes:?}");
    assert_eq!(bed.ask("SELECT count(*) FROM orders"), "1");
    bed.call(&["status"]).assert().code(0);
}

/// A transaction that has read the table and stays open for so many seconds.
fn reader(bed: &Bed, seconds: u32) -> Child {
    let mut client = bed.server.client("mariadb");
    let sql = format!(
        "USE shop; BEGIN; SELECT count(*) FROM orders; SELECT sleep({seconds}) AS reader; COMMIT"
    );
    let child = client
        .args(["-e", &sql])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let reads = || {
        let sql = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT sleep%AS reader'";
        bed.server.sql(sql).trim() == "1"
    };
    assert!(testkit::wait_until(Duration::from_secs(20), reads));
    child
}

#[test]
fn a_reader_that_outlasts_the_deadline_is_3_and_others_do_not_wait_behind_the_change() {
    let bed = Bed::empty(json!({ "deadline": "5s" }));
    bed.migration("1_orders.sql", "CREATE TABLE orders (id int);");
    bed.run().assert().code(0);
    bed.migration("2_note.sql", "ALTER TABLE orders ADD COLUMN note text;");
    let mut reader = reader(&bed, 60);
    let began = Instant::now();
    bed.run()
        .assert()
        .code(3)
        .stdout(contains("not migrated within the deadline").and(contains("the schema is at 1")));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(bed.ask(COLUMNS), "id");
    // Nothing of ours waits any more, so a later read does not wait either.
    let began = Instant::now();
    assert_eq!(bed.ask("SELECT count(*) FROM orders"), "0");
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    reader.kill().unwrap();
    reader.wait().unwrap();
}

#[test]
fn it_is_done_once_the_reader_ends() {
    let bed = Bed::new();
    bed.migration("2_note.sql", "ALTER TABLE orders ADD COLUMN note text;");
    let mut reader = reader(&bed, 4);
    bed.run().assert().code(0).stdout(contains("attempts: "));
    assert_eq!(bed.ask(COLUMNS), "id,note");
    reader.wait().unwrap();
}

#[test]
fn a_backup_is_restored_by_hand_and_decide_says_how() {
    let bed = Bed::empty(json!({ "backup": { "required": true } }));
    bed.migration("1_orders.sql", "CREATE TABLE orders (id int);");
    bed.run().assert().code(0);
    bed.call(&["backup"]).assert().code(0);
    bed.call(&["restore", "--backup", "latest", "--confirm", "v1"])
        .assert()
        .code(5)
        .stdout(contains("cannot rename a database").and(contains(" | mariadb shop`")));
    // A tool that records its failures.
    let tool = json!({ "dbmate": null, "golang-migrate": { "folder": "m", "table": "gm" } });
    let config = json!({ "version": 1, "migrate": tool });
    bed.write("deploy-guard.yml", &config.to_string());
    bed.write("m/1_a.up.sql", "SELECT 1;");
    bed.ask("CREATE TABLE gm (version bigint, dirty boolean); INSERT INTO gm VALUES (1, true)");
    let decide = bed.call(&["decide"]).assert().code(1);
    let decide = decide.stdout(contains("RESTORE").and(contains("migrate restore").not()));
    let told = String::from_utf8_lossy(&decide.get_output().stdout).into_owned();
    let (_, command) = told.split_once("restore by hand: `").unwrap();
    let (command, _) = command.split_once('`').unwrap();
    // The command does what it says: the table is back.
    bed.ask("DROP TABLE orders");
    let client = bed.server.client("mariadb");
    let words = [client.get_program()].into_iter().chain(client.get_args());
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let command = command.replace("mariadb shop", &format!("{} shop", words.join(" ")));
    let mut shell = std::process::Command::new("sh");
    let ran = shell.args(["-c", &command]).current_dir(bed.folder.path());
    assert!(ran.status().unwrap().success(), "{command}");
    assert_eq!(bed.ask(COLUMNS), "id");
}

#[test]
fn alembic_is_applied_and_recorded_and_waits_for_no_lock_although_it_has_no_such_setting() {
    let call = testkit::tool("alembic").display().to_string();
    let bed =
        Bed::empty(json!({ "dbmate": null, "alembic": { "command": call }, "deadline": "8s" }));
    bed.write(
        "alembic.ini",
        "[alembic]\nscript_location = %(here)s/alembic\n",
    );
    bed.write(
        "alembic/env.py",
        "import os\nfrom alembic import context\nfrom sqlalchemy import create_engine, pool\n\n\
         url = os.environ['DATABASE_URL'].replace('mysql://', 'mysql+pymysql://')\n\
         with create_engine(url, poolclass=pool.NullPool).connect() as connection:\n    \
         context.configure(connection=connection)\n    \
         with context.begin_transaction():\n        context.run_migrations()\n",
    );
    let revision = |id: &str, down: &str, sql: &str| {
        let text = format!(
            "from alembic import op\nrevision = '{id}'\ndown_revision = {down}\n\n\
             def upgrade():\n    op.execute('{sql}')\n\ndef downgrade():\n    pass\n"
        );
        bed.write(&format!("alembic/versions/{id}.py"), &text);
    };
    revision("a1", "None", "CREATE TABLE orders (id int)");
    bed.run()
        .assert()
        .code(0)
        .stdout(contains("migrated to a1"));
    assert_eq!(bed.ask("SELECT version_num FROM alembic_version"), "a1");
    revision("b2", "\"a1\"", "ALTER TABLE nowhere ADD COLUMN x int");
    bed.run()
        .assert()
        .code(1)
        .stdout(contains("Table 'shop.nowhere' doesn't exist"));
    bed.call(&["status"])
        .assert()
        .code(1)
        .stdout(contains("b2 is pending"));
    // A person deletes it, and the next one meets a reader.
    revision("b2", "\"a1\"", "ALTER TABLE orders ADD COLUMN note text");
    let mut reader = reader(&bed, 60);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            bed.run()
                .assert()
                .code(3)
                .stdout(contains("not migrated within the deadline"));
        });
        while !run.is_finished() {
            let began = Instant::now();
            assert_eq!(bed.ask("SELECT count(*) FROM orders"), "0");
            let waited = began.elapsed();
            assert!(waited < Duration::from_secs(3), "{waited:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    reader.kill().unwrap();
    reader.wait().unwrap();
    // Nothing of it goes on at the server.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(bed.ask(COLUMNS), "id");
    let others = "SELECT count(*) FROM information_schema.processlist WHERE user = 'app'";
    assert_eq!(bed.ask(others), "0");
    bed.run().assert().code(0);
    assert_eq!(bed.ask(COLUMNS), "id,note");
}

//! The pending migrations, and whether the database is ready for them.

use std::process::{Command, Stdio};

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;
use testkit::Postgres;

struct Site {
    postgres: Postgres,
    folder: TempDir,
}

impl Site {
    /// `orders` is there; `pending` is what comes next.
    fn new(pending: &str) -> Site {
        let site = Site {
            postgres: Postgres::listening("host all postgres 127.0.0.1/32 trust", None),
            folder: tempfile::tempdir().unwrap(),
        };
        site.postgres.sql("CREATE DATABASE shop");
        let config = serde_json::json!({
            "version": 1,
            "migrate": {
                "dbmate": {"command": testkit::tool("dbmate")},
                "backup": {"required": false},
            },
            "preflight": {"migrations": {"max-transaction": "1s"}},
        });
        std::fs::write(
            site.folder.path().join("deploy-guard.yml"),
            config.to_string(),
        )
        .unwrap();
        site.migration("1_orders", "CREATE TABLE orders (id bigint, note text);");
        let mut run = site.run("migrate");
        run.args(["run", "--release", "v1"]).assert().code(0);
        site.migration("2_next", pending);
        site
    }

    fn migration(&self, name: &str, up: &str) {
        let folder = self.folder.path().join("db/migrations");
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!("-- migrate:up\n{up}\n-- migrate:down\nSELECT 1;\n");
        std::fs::write(folder.join(format!("{name}.sql")), text).unwrap();
    }

    fn run(&self, program: &str) -> assert_cmd::Command {
        let mut command = testkit::bin(program);
        let url = format!("{}?sslmode=disable", self.postgres.url("postgres", "shop"));
        command
            .current_dir(self.folder.path())
            .env("DATABASE_URL", url);
        command
    }
}

#[test]
fn what_only_adds_on_a_quiet_database_passes() {
    let site = Site::new("ALTER TABLE orders ADD COLUMN x int;");
    site.run("preflight").assert().code(0).stdout(
        contains("migrations/history")
            .and(contains("pending: 1"))
            .and(contains("no table is written again")),
    );
}

#[test]
fn what_takes_away_or_writes_again_is_told_before_it_runs() {
    let site = Site::new("ALTER TABLE orders DROP COLUMN note;");
    site.run("preflight")
        .assert()
        .code(1)
        .stdout(contains("migrations/lint").and(contains("ban-drop-column")));
    let site = Site::new("ALTER TABLE orders ALTER COLUMN id TYPE numeric;");
    site.run("preflight")
        .assert()
        .code(1)
        .stdout(contains("orders (").and(contains("is written again")));
}

#[test]
fn a_transaction_that_stays_open_is_named() {
    let site = Site::new("ALTER TABLE orders ADD COLUMN x int;");
    let url = site.postgres.url("postgres", "shop");
    let mut reader = Command::new(testkit::tool("psql"))
        .args([
            url.as_str(),
            "-c",
            "BEGIN; SELECT * FROM orders; SELECT pg_sleep(30)",
        ])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    site.run("preflight")
        .assert()
        .code(1)
        .stdout(contains("migrations/transactions").and(contains("has a transaction open")));
    reader.kill().unwrap();
    reader.wait().unwrap();
}

#[test]
fn a_database_that_is_away_is_an_error() {
    let site = Site::new("SELECT 1;");
    let away = format!(
        "postgresql://postgres@127.0.0.1:{}/shop",
        testkit::free_port()
    );
    site.run("preflight")
        .env("DATABASE_URL", away)
        .assert()
        .code(4)
        .stdout(contains("is not reached"));
}

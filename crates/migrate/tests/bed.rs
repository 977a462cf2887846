//! A database, a folder with migrations and a configuration.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::Postgres;

/// Whom the server lets in: the user of the migrations by a password, ours by nothing.
const HBA: &str = "host all app 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust";
pub(crate) const PASSWORD: &str = "hunter2-canary";

pub(crate) struct Bed {
    pub(crate) postgres: Postgres,
    folder: TempDir,
}

impl Bed {
    /// PostgreSQL with the database `shop`, and dbmate without migrations.
    pub(crate) fn new() -> Bed {
        let bed = Bed {
            postgres: Postgres::listening(HBA, None),
            folder: tempfile::tempdir().unwrap(),
        };
        bed.postgres
            .sql(&format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'"));
        bed.postgres.sql("CREATE DATABASE shop OWNER app");
        bed.configure(json!({}));
        std::fs::create_dir_all(bed.path().join("db/migrations")).unwrap();
        bed
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        let url = self.postgres.url(&format!("app:{PASSWORD}"), "shop");
        format!("{url}?sslmode=disable")
    }

    /// dbmate with these further keys under `migrate:`.
    pub(crate) fn configure(&self, further: Value) {
        self.configure_all(further, json!({}));
    }

    /// The same, with other sections.
    pub(crate) fn configure_all(&self, further: Value, sections: Value) {
        let mut migrate = json!({
            "dbmate": { "command": testkit::tool("dbmate") },
            "lock-timeout": "500ms",
            "retry-pause": "200ms",
            "deadline": "20s",
            "backup": { "required": false },
        });
        merge(&mut migrate, further);
        let mut config = json!({ "version": 1, "migrate": migrate });
        merge(&mut config, sections);
        let text = serde_json::to_string_pretty(&config).unwrap();
        std::fs::write(self.path().join("deploy-guard.yml"), text).unwrap();
    }

    /// A migration of dbmate.
    pub(crate) fn migration(&self, name: &str, up: &str, down: &str) {
        let text = format!("-- migrate:up\n{up}\n\n-- migrate:down\n{down}\n");
        self.file(name, &text);
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        let path = self.path().join("db/migrations").join(name);
        std::fs::write(path, text).unwrap();
    }

    /// Ends the session that holds the database lock while a statement with this text runs, and sees that the lock is
    /// taken again and held while the schema is changed.
    pub(crate) fn lose_the_lock_during(&self, text: &str) {
        let lose = format!(
            "SELECT count(pg_terminate_backend(l.pid)) FROM pg_stat_activity l
                WHERE l.application_name = 'deploy-guard lock'
                AND EXISTS (SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{text}%' AND pid <> pg_backend_pid())"
        );
        let is_lost = || self.ask(&lose) == "1";
        assert!(testkit::wait_until(Duration::from_secs(20), is_lost));
        let held = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                WHERE locktype = 'advisory' AND granted AND application_name = 'deploy-guard lock'";
        let is_held = || self.ask(held) == "1";
        assert!(testkit::wait_until(Duration::from_secs(10), is_held));
    }

    /// Any file of the project.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn run(&self, args: &[&str]) -> assert_cmd::Command {
        self.program("migrate", args)
    }

    pub(crate) fn program(&self, name: &str, args: &[&str]) -> assert_cmd::Command {
        let mut command = testkit::bin(name);
        command
            .current_dir(self.path())
            .env("DATABASE_URL", self.url())
            .args(args);
        command
    }

    /// The first cell of a query's answer.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let ran = std::process::Command::new(testkit::tool("psql"))
            .args([
                self.postgres.url("postgres", "shop").as_str(),
                "-At",
                "-c",
                sql,
            ])
            .output()
            .unwrap();
        assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    pub(crate) fn state(&self) -> Value {
        let text = std::fs::read_to_string(self.path().join(".deploy-guard/state.json"));
        serde_json::from_str(&text.unwrap_or_else(|_| "null".to_owned())).unwrap()
    }
}

pub(crate) fn merge(into: &mut Value, further: Value) {
    let (Some(into), Value::Object(further)) = (into.as_object_mut(), further) else {
        return;
    };
    for (key, value) in further {
        match into.get_mut(&key) {
            Some(known) if known.is_object() && value.is_object() => merge(known, value),
            _ => drop(into.insert(key, value)),
        }
    }
}

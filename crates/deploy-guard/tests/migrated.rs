//! `deploy-guard run` with `migrate:`: the schema is changed between preflight and the deployment.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Postgres, wait_until};

/// A service whose release is the text of the file `live`, with its database. Each phase notes itself
/// in `order`, with the tables that it found.
struct Service {
    postgres: Postgres,
    folder: TempDir,
}

impl Service {
    fn new() -> Service {
        let postgres = Postgres::listening("host all all 127.0.0.1/32 trust", None);
        postgres.sql("CREATE ROLE app LOGIN");
        postgres.sql("CREATE DATABASE shop OWNER app");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("db/migrations")).unwrap();
        let service = Service { postgres, folder };
        let config = json!({
            "version": 1,
            "service": "shop",
            "preflight": { "command": [{ "name": "look", "run": service.note("preflight") }] },
            "migrate": {
                "dbmate": { "command": testkit::tool("dbmate") },
                "deadline": "20s",
                "backup": { "required": false },
            },
            "deploy": {
                "command": format!("{}; printf %s \"$RELEASE\" >live", service.note("deploy")),
            },
            "healthgate": {
                "release-identity": "optional",
                "policy": { "interval": "50ms", "success-threshold": 1, "failure-limit": 0, "deadline": "20s" },
                "command": [{
                    "name": "live",
                    "run": format!("{}; ! grep -q bad live", service.note("gate")),
                }],
            },
            "rollback": {
                "state": "state.json",
                "command": {
                    "run": "printf %s \"$RELEASE\" >live",
                    "check": "true",
                    "current": "cat live",
                },
            },
        });
        fs::write(service.path("deploy-guard.yml"), config.to_string()).unwrap();
        service
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self) -> String {
        format!("{}?sslmode=disable", self.postgres.url("app", "shop"))
    }

    /// A command that notes the phase and the tables that there are.
    fn note(&self, phase: &str) -> String {
        let tables = "SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), 'nothing') \
                      FROM pg_stat_user_tables WHERE relname <> 'schema_migrations'";
        let psql = testkit::tool("psql");
        format!(
            "echo \"{phase}: $('{}' '{}' -Atc \"{tables}\")\" >>order",
            psql.display(),
            self.url()
        )
    }

    fn migration(&self, name: &str, up: &str) {
        let text = format!("-- migrate:up\n{up}\n\n-- migrate:down\n");
        fs::write(self.path("db/migrations").join(name), text).unwrap();
    }

    fn command(&self, words: &[&str]) -> assert_cmd::Command {
        let mut command = testkit::bin("deploy-guard");
        command.current_dir(self.folder.path()).args(words);
        command.env("DATABASE_URL", self.url());
        command
    }

    /// `deploy-guard run`; its report and its step summary.
    #[track_caller]
    fn deploy(&self, release: &str, code: i32) -> (Value, String) {
        let report = self.path("report.json");
        let summary = self.path(&format!("{release}.md"));
        self.command(&["run", "--release", release, "--report"])
            .arg(&report)
            .arg("--summary")
            .arg(&summary)
            .assert()
            .code(code);
        let report = serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
        (report, fs::read_to_string(summary).unwrap())
    }

    /// What was noted since the last time.
    fn noted(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("order")).unwrap_or_default();
        fs::write(self.path("order"), "").unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn state(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path("state.json")).unwrap()).unwrap()
    }

    fn live(&self) -> String {
        fs::read_to_string(self.path("live")).unwrap_or_default()
    }

    fn tables(&self) -> String {
        let sql = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_stat_user_tables";
        self.postgres.sql_in("shop", sql).trim().to_owned()
    }
}

/// The phases of a run with their verdicts, in their order.
fn phases(report: &Value) -> Vec<(String, String)> {
    let outcomes = report["outcomes"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    outcomes
        .iter()
        .map(|outcome| (text(&outcome["id"]), text(&outcome["verdict"])))
        .collect()
}

#[test]
fn the_schema_is_changed_after_preflight_and_before_the_deployment() {
    let service = Service::new();
    service.migration("1_orders.sql", "CREATE TABLE orders (id int);");
    let (report, _) = service.deploy("v1", 0);
    assert_eq!(
        phases(&report),
        [
            ("run/preflight", "pass"),
            ("run/migrate", "pass"),
            ("run/deploy", "pass"),
            ("run/healthgate", "pass"),
            ("run/record", "pass"),
        ]
        .map(|(id, verdict)| (id.to_owned(), verdict.to_owned()))
    );
    assert_eq!(
        service.noted(),
        ["preflight: nothing", "deploy: orders", "gate: orders"]
    );
    assert_eq!(service.live(), "v1");
    let state = service.state();
    assert_eq!(state["last_known_good"], "v1");
    assert_eq!(state["database"]["revision"], "1");
    assert_eq!(state["database"]["release"], "v1");
    assert!(state["lock"].is_null(), "{state}");
    assert!(service.path("report.migrate.json").is_file());

    // A bad release after a migration that only adds goes back, and the schema stays.
    service.migration("2_items.sql", "CREATE TABLE items (id int);");
    service.deploy("bad-v2", 1);
    assert_eq!(service.live(), "v1");
    assert_eq!(service.tables(), "items orders schema_migrations");
    let state = service.state();
    assert_eq!(state["current"], "v1");
    assert_eq!(state["database"]["revision"], "2");
    service.noted();

    // Preflight refuses what is known bad, and then nothing is migrated either.
    service.migration("3_more.sql", "CREATE TABLE more (id int);");
    service.deploy("bad-v2", 5);
    assert_eq!(service.noted(), ["preflight: items orders"]);
    assert_eq!(service.tables(), "items orders schema_migrations");
}

#[test]
fn a_migration_that_fails_deploys_nothing_and_the_summary_has_the_databases_words() {
    let service = Service::new();
    service.migration("1_orders.sql", "CREATE TABLE orders (id int);");
    service.deploy("v1", 0);
    service.noted();
    service.migration("2_bad.sql", "ALTER TABLE nowhere ADD COLUMN x int;");
    let (report, summary) = service.deploy("v2", 1);
    assert_eq!(phases(&report).last().unwrap().0, "run/migrate");
    let told = "relation \"nowhere\" does not exist";
    assert!(summary.contains(told), "{summary}");
    assert!(summary.contains("nothing was deployed"), "{summary}");
    assert_eq!(service.noted(), ["preflight: orders"]);
    assert_eq!(service.live(), "v1");
    let state = service.state();
    assert_eq!(state["current"], "v1");
    assert_eq!(state["database"]["revision"], "1");
    assert!(state["lock"].is_null(), "{state}");
    let history = state["history"].as_array().unwrap();
    assert!(
        history.iter().all(|entry| entry["release"] != "v2"),
        "{state}"
    );

    // It is put right, and the same release is deployed.
    service.migration("2_bad.sql", "ALTER TABLE orders ADD COLUMN x int;");
    service.deploy("v2", 0);
    assert_eq!(service.live(), "v2");
}

#[test]
fn killed_in_the_middle_of_the_migration_resume_finishes_it_and_the_run_is_made_again() {
    let service = Service::new();
    service.migration(
        "1_slow.sql",
        "SELECT pg_sleep(1.5); CREATE TABLE orders (id int);",
    );
    let mut run = Command::new(testkit::bin_path("deploy-guard"))
        .current_dir(service.folder.path())
        .env("DATABASE_URL", service.url())
        .args(["run", "--release", "v1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sleeps = || {
        let sql = "SELECT count(*) FROM pg_stat_activity \
                   WHERE query LIKE '%pg_sleep(1%' AND state = 'active' AND pid <> pg_backend_pid()";
        service.postgres.sql_in("shop", sql).trim() == "1"
    };
    let begun = wait_until(Duration::from_secs(30), sleeps);
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(begun, "the migration did not begin");
    assert_eq!(service.noted(), ["preflight: nothing"]);

    let status = service.command(&["migrate", "status"]).assert();
    let status = String::from_utf8_lossy(&status.get_output().stdout).into_owned();
    assert!(status.contains("pending"), "{status}");
    service.command(&["migrate", "resume"]).assert().code(0);
    assert_eq!(service.tables(), "orders schema_migrations");
    let state = service.state();
    assert_eq!(state["database"]["revision"], "1");
    assert_eq!(state["database"]["release"], "v1");
    assert!(state["lock"].is_null(), "{state}");
    assert_eq!(service.live(), "", "resume deploys nothing");

    service.deploy("v1", 0);
    assert_eq!(service.live(), "v1");
}

#[test]
fn a_change_of_the_schema_is_an_event_of_the_log_and_a_look_at_it_is_none() {
    let service = Service::new();
    service.migration("1_orders.sql", "CREATE TABLE orders (id int);");
    let config = fs::read_to_string(service.path("deploy-guard.yml")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["incident"] = json!({});
    fs::write(service.path("deploy-guard.yml"), config.to_string()).unwrap();
    let stages = || -> Vec<Value> {
        let log = fs::read_dir(service.path("state.json.events"));
        let files = log.into_iter().flatten().map(|file| file.unwrap().path());
        let text: String = files
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        let events = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.map(|event| event["stage"].clone()).collect()
    };
    for words in ["status", "plan"] {
        service.command(&["migrate", words]).output().unwrap();
        assert_eq!(stages(), [Value::Null; 0], "{words}");
    }
    service
        .command(&["migrate", "run", "--release", "v1"])
        .assert()
        .code(0);
    assert_eq!(stages(), ["migrate"]);
    // Within a run it is the run that writes it.
    service.deploy("v1", 0);
    let expected = [
        "migrate",
        "",
        "preflight",
        "migrate",
        "healthgate",
        "record",
        "",
    ];
    let seen = stages();
    let seen: Vec<&str> = seen
        .iter()
        .map(|stage| stage.as_str().unwrap_or(""))
        .collect();
    assert_eq!(seen, expected);
}

/// A rule is lifted in each stage that has it; what no stage has is refused before anything is asked.
#[test]
fn a_rule_that_a_person_lifts_is_lifted_in_every_stage_of_the_run() {
    let service = Service::new();
    service.migration("1_orders.sql", "CREATE TABLE orders (id int, note text);");
    service.deploy("v1", 0);
    service.migration("2_note.sql", "ALTER TABLE orders DROP COLUMN note;");
    let (report, _) = service.deploy("v2", 5);
    let (id, _) = phases(&report).pop().unwrap();
    assert_eq!(id, "run/migrate");
    let hint = report["outcomes"].as_array().unwrap().last().unwrap()["hint"].to_string();
    assert!(hint.contains("--force contract --reason TEXT"), "{hint}");
    let mut state = service.state();
    let mut bad = state["history"][0].clone();
    bad["release"] = json!("v2");
    bad["status"] = json!("bad");
    state["history"].as_array_mut().unwrap().push(bad);
    state["frozen"] = json!({"reason": "an incident", "by": "eve", "at": "2026-01-01T00:00:00Z"});
    fs::write(service.path("state.json"), state.to_string()).unwrap();
    service.noted();
    let forced = |rules: &[&str]| {
        let mut command = service.command(&["run", "--release", "v2", "--reason", "tested"]);
        for rule in rules {
            command.args(["--force", rule]);
        }
        command.assert()
    };
    forced(&["frozen", "known-bad"]).code(5);
    assert_eq!(service.live(), "v1");
    forced(&["frozen", "known-bad", "contract"]).code(0);
    assert_eq!(service.live(), "v2");
    let history = service.command(&["rollback", "history"]).assert().code(0);
    let told = String::from_utf8_lossy(&history.get_output().stdout).into_owned();
    assert!(told.contains("contract lifted by"), "{told}");
    let columns = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'note' AND table_name = 'orders'";
    assert_eq!(service.postgres.sql_in("shop", columns).trim(), "0");

    // Without the section there is no such rule.
    let path = service.path("deploy-guard.yml");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config.as_object_mut().unwrap().remove("migrate");
    fs::write(&path, config.to_string()).unwrap();
    service.noted();
    let refused = forced(&["contract"]).code(2);
    let told = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(
        told.contains("no stage of this run has the rule `contract`")
            && told.contains("it is of `migrate:`, which is not configured"),
        "{told}"
    );
    assert!(service.noted().is_empty());
}

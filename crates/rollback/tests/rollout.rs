//! `rollback` while a rollout is in progress, behind a real nginx.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;
use testkit::{Nginx, Shop};

/// v1 on blue is recorded good and has everything; v2 on green waits for its share.
struct Site {
    blue: Shop,
    green: Shop,
    nginx: Nginx,
    folder: TempDir,
}

impl Site {
    fn new() -> Site {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let nginx = Nginx::start(&blue.address());
        nginx.read(&format!(
            "upstream shop {{\n    server {};\n    server {} down;\n}}\n",
            blue.address(),
            green.address()
        ));
        let folder = tempfile::tempdir().unwrap();
        let site = Site {
            blue,
            green,
            nginx,
            folder,
        };
        site.configure(true);
        site.run("rollback", &["record", "--release", "v1"])
            .assert()
            .code(0);
        site
    }

    fn router(&self) -> Value {
        serde_json::json!({
            "upstream-file": self.nginx.upstream_file(),
            "blue": self.blue.address(),
            "green": self.green.address(),
            "release": {"url": self.nginx.url("/api/v1/version"), "jq": ".version"},
            "test": self.nginx.test_command(),
            "reload": self.nginx.reload_command(),
        })
    }

    fn configure(&self, has_traffic: bool) {
        let router = self.router();
        let mut config = serde_json::json!({
            "version": 1,
            "service": "shop",
            "rollback": {"state": "state.json", "nginx": router.clone()},
        });
        if has_traffic {
            config["traffic"] = serde_json::json!({"auto-promote": false, "stage-duration": "300ms", "nginx": router});
        }
        let file = self.folder.path().join("deploy-guard.yml");
        fs::write(file, config.to_string()).unwrap();
    }

    fn run(&self, program: &str, args: &[&str]) -> assert_cmd::Command {
        let mut command = testkit::bin(program);
        command.current_dir(self.folder.path()).args(args);
        command
    }

    fn state(&self) -> Value {
        let text = fs::read_to_string(self.folder.path().join("state.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A ramp that has reached its first stage, and waits there.
    fn waiting_ramp(&self) -> Child {
        let mut command = Command::new(testkit::bin_path("traffic"));
        let ramp = testkit::clean(&mut command)
            .current_dir(self.folder.path())
            .args(["ramp", "--release", "v2"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let waits = || self.state()["rollout"]["phase"] == "waiting";
        assert!(testkit::wait_until(Duration::from_secs(30), waits));
        assert_eq!(self.state()["rollout"]["share"], "10%");
        ramp
    }

    #[track_caller]
    fn v1_has_everything(&self) {
        assert!(self.state()["rollout"].is_null());
        assert_eq!(self.state()["current"], "v1");
        let upstream = fs::read_to_string(self.nginx.upstream_file()).unwrap();
        assert!(
            upstream.contains(&format!("{} down;", self.green.address())),
            "{upstream}"
        );
        for _ in 0..50 {
            let answer = testkit::get(&self.nginx.url("/api/v1/version")).unwrap();
            assert_eq!(answer.header("x-version"), Some("v1"));
        }
    }
}

#[test]
fn a_ramp_that_runs_is_asked_to_end_before_the_rollback() {
    let site = Site::new();
    let mut ramp = site.waiting_ramp();
    site.run("rollback", &["plan"]).assert().code(0).stdout(
        contains("would give everything back to v1 first").and(contains("nothing was changed")),
    );
    assert_eq!(site.state()["rollout"]["share"], "10%");
    site.run("rollback", &["run"]).assert().code(0).stdout(
        contains("its own process has taken it back: v1 has 100% again")
            .and(contains("there is nothing else to take back")),
    );
    // The ramp did not do what it was asked for.
    assert_ne!(ramp.wait().unwrap().code(), Some(0));
    site.v1_has_everything();
    site.run("rollback", &["run"])
        .assert()
        .code(5)
        .stdout(contains("v1 is what runs already"));
}

#[test]
fn the_rollout_of_a_process_that_was_killed_is_taken_back_by_the_rollback() {
    let site = Site::new();
    let mut ramp = site.waiting_ramp();
    ramp.kill().unwrap();
    ramp.wait().unwrap();
    site.run("rollback", &["status"])
        .assert()
        .code(0)
        .stdout(contains("v2 has 10% beside v1 (waiting)"));
    site.run("rollback", &["resume"])
        .assert()
        .code(3)
        .stdout(contains("but a rollout of v2 is in progress"));
    site.run("rollback", &["run"])
        .assert()
        .code(0)
        .stdout(contains("it was taken back: v1 has 100% again"));
    site.v1_has_everything();
    site.run("traffic", &["resume"])
        .assert()
        .code(0)
        .stdout(contains("nothing to resume"));
    for journal in fs::read_dir(site.folder.path().join("state.json.journals")).unwrap() {
        let text = fs::read_to_string(journal.unwrap().path()).unwrap();
        assert!(text.lines().last().unwrap().contains("\"end\""), "{text}");
    }
}

#[test]
fn a_rollback_that_cannot_take_the_rollout_back_changes_nothing() {
    let site = Site::new();
    site.run("traffic", &["set", "10%", "--release", "v2"])
        .assert()
        .code(0);
    let before = fs::read_to_string(site.nginx.upstream_file()).unwrap();
    site.run(
        "rollback",
        &[
            "run",
            "--to",
            "v2",
            "--force=unknown-release",
            "--reason=test",
        ],
    )
    .assert()
    .code(5)
    .stdout(contains("a rollout of v2 is in progress: it has 10%"));
    for release in ["v1", "v2", "v3"] {
        site.run("rollback", &["record", "--release", release])
            .assert()
            .code(5)
            .stdout(
                contains("a rollout of v2 is in progress").and(contains("nothing was recorded")),
            );
    }
    site.configure(false);
    site.run("rollback", &["run"])
        .assert()
        .code(5)
        .stdout(contains("no router is configured that could take it back"));
    assert_eq!(
        fs::read_to_string(site.nginx.upstream_file()).unwrap(),
        before
    );
    assert_eq!(site.state()["rollout"]["share"], "10%");
    site.configure(true);
    site.run("rollback", &["run"]).assert().code(0);
    site.v1_has_everything();
}

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

    /// With what `deploy-guard run` needs. The command waits until the test has put the release on its
    /// side.
    fn configure_run(&self) {
        let router = self.router();
        let config = serde_json::json!({
            "version": 1,
            "service": "shop",
            "deploy": {
                "command": "[ \"$RELEASE\" != v9 ] || exit 7; printf '%s %s %s' \"$RELEASE\" \"$SIDE\" \"$PREVIOUS_RELEASE\" >deploying; while [ ! -e there ]; do sleep 0.05; done",
                "timeout": "30s",
            },
            "rollback": {"state": "state.json", "nginx": router.clone()},
            "traffic": {"stages": ["10%", "100%"], "stage-duration": "1s", "nginx": router},
            "healthgate": {
                "http": [{
                    "name": "ready",
                    "url": self.nginx.url("/health/ready"),
                    "release": {"url": self.nginx.url("/api/v1/version"), "jq": ".version"},
                }],
                "policy": {"interval": "50ms", "success-threshold": 2, "failure-limit": 2, "deadline": "20s"},
            },
        });
        let file = self.folder.path().join("deploy-guard.yml");
        fs::write(file, config.to_string()).unwrap();
    }

    fn deploy(&self, release: &str) -> assert_cmd::assert::Assert {
        let args = ["run", "--release", release, "--report", "report.json"];
        self.run("deploy-guard", &args).assert()
    }

    fn exists(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    /// What the command deploys gets to its side, and then `after` happens.
    fn deployed(&self, release: &str, after: impl FnOnce()) {
        assert!(testkit::wait_until(Duration::from_secs(30), || self.exists("deploying")));
        self.green.set_release(release);
        fs::write(self.folder.path().join("there"), "").unwrap();
        after();
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
        let ramp = testkit::clear_environment(&mut command)
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
    // v2 is deployed to the stable side: what it loses would go to itself.
    let rollout = site.state()["rollout"].clone();
    site.blue.set_release("v2");
    for args in [&["run"][..], &["run", "--dry-run"]] {
        site.run("rollback", args).assert().code(5).stdout(
            contains("runs v2, and the rollout has v2 at green")
                .and(contains("deploy v1 there again")),
        );
    }
    assert_eq!(
        fs::read_to_string(site.nginx.upstream_file()).unwrap(),
        before
    );
    assert_eq!(site.state()["rollout"], rollout);
    site.blue.set_release("v1");
    site.run("rollback", &["run"]).assert().code(0);
    site.v1_has_everything();
}

/// `traffic:` alone has the state, and its file is gone: what looks after a state needs no `rollback:`.
#[test]
fn a_lost_state_is_put_back_without_a_section_rollback() {
    let site = Site::new();
    let file = site.folder.path().join("deploy-guard.yml");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    config.as_object_mut().unwrap().remove("rollback");
    config["traffic"]["state"] = "state.json".into();
    fs::write(file, config.to_string()).unwrap();
    let mut ramp = site.waiting_ramp();
    ramp.kill().unwrap();
    ramp.wait().unwrap();
    fs::remove_file(site.folder.path().join("state.json")).unwrap();
    site.run("traffic", &["abort"])
        .assert()
        .code(5)
        .stderr(contains("`rollback state repair`"));
    site.run("rollback", &["state", "repair"])
        .assert()
        .code(1)
        .stdout(contains("v2 has 10% beside v1"));
    site.run("rollback", &["state", "repair", "--yes"])
        .assert()
        .code(0);
    for args in [&["status"][..], &["unlock"], &["state", "validate"]] {
        site.run("rollback", args).assert().code(0);
    }
    site.run("rollback", &["run"])
        .assert()
        .code(2)
        .stderr(contains("no rollback is configured"));
    site.run("traffic", &["abort"])
        .assert()
        .code(0)
        .stdout(contains("v1 has 100% again"));
    site.v1_has_everything();
}

#[test]
fn a_deployment_goes_to_the_idle_side_and_gets_share_after_share() {
    let site = Site::new();
    site.configure_run();
    site.green.set_release("v0");
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| site.deployed("v2", || ()));
        site.deploy("v2")
    });
    ran.code(0)
        .stdout(contains("v2 is live, healthy, and last-known-good"));
    let deploying = fs::read_to_string(site.folder.path().join("deploying")).unwrap();
    assert_eq!(deploying, "v2 green v1");
    assert!(site.exists("report.traffic.json") && site.exists("report.healthgate.json"));
    assert!(site.state()["rollout"].is_null());
    assert_eq!(site.state()["current"], "v2");
    assert_eq!(site.state()["last_known_good"], "v2");
    let upstream = fs::read_to_string(site.nginx.upstream_file()).unwrap();
    let blue = upstream
        .lines()
        .find(|line| line.contains(&site.blue.address()));
    assert!(
        blue.is_some_and(|line| line.ends_with(" down;")),
        "{upstream}"
    );
    site.deploy("v2")
        .code(5)
        .stdout(contains("v2 has all requests already"));
}

#[test]
fn a_deployment_that_fails_at_a_small_share_goes_back_without_a_rollback() {
    let site = Site::new();
    site.configure_run();
    site.green.set_release("v0");
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            site.deployed("v2", || {
                let is_judged = || site.state()["rollout"]["phase"] == "judging";
                assert!(testkit::wait_until(Duration::from_secs(30), is_judged));
                site.green.set_health("down", 503);
            });
        });
        site.deploy("v2")
    });
    ran.code(1)
        .stdout(contains("v2 taken back from 10%: v1 has 100% again"));
    assert!(
        !site.exists("report.rollback.json"),
        "nothing else was changed"
    );
    site.v1_has_everything();
    site.green.set_health("healthy", 200);
    site.deploy("v2")
        .code(5)
        .stdout(contains("v2 is known bad"));
}

#[test]
fn a_deployment_that_never_gets_to_its_side_leaves_users_alone() {
    let site = Site::new();
    site.configure_run();
    site.green.set_release("v0");
    site.deploy("v9").code(1).stdout(contains(
        "v9 failed to deploy to green, which has no traffic",
    ));
    site.v1_has_everything();
    site.run("deploy-guard", &["run", "--release", "v2", "--dry-run"])
        .assert()
        .code(3)
        .stdout(contains("RELEASE=v2 SIDE=green, then give it 10%, 100%"));
    site.run("traffic", &["set", "10%", "--release", "v0"])
        .assert()
        .code(0);
    site.deploy("v2")
        .code(5)
        .stdout(contains("a rollout of v0 is in progress").and(contains("nothing was deployed")));
}

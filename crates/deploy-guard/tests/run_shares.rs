//! `deploy-guard run` with a section `traffic`, on the machine itself.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{End, Nginx, Shop};

/// A service whose sides share the requests of nginx, and a state that is read as a user would.
struct World {
    blue: Shop,
    green: Shop,
    nginx: Nginx,
    folder: TempDir,
}

impl World {
    /// Blue runs v1 and has everything, green runs v2; with these further keys of `traffic`.
    fn new(traffic: Value) -> World {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let nginx = Nginx::start(&blue.address());
        let world = World {
            blue,
            green,
            nginx,
            folder: tempfile::tempdir().unwrap(),
        };
        world.divide("", "down");
        let World {
            blue, green, nginx, ..
        } = &world;
        let router = json!({
            "upstream-file": nginx.upstream_file(),
            "test": nginx.test_command(),
            "reload": nginx.reload_command(),
            "blue": blue.address(),
            "green": green.address(),
            "release": {"url": nginx.url("/api/v1/version"), "jq": ".version"},
        });
        let mut section = json!({"stages": ["10%", "100%"], "nginx": router});
        let more = traffic.as_object().unwrap().clone();
        section.as_object_mut().unwrap().extend(more);
        let config = json!({
            "version": 1,
            "service": "shop",
            "deploy": {"command": "true"},
            "traffic": section,
            "rollback": {"state": world.state(), "nginx": router},
            "healthgate": {"http": [{"name": "ready", "url": nginx.url("/health/ready")}]},
        });
        fs::write(
            world.folder.path().join("deploy-guard.yml"),
            config.to_string(),
        )
        .unwrap();
        world
    }

    /// What each `server` line of the two has, by a hand that is not ours.
    fn divide(&self, blue: &str, green: &str) {
        self.nginx.read(&format!(
            "upstream shop {{ server {} {blue}; server {} {green}; }}\n",
            self.blue.address(),
            self.green.address()
        ));
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state.json")
    }

    fn rollout(&self) -> Value {
        let text = fs::read_to_string(self.state()).unwrap_or_default();
        let document: Value = serde_json::from_str(&text).unwrap_or_default();
        document["rollout"].clone()
    }

    /// `run --release v2`, when its rollout has come to this phase.
    #[track_caller]
    fn run_until(&self, phase: &str) -> Child {
        let mut run = Command::new(testkit::bin_path("deploy-guard"));
        let child = testkit::clear_environment(&mut run)
            .current_dir(self.folder.path())
            .args(["run", "--release", "v2"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while self.rollout()["phase"] != phase {
            assert!(Instant::now() < end, "{}", self.rollout());
            std::thread::sleep(Duration::from_millis(5));
        }
        child
    }
}

/// Both values are told, and a promotion, which would leave the other one, is not offered.
#[test]
fn a_run_whose_share_another_changed_tells_both_values_and_offers_no_promotion() {
    let world = World::new(json!({"stage-duration": "60s", "watch-interval": "200ms"}));
    let child = world.run_until("judging");
    world.divide("", "");
    let end = End::from(child.wait_with_output().unwrap()).is(
        1,
        &[
            "the ramp of v2 stopped: localhost has blue 50%, green 50%, and blue 90%, green 10% was set",
            "`traffic status`, then `traffic resume` or `traffic abort`",
        ],
    );
    for wrong in ["v2 has 10% beside v1", "traffic promote"] {
        assert!(!end.text.contains(wrong), "{}", end.text);
    }
    assert_eq!(world.rollout()["phase"], "held");
}

/// The answers are too slow to prove anything in the time that a signal leaves: only `resume` is of use then.
#[test]
fn a_run_that_is_cancelled_in_a_slow_proof_leaves_nothing_but_a_proof_to_resume() {
    let world = World::new(json!({"deadline": "10m"}));
    let child = world.run_until("setting");
    for side in [&world.blue, &world.green] {
        side.set_delay(Duration::from_secs(1));
    }
    std::thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    let mut kill = Command::new("kill");
    let sent = testkit::clear_environment(&mut kill).args(["-TERM", &child.id().to_string()]);
    assert!(sent.status().unwrap().success());
    let end = End::from(child.wait_with_output().unwrap());
    assert!(
        asked.elapsed() < Duration::from_millis(7500),
        "{:?}",
        asked.elapsed()
    );
    let end = end.is(
        143,
        &[
            "v2 had 10%, and v1 gets all again",
            "0% is set, not yet proved: `traffic resume` proves it",
        ],
    );
    assert!(!end.text.contains("traffic promote"), "{}", end.text);
    assert_eq!(world.rollout()["phase"], "aborting");
}

/// Of a release that is known bad, in an environment that is frozen.
#[test]
fn a_rule_that_a_person_lifts_is_lifted_for_the_ramp_of_the_run() {
    let world = World::new(json!({"stage-duration": "200ms"}));
    let run = |args: &[&str]| {
        let mut command = testkit::bin("deploy-guard");
        command.current_dir(world.folder.path()).args(args);
        command.assert()
    };
    run(&["rollback", "record", "--release", "v1"]).code(0);
    let mut state: Value =
        serde_json::from_str(&fs::read_to_string(world.state()).unwrap()).unwrap();
    let mut bad = state["history"][0].clone();
    bad["release"] = json!("v2");
    bad["status"] = json!("bad");
    state["history"].as_array_mut().unwrap().push(bad);
    state["frozen"] = json!({"reason": "an incident", "by": "eve", "at": "2026-01-01T00:00:00Z"});
    fs::write(world.state(), state.to_string()).unwrap();
    run(&["run", "--release", "v2"]).code(5);
    run(&[
        "run",
        "--release",
        "v2",
        "--force",
        "known-bad",
        "--force",
        "frozen",
        "--reason",
        "tested",
    ])
    .code(0);
    let state: Value = serde_json::from_str(&fs::read_to_string(world.state()).unwrap()).unwrap();
    assert_eq!(state["last_known_good"], "v2", "{state}");
    let journals = format!("{}.journals", world.state().display());
    let texts = fs::read_dir(journals).unwrap().map(|journal| {
        let text = fs::read_to_string(journal.unwrap().path()).unwrap();
        serde_json::from_str::<Value>(text.lines().next().unwrap()).unwrap()
    });
    let mut shares: Vec<Value> = texts
        .filter(|begin| begin["operation"] == "traffic")
        .collect();
    shares.sort_by_key(|begin| begin["at"].to_string());
    let first = &shares[0];
    let rules = first["forced"].as_array().cloned().unwrap_or_default();
    let rules: Vec<_> = rules
        .iter()
        .map(|one| (&one["rule"], &one["reason"]))
        .collect();
    let tested = json!("tested");
    assert_eq!(
        rules,
        [(&json!("frozen"), &tested), (&json!("known-bad"), &tested)],
        "{first}"
    );
}

//! Rolling back by a command, through everything that goes wrong.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;

/// A service whose live release is a file, switched by a shell hook.
struct Site(TempDir);

impl Site {
    fn new(run: &str) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "version: 1\nservice: shop\nrollback:\n  state: state.json\n  command:\n    run: '{run}'\n    current: cat live\n"
        );
        std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
        let site = Site(folder);
        site.set_live("v1");
        site.run(&["record", "--release", "v1"]).assert().code(0);
        site.set_live("v2");
        site
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = testkit::bin("rollback");
        command.current_dir(self.0.path()).args(args);
        command
    }

    fn spawn(&self, args: &[&str]) -> Child {
        let mut command = Command::new(testkit::bin_path("rollback"));
        testkit::clean(&mut command)
            .current_dir(self.0.path())
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn set_live(&self, release: &str) {
        std::fs::write(self.path("live"), release).unwrap();
    }

    fn live(&self) -> String {
        std::fs::read_to_string(self.path("live")).unwrap()
    }

    fn state(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.path("state.json")).unwrap()).unwrap()
    }
}

const SWITCH: &str = "printf %s \"$RELEASE\" > live.new; mv live.new live";
/// Long enough to be killed in the middle.
const SLOW: &str = "sleep 0.05; printf %s \"$RELEASE\" > live.$$; mv live.$$ live; sleep 0.05";

#[test]
fn last_known_good_is_restored_and_the_bad_release_remembered() {
    let site = Site::new(SWITCH);
    site.run(&["run", "--format", "json"])
        .assert()
        .code(0)
        .stdout(contains("rolled back from v2 to v1"));
    assert_eq!(site.live(), "v1");
    let state = site.state();
    assert_eq!(state["current"], "v1");
    assert_eq!(state["lock"], serde_json::Value::Null);
    assert_eq!(state["history"][0]["release"], "v2");
    assert_eq!(state["history"][0]["status"], "bad");
    assert!(site.path("state.json.bak").is_file());
}

#[test]
fn each_refusal_has_exit_5_and_a_next_step() {
    let site = Site::new(SWITCH);
    let refused = |args: &[&str], why: &str| {
        site.run(args)
            .assert()
            .code(5)
            .stdout(contains(why).and(contains("hint:")));
    };
    refused(&["run", "--to", "v9"], "v9 was never recorded");
    site.run(&["run"]).assert().code(0);
    refused(&["run"], "v1 is what runs already");
    refused(&["run", "--to", "v2"], "v2 is known bad");
    refused(&["record", "--release", "v2"], "v2 is known bad");
    assert_eq!(site.live(), "v1");
    let empty = tempfile::tempdir().unwrap();
    std::fs::copy(
        site.path("deploy-guard.yml"),
        empty.path().join("deploy-guard.yml"),
    )
    .unwrap();
    testkit::bin("rollback")
        .current_dir(empty.path())
        .arg("run")
        .assert()
        .code(5)
        .stdout(contains("no last-known-good release is recorded"));
}

#[test]
fn a_damaged_state_is_refused_and_left_as_it_is() {
    let site = Site::new(SWITCH);
    site.run(&["record", "--release", "v1"]).assert().code(0);
    std::fs::write(site.path("state.json"), "{\"schema\": \"deploy-gu").unwrap();
    for action in ["run", "resume", "status", "history", "plan", "unlock"] {
        site.run(&[action])
            .assert()
            .code(5)
            .stderr(contains("damaged").and(contains("state.json.bak")));
    }
    assert_eq!(
        std::fs::read_to_string(site.path("state.json")).unwrap(),
        "{\"schema\": \"deploy-gu"
    );
    assert_eq!(site.live(), "v2");
}

#[test]
fn a_plan_changes_nothing() {
    let site = Site::new(SWITCH);
    let before = std::fs::read(site.path("state.json")).unwrap();
    for args in [&["plan"][..], &["run", "--dry-run"]] {
        site.run(args)
            .assert()
            .code(0)
            .stdout(contains("from v2").and(contains("nothing was changed")));
    }
    assert_eq!(site.live(), "v2");
    assert_eq!(std::fs::read(site.path("state.json")).unwrap(), before);
    assert!(!site.path("state.json.journals").exists());
}

#[test]
fn the_pipeline_of_the_readme_rolls_back() {
    let site = Site::new(SWITCH);
    let folder = testkit::bin_path("rollback")
        .parent()
        .unwrap()
        .display()
        .to_string();
    let script = "printf v3 > live && false && rollback record --release v3 || rollback run";
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    let status = testkit::clean(&mut command)
        .current_dir(site.0.path())
        .args(["-c", script])
        .env("PATH", path)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(site.live(), "v1");
    assert_eq!(site.state()["history"][0]["release"], "v3");
}

#[test]
fn values_with_quotes_and_commands_stay_values() {
    let site = Site::new(SWITCH);
    let evil = "v1 $(touch pwned) '\"; touch pwned #";
    site.set_live(evil);
    site.run(&["record", "--release", evil]).assert().code(0);
    site.set_live("v2");
    site.run(&["run"]).assert().code(0);
    assert_eq!(site.live(), evil);
    assert!(!site.path("pwned").exists());
}

#[test]
fn some_hosts_changed_and_some_not_is_partial_and_can_be_resumed() {
    let site = Site::new("test \"$HOST\" != b -o -e mended && touch done.$HOST");
    let config = std::fs::read_to_string(site.path("deploy-guard.yml")).unwrap();
    let config = format!(
        "hosts: {{ a: {{ address: a }}, b: {{ address: b }}, c: {{ address: c }} }}\n{}    hosts: [a, b, c]\n",
        config.replace("    current: cat live\n", "")
    );
    std::fs::write(site.path("deploy-guard.yml"), config).unwrap();
    let run = || site.run(&["run", "--release", "v2"]);
    run()
        .assert()
        .code(6)
        .stdout(contains("2 of 3 hosts run v1, 1 do not"));
    assert!(site.path("done.a").exists() && site.path("done.c").exists());
    std::fs::write(site.path("mended"), "").unwrap();
    std::fs::remove_file(site.path("done.a")).unwrap();
    site.run(&["resume"]).assert().code(0);
    assert!(site.path("done.b").exists());
    assert!(
        !site.path("done.a").exists(),
        "what was done is not done again"
    );
    site.run(&["resume"])
        .assert()
        .code(0)
        .stdout(contains("nothing to resume"));
}

#[test]
fn killed_at_any_moment_resume_converges() {
    let site = Site::new(SLOW);
    // A small generator with a fixed seed: the same moments in each run of the test.
    let mut seed = 12_u64;
    for round in 0..40 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let bad = format!("bad-{round}");
        site.set_live(&bad);
        site.run(&["record", "--pending", "--release", &bad])
            .assert()
            .code(0);
        let mut child = site.spawn(&["run"]);
        std::thread::sleep(Duration::from_micros(3_000 + (seed >> 33) % 140_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let begun = site.state()["lock"].is_object()
            || site.path("state.json.journals").exists() && site.live() != bad;
        site.run(&["resume"]).assert().code(0);
        if !begun && site.live() == bad {
            // Killed before it had the lock: nothing was begun, and nothing is said to be.
            site.run(&["run"]).assert().code(0);
        }
        assert_eq!(site.live(), "v1", "round {round}");
        let state = site.state();
        assert_eq!(state["current"], "v1");
        assert_eq!(state["lock"], serde_json::Value::Null);
        let before = std::fs::read(site.path("state.json")).unwrap();
        site.run(&["resume"])
            .assert()
            .code(0)
            .stdout(contains("nothing to resume"));
        assert_eq!(std::fs::read(site.path("state.json")).unwrap(), before);
        // An orphan of the killed hook may still be on its way to the same release.
        std::thread::sleep(Duration::from_millis(60));
    }
}

#[test]
fn cut_off_after_every_line_of_its_journal_resume_converges() {
    let site = Site::new(SWITCH);
    site.run(&["run"]).assert().code(0);
    let journals = site.path("state.json.journals");
    let newest = |folder: &Path| {
        let mut all: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        all.sort();
        all.pop().unwrap()
    };
    let path = newest(&journals);
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 4, "begin, intent, done, end: {whole}");
    for cut in 1..lines.len() {
        for torn in ["", "{\"at\":\"2026-11-2"] {
            std::fs::write(&path, format!("{}\n{torn}", lines[..cut].join("\n"))).unwrap();
            site.set_live("v2");
            site.run(&["resume"]).assert().code(0);
            // A step that was journalled as done is not made again.
            if cut < 3 {
                assert_eq!(site.live(), "v1", "after {cut} lines");
            }
            site.run(&["resume"])
                .assert()
                .code(0)
                .stdout(contains("nothing to resume"));
            assert!(newest(&journals) == path);
        }
    }
}

#[test]
fn of_two_rollbacks_at_once_one_acts_and_the_other_names_it() {
    let site = Site::new("echo run >> runs; sleep 1; printf %s \"$RELEASE\" > live");
    let mut first = site.spawn(&["run"]);
    assert!(testkit::wait_until(Duration::from_secs(5), || site
        .path("runs")
        .exists()));
    site.run(&["run"])
        .assert()
        .code(5)
        .stderr(contains(format!("process {}", first.id())).or(contains("locked by")))
        .stdout(contains("refused"));
    site.run(&["unlock"])
        .assert()
        .code(5)
        .stdout(contains("may be alive"));
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read_to_string(site.path("runs")).unwrap(), "run\n");
    assert_eq!(site.live(), "v1");
}

#[test]
fn a_signal_leaves_a_journal_that_can_be_resumed() {
    let site = Site::new("sleep 0.5; printf %s \"$RELEASE\" > live");
    let mut child = site.spawn(&["run"]);
    std::thread::sleep(Duration::from_millis(200));
    Command::new("kill")
        .args(["-s", "TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(site.live(), "v1", "the step that had begun is finished");
    site.run(&["status"])
        .assert()
        .code(1)
        .stdout(contains("rollback resume"));
    site.run(&["resume"]).assert().code(0);
    assert_eq!(site.state()["current"], "v1");
}

#[test]
fn a_release_that_is_not_healthy_after_the_rollback_freezes_the_environment() {
    let site = Site::new(SWITCH);
    let mut config = std::fs::read_to_string(site.path("deploy-guard.yml")).unwrap();
    let port = testkit::free_port();
    config.push_str(&format!(
        "healthgate:\n  policy: {{ interval: 20ms, deadline: 1s, failure-limit: 1 }}\n  http: [{{ name: ready, url: 'http://127.0.0.1:{port}/' }}]\n"
    ));
    std::fs::write(site.path("deploy-guard.yml"), config).unwrap();
    site.run(&["run"])
        .assert()
        .code(1)
        .stdout(contains("a person has to look").and(contains("environment is frozen")));
    assert!(
        site.state()["frozen"]["reason"]
            .as_str()
            .unwrap()
            .contains("v1")
    );
    site.run(&["run"])
        .assert()
        .code(5)
        .stdout(contains("frozen"));
    site.run(&["resume"])
        .assert()
        .code(0)
        .stdout(contains("nothing to resume"));
    site.run(&["unfreeze"]).assert().code(0);
    site.run(&["status"]).assert().code(0);
}

//! The runbooks' ways back, by name.

use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::e2e::world::World;

/// v0 and v1 are good; v2 was deployed and is pending.
fn with_history() -> World {
    let world = World::new(&["localhost"], true);
    world.set_live("v0");
    world.rollback(&["record", "--release", "v0"]).exits(0);
    world.deploy_v2();
    world
}

#[track_caller]
fn outcome<'r>(report: &'r Value, id: &str) -> &'r Value {
    let mut all = report["outcomes"].as_array().unwrap().iter();
    all.find(|outcome| outcome["id"] == id)
        .unwrap_or_else(|| panic!("{id}: {report}"))
}

/// The verdict of `preflight` on a deployment now.
fn preflight(world: &World) -> (i32, String) {
    let text = world.read("deploy-guard.yml") + "preflight: { rollback-ready: {} }\n";
    world.write("deploy-guard.yml", &text);
    let mut command = std::process::Command::new(testkit::bin_path("preflight"));
    let output = testkit::clear_environment(&mut command)
        .current_dir(world.path(""))
        .args(["--release", "v3"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn runbook_000_option_1_automatic_rollback() {
    let world = with_history();
    let report = world.rollback(&["run", "--format", "json"]).exits(0).json();
    assert_eq!(world.live(), "v1");
    assert_eq!(outcome(&report, "verify/http/ready")["verdict"], "pass");
    assert!(
        report["duration_ms"].as_u64().unwrap() < 120_000,
        "two minutes"
    );
}

#[test]
fn runbook_000_option_2_manual_rollback() {
    let world = with_history();
    world
        .rollback(&["history"])
        .exits(0)
        .says("history/v0")
        .says("history/v1");
    world.rollback(&["run", "--to", "v0", "--dry-run"]).exits(0);
    assert_eq!(world.live(), "v2");
    world.rollback(&["run", "--to", "v0"]).exits(0);
    assert_eq!(world.live(), "v0");
    assert_eq!(world.state().last_known_good.as_deref(), Some("v0"));
}

#[test]
fn runbook_000_option_3_fix_forward() {
    let world = with_history();
    let gate = || {
        let mut gate = std::process::Command::new(testkit::bin_path("healthgate"));
        let gate = testkit::clear_environment(&mut gate).current_dir(world.path(""));
        let ended = gate.args(["--release", "v2"]).output().unwrap();
        ended.status.code().unwrap_or(-1)
    };
    world.server.unhealthy.store(true, Ordering::SeqCst);
    assert_eq!(gate(), 1);
    // The configuration was fixed and the service restarted: the same release is probed again.
    world.server.unhealthy.store(false, Ordering::SeqCst);
    assert_eq!(gate(), 0);
    world.rollback(&["record", "--release", "v2"]).exits(0);
    assert_eq!(world.state().last_known_good.as_deref(), Some("v2"));
    world
        .rollback(&["run"])
        .exits(5)
        .says("v2 is what runs already");
}

#[test]
fn runbook_001_automatic_rollback() {
    let world = with_history();
    // The gate's failure and the rollback after it, as a workflow has them.
    world.server.unhealthy.store(true, Ordering::SeqCst);
    let mut gate = std::process::Command::new(testkit::bin_path("healthgate"));
    let gate = testkit::clear_environment(&mut gate)
        .current_dir(world.path(""))
        .args(["--release", "v2"])
        .output()
        .unwrap();
    assert_eq!(gate.status.code(), Some(1));
    world.server.unhealthy.store(false, Ordering::SeqCst);
    world
        .rollback(&["run"])
        .exits(0)
        .says("rolled back from v2 to v1");
    assert_eq!(world.state().status("v2"), Some(state::Status::Bad));
}

#[test]
fn runbook_001_manual_rollback() {
    let world = with_history();
    world
        .rollback(&["plan", "--to", "v1"])
        .exits(0)
        .says("would roll back to v1");
    world.rollback(&["run", "--to", "v1"]).exits(0);
    assert_eq!(world.live(), "v1");
    world
        .rollback(&["run", "--to", "v7"])
        .exits(5)
        .says("never recorded");
}

#[test]
fn runbook_003_automatic_rollback_1_to_6_and_a_dry_run_first() {
    let world = with_history();
    world.configure(
        &["localhost"],
        true,
        "  backup: [{ name: b, run: \"cat live >saved\" }]\n  after: [{ name: a, run: \"echo $VERDICT $RELEASE >told\" }]\n",
    );
    world
        .rollback(&["run", "--dry-run"])
        .exits(0)
        .says("nothing was changed");
    assert_eq!(
        (world.live().as_str(), world.read("saved").as_str()),
        ("v2", "")
    );
    let report = world.rollback(&["run", "--format", "json"]).exits(0).json();
    assert_eq!(world.read("saved"), "v2");
    assert_eq!(world.live(), "v1");
    assert_eq!(outcome(&report, "verify/http/ready")["verdict"], "pass");
    assert_eq!(world.read("told"), "pass v1\n");
}

#[test]
fn runbook_003_troubleshooting_3_the_rollback_does_not_restore_the_service() {
    let world = with_history();
    world.server.unhealthy.store(true, Ordering::SeqCst);
    let report = world.rollback(&["run", "--format", "json"]).exits(1).json();
    let escalation = outcome(&report, "rollback/escalate");
    let hint = escalation["hint"].as_str().unwrap();
    for words in [
        "healthgate --release v1",
        "rollback run --to v0 --force frozen --reason",
        "rollback unfreeze",
        ".deploy-guard/evidence",
    ] {
        assert!(hint.contains(words), "{words}: {hint}");
    }
    let reason = escalation["reason"].as_str().unwrap();
    assert!(
        reason.contains("v2 to v1") && reason.contains("last-known-good"),
        "{reason}"
    );
    // The very command that was printed.
    world.server.unhealthy.store(false, Ordering::SeqCst);
    world
        .rollback(&[
            "run",
            "--to",
            "v0",
            "--force",
            "frozen",
            "--reason",
            "v1 fails too",
        ])
        .exits(0);
    assert_eq!(world.live(), "v0");
}

#[test]
fn runbook_004_mode_4_rollback_also_fails() {
    let world = World::with_v2_deployed();
    world.server.unhealthy.store(true, Ordering::SeqCst);
    world
        .rollback(&["run"])
        .exits(1)
        .says("rollback/escalate")
        .says("no older good release is recorded");
    world.rollback(&["status"]).exits(1).says("is frozen");
    let (code, text) = preflight(&world);
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("the environment is frozen"), "{text}");
    world
        .rollback(&["record", "--release", "v3"])
        .exits(5)
        .says("frozen");
}

#[test]
fn runbook_004_emergency_degraded_state() {
    let hosts = ["web-01", "web-02", "web-03"];
    let world = World::new(&hosts, false);
    world.write(
        "run.sh",
        "if [ -f before-run ]; then . ./before-run; fi\nprintf %s \"$RELEASE\" >\"live.$HOST\"\n",
    );
    world.write("current.sh", "cat \"live.$HOST\"");
    for (release, pending) in [("v1", &[] as &[&str]), ("v2", &["--pending"])] {
        for host in hosts {
            world.write(&format!("live.{host}.test"), release);
        }
        let args = [&["record", "--release", release], pending].concat();
        world.rollback(&args).exits(0);
    }
    world.write("before-run", "if [ $HOST = web-02.test ]; then exit 1; fi");
    let report = world.rollback(&["run", "--format", "json"]).exits(6).json();
    let escalation = outcome(&report, "rollback/escalate");
    let hint = escalation["hint"].as_str().unwrap();
    for words in [
        "do not deploy",
        "rollback status",
        "rollback resume",
        "rollback abort",
    ] {
        assert!(hint.contains(words), "{words}: {hint}");
    }
    assert!(
        escalation["reason"].as_str().unwrap().contains("web-02"),
        "{escalation}"
    );
    let (code, text) = preflight(&world);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("rollback resume"), "{text}");
    std::fs::remove_file(world.path("before-run")).unwrap();
    world.rollback(&["resume"]).exits(0);
    assert_eq!(world.read("live.web-02.test"), "v1");
}

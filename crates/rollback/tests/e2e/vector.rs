//! The report shows what each host runs at the end, whatever the steps claim.

use std::fs;

use crate::e2e::fleet::{fails_at, fleet, live, vector};
use crate::e2e::world::World;

#[track_caller]
fn nothing_is_recorded(world: &World) {
    let state = world.state();
    assert_eq!(state.current.as_deref(), Some("v2"));
    assert_eq!(state.status("v2"), Some(state::Status::Pending));
    assert_eq!((state.lock, state.frozen), (None, None));
}

#[test]
fn what_changed_nowhere_is_no_rollback_however_many_may_fail() {
    let world = fleet("  max-failed: 100%\n");
    world.write("before-run", "exit 28");
    let report = world.rollback(&["run", "--format", "json"]).exits(1).json();
    assert_eq!(vector(&report), ["v2"; 5], "{report}");
    assert_eq!(report["verdict"], "fail");
    nothing_is_recorded(&world);
    fs::remove_file(world.path("before-run")).unwrap();
    world.rollback(&["resume"]).exits(0);
    assert_eq!(live(&world), "v1 v1 v1 v1 v1");
    // Where no host can be made ready, nothing is begun.
    let world = fleet("  max-failed: 100%\n");
    world.write("before-check", "exit 1");
    world
        .rollback(&["run"])
        .exits(5)
        .says("refused/destination");
    assert_eq!(world.journal(), None);
    nothing_is_recorded(&world);
}

#[test]
fn a_command_that_ends_well_and_changes_nothing_is_a_failure() {
    let world = World::new(&["localhost"], false);
    world.deploy_v2();
    world.write("before-run", "exit 0");
    world
        .rollback(&["run"])
        .exits(1)
        .says("it runs v2")
        .says("it is not what runs")
        .says("rollback unfreeze");
    assert!(world.state().frozen.is_some());
    world.rollback(&["unfreeze"]).exits(0);
    nothing_is_recorded(&world);
    // Nor is it one where the command cannot say.
    world.write("before-current", "[ ! -f calls ] || exit 7");
    world.rollback(&["run"]).exits(4).says("exit status 7");
    assert_ne!(
        world.state().status("v1"),
        Some(state::Status::Bad),
        "v1 was not found bad"
    );
    for script in ["before-current", "before-run"] {
        fs::remove_file(world.path(script)).unwrap();
    }
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.live(), "v1");
}

#[test]
fn an_abort_that_puts_nothing_back_is_none() {
    let world = fleet("  batch: 1\n");
    fails_at(&world, "web-03");
    world.rollback(&["run"]).exits(6);
    assert_eq!(live(&world), "v1 v1 v2 v1 v1");
    world.write("before-run", "exit 0");
    let report = world.rollback(&["abort", "--format", "json"]).exits(6);
    let report = report.json();
    assert_eq!(vector(&report), ["v1", "v1", "v2", "v1", "v1"], "{report}");
    assert!(report.to_string().contains("prints v1, not v2"), "{report}");
    fs::remove_file(world.path("before-run")).unwrap();
    world.rollback(&["resume"]).exits(0).says("v2 is back");
    assert_eq!(live(&world), "v2 v2 v2 v2 v2");
}

#[test]
fn a_lock_that_is_lost_half_way_leaves_a_vector_and_a_journal() {
    let world = fleet("  batch: 2\n");
    world.write(
        "after-run",
        "if [ $HOST = web-02.test ]; then mv state.json away; fi",
    );
    let report = world.rollback(&["run", "--format", "json"]).exits(6).json();
    assert_eq!(vector(&report), ["v1", "v1", "v2", "v2", "v2"], "{report}");
    let reason = report["reason"].as_str().unwrap();
    assert!(
        reason.contains("state.json is gone") && reason.contains("2 of 5 hosts run v1"),
        "{reason}"
    );
    let text = report.to_string();
    assert!(
        text.contains("rollback/escalate") && text.contains("rollback resume"),
        "{text}"
    );
    fs::rename(world.path("away"), world.path("state.json")).unwrap();
    fs::remove_file(world.path("after-run")).unwrap();
    world.rollback(&["resume"]).exits(0);
    assert_eq!(live(&world), "v1 v1 v1 v1 v1");
}

#[test]
fn a_lock_that_is_lost_at_the_end_hides_nothing() {
    let world = fleet("");
    world.write(
        "before-current",
        "if [ \"$(cat live.web-05.test)\" = v1 ] && [ -f state.json ]; then mv state.json away; fi",
    );
    world.write("current.sh", ". ./before-current; cat \"live.$HOST\"");
    let report = world.rollback(&["run", "--format", "json"]).exits(5).json();
    assert_eq!(vector(&report), ["v1"; 5], "{report}");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.starts_with("stopped: "), "{reason}");
    fs::rename(world.path("away"), world.path("state.json")).unwrap();
    world.write("before-current", "");
    world.rollback(&["resume"]).exits(0);
    assert_eq!(world.state().current.as_deref(), Some("v1"));
}

#[test]
fn a_place_that_the_configuration_lost_is_named_and_another_target_is_refused() {
    let world = fleet("  batch: 1\n");
    fails_at(&world, "web-03");
    world.rollback(&["run"]).exits(6);
    let whole = world.read("deploy-guard.yml");
    let alone = whole.replace(
        r#"    hosts: ["web-01", "web-02", "web-03", "web-04", "web-05"]"#,
        "",
    );
    assert_ne!(alone, whole);
    world.write("deploy-guard.yml", &alone);
    world
        .rollback(&["resume"])
        .exits(5)
        .says("refused/other-steps")
        .says("command/web-03");
    assert_eq!(world.state().lock, None);
    world.write("deploy-guard.yml", &whole.replace(r#""web-03", "#, ""));
    world
        .rollback(&["resume"])
        .exits(0)
        .says("journal/command/web-03")
        .says("no longer names its place");
    assert_eq!(live(&world), "v1 v1 v2 v1 v1");
}

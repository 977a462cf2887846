//! A rehearsal: everything but the change.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::e2e::world::World;

/// Every file below a folder and what it holds, but for the state, whose drill is recorded.
fn files(folder: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            files(&path, all);
        } else if !name.contains("/state.json") {
            all.insert(name, fs::read(&path).unwrap());
        }
    }
}

fn everything(world: &World) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    files(&world.path(""), &mut all);
    all
}

#[track_caller]
fn outcome<'r>(report: &'r Value, id: &str) -> &'r Value {
    let mut all = report["outcomes"].as_array().unwrap().iter();
    all.find(|outcome| outcome["id"] == id)
        .unwrap_or_else(|| panic!("{id}: {report}"))
}

#[test]
fn everything_is_asked_and_timed_and_nothing_changes() {
    let world = World::with_v2_deployed();
    world.write("before-check", "sleep 0.2");
    let before = everything(&world);
    let mut state = world.state();
    let report = world
        .rollback(&["rehearse", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(everything(&world), before);
    assert_eq!((world.live().as_str(), world.journal()), ("v2", None));
    let after = world.state();
    assert!(after.last_drill.is_some());
    let rehearsed = after.rehearsed.clone().unwrap();
    assert_eq!(rehearsed.destination, "v1");
    assert!(rehearsed.takes_ms >= 200, "{rehearsed:?}");
    state.rehearsed = Some(rehearsed);
    (state.last_drill, state.generation) = (after.last_drill, after.generation);
    (state.last_token, state.write) = (after.last_token, after.write.clone());
    assert_eq!(after, state, "but for the drill nothing is recorded");
    let step = outcome(&report, "rehearse/command/localhost");
    assert!(step["duration_ms"].as_u64().unwrap() >= 200, "{step}");
    assert!(
        step["actual"].as_str().unwrap().contains("never made yet"),
        "{step}"
    );
    let whole = outcome(&report, "rehearse/estimate");
    assert_eq!(whole["expected"], "at most 5m", "{whole}");
    assert!(
        whole["actual"].as_str().unwrap().contains("verifying"),
        "{whole}"
    );
    assert_eq!(outcome(&report, "verify/http/ready")["verdict"], "pass");
    // A step that was made counts as long as it took.
    world.write("before-run", "sleep 0.7");
    let report = rehearsed_once_more(&world);
    let step = outcome(&report, "rehearse/command/localhost");
    let actual = step["actual"].as_str().unwrap();
    let took = actual
        .split("took ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let took: config::value::Span = took.parse().unwrap();
    assert!(took.get() >= Duration::from_millis(700), "{step}");
}

/// The output of a rehearsal after a rollback, with v3 deployed.
fn rehearsed_once_more(world: &World) -> Value {
    world.rollback(&["run"]).exits(0);
    world.set_live("v3");
    world
        .rollback(&["record", "--pending", "--release", "v3"])
        .exits(0);
    world
        .rollback(&["rehearse", "--format", "json"])
        .exits(0)
        .json()
}

#[test]
fn a_backup_counts_as_long_as_the_last_time() {
    let world = World::new(&["localhost"], true);
    world.configure(
        &["localhost"],
        true,
        "  slo: 8s\n  backup: [{ name: database, run: \"sleep 1.5; echo saved >>saved\" }]\n",
    );
    world.deploy_v2();
    let report = rehearsed_once_more(&world);
    let whole = outcome(&report, "rehearse/estimate");
    let told = whole["actual"].as_str().unwrap();
    let preparing = told.split("backup ").nth(1).unwrap();
    let preparing = preparing.split(',').next().unwrap();
    let seconds: f64 = preparing.strip_suffix("s").unwrap().parse().unwrap();
    assert!(seconds >= 1.0, "{told}");
    assert_eq!(world.read("saved"), "saved\n", "nothing is saved now");
}

#[test]
fn where_the_good_release_runs_the_one_before_it_is_rehearsed() {
    let world = World::new(&["localhost"], true);
    for release in ["v0", "v1"] {
        world.set_live(release);
        world.rollback(&["record", "--release", release]).exits(0);
    }
    world.rollback(&["rehearse"]).exits(0).says("to v0");
    assert_eq!(world.live(), "v1");
    world
        .rollback(&["rehearse", "--to", "v7"])
        .exits(5)
        .says("never recorded");
    world
        .rollback(&["rehearse", "--to", "v1"])
        .exits(5)
        .says("what runs already");
}

#[test]
fn a_rehearsal_that_would_take_too_long_or_cannot_be_made_is_no_drill() {
    let world = World::new(&["localhost"], true);
    world.configure(&["localhost"], true, "  slo: 1ms\n");
    world.deploy_v2();
    world.rollback(&["rehearse"]).exits(1).says("> slo 1ms");
    assert_eq!(world.state().last_drill, None);
    world.configure(&["localhost"], true, "");
    world.write("before-check", "echo image gone >&2; exit 1");
    world
        .rollback(&["rehearse"])
        .exits(5)
        .says("refused/destination")
        .says("image gone");
    assert_eq!(world.state().last_drill, None);
    fs::remove_file(world.path("before-check")).unwrap();
    world
        .rollback(&["rehearse", "--dry-run"])
        .exits(0)
        .says("would record a drill");
    assert_eq!(world.state().last_drill, None);
    // `rehearse` refuses while a rollback has not ended.
    world.write("before-run", "kill -9 $PPID");
    assert_eq!(world.rollback(&["run"]).code, -1);
    world.rollback(&["rehearse"]).exits(5).says("has not ended");
}

//! `decide`, `plan` and `run` agree in every situation, and they report a missing state, a frozen
//! environment and a half-done deployment.

use state::{Document, Frozen};

use crate::e2e::world::{World, wait};

fn change(world: &World, change: impl Fn(&mut Document)) {
    let store = world.store();
    let changed = store.update(None, |document| {
        change(document);
        Ok(())
    });
    wait(changed).unwrap();
}

fn freeze(document: &mut Document) {
    document.frozen = Some(Frozen {
        reason: "a look is due".into(),
        by: "grace".into(),
        at: jiff::Timestamp::now(),
    });
}

/// v1 and v2 were recorded good, and v2 runs.
fn two_good() -> World {
    let world = World::with_v2_deployed();
    world.rollback(&["record", "--release", "v2"]).exits(0);
    world
}

#[test]
fn rb_decide_run_disagree_in_no_situation_or_it_says_why() {
    let nothing: fn(&World) = |_| ();
    for (what, world, set, named, decision) in [
        (
            "v2 is pending",
            World::with_v2_deployed(),
            nothing,
            None,
            Ok("rollback run"),
        ),
        (
            "v2 was good",
            two_good(),
            nothing,
            Some("v2"),
            Ok("rollback run --to v1"),
        ),
        (
            "frozen",
            World::with_v2_deployed(),
            |world: &World| change(world, freeze),
            None,
            Err("frozen"),
        ),
        (
            "the check says no",
            World::with_v2_deployed(),
            |world: &World| world.write("before-check", "echo no space; exit 1"),
            None,
            Err("no space"),
        ),
        (
            "never recorded",
            two_good(),
            |world: &World| world.set_live("v9"),
            None,
            Ok("rollback run"),
        ),
    ] {
        set(&world);
        let mut args = vec!["--format", "json"];
        args.extend(named.into_iter().flat_map(|release| ["--release", release]));
        let with = |words: &[&str]| {
            let mut all = args.clone();
            all.extend(words);
            world.rollback(&all)
        };
        let decided = with(&["decide"]).exits(1).json();
        let reason = decided["reason"].as_str().unwrap();
        assert!(reason.starts_with("CRITICAL"), "{what}: {reason}");
        match decision {
            Ok(command) => {
                assert!(
                    reason.contains(&format!("`{command}` now")),
                    "{what}: {reason}"
                );
                let words: Vec<&str> = command.split(' ').skip(1).collect();
                let plan: Vec<&str> = words
                    .iter()
                    .map(|word| if *word == "run" { "plan" } else { word })
                    .collect();
                with(&plan).exits(0);
                with(&words).exits(0);
                assert_eq!(
                    world.live(),
                    if what == "never recorded" { "v2" } else { "v1" }
                );
            }
            Err(words) => {
                assert!(
                    reason.contains("refused as it is") && reason.contains(words),
                    "{what}: {reason}"
                );
                for verb in ["plan", "run"] {
                    with(&[verb]).exits(5).says(words);
                }
            }
        }
    }
}

#[test]
fn safe_is_what_no_rollback_is_needed_for() {
    let world = two_good();
    world.rollback(&["decide"]).exits(0).says("SAFE");
    for verb in ["plan", "run"] {
        world.rollback(&[verb]).exits(5).says("already");
    }
    assert_eq!(world.live(), "v2");
}

#[test]
fn plan_tells_of_an_interrupted_rollback_what_run_does_with_it() {
    let world = World::with_v2_deployed();
    world.write("after-run", "rm after-run; kill -9 $PPID");
    world.spawn(&["run"]).wait().unwrap();
    crate::e2e::world::wait_for("the hook ends", || world.live() == "v1");
    world.rollback(&["plan"]).exits(0).says("would go on with");
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.state().status("v2"), Some(state::Status::Bad));
}

#[test]
fn rb_state_gone_while_something_is_beside_it_is_no_fresh_start() {
    for kept in [
        &["state.json.bak"][..],
        &["state.json.journals"],
        &["state.json.bak", "state.json.journals"],
    ] {
        let world = World::with_v2_deployed();
        world.rollback(&["run"]).exits(0);
        std::fs::remove_file(world.path("state.json")).unwrap();
        if !kept.contains(&"state.json.bak") {
            std::fs::remove_file(world.path("state.json.bak")).unwrap();
        }
        if !kept.contains(&"state.json.journals") {
            std::fs::remove_dir_all(world.path("state.json.journals")).unwrap();
        }
        for args in [
            &["status"][..],
            &["plan"],
            &["run"],
            &["decide"],
            &["resume"],
            &["history"],
            &["state", "validate"],
            &["record", "--release", "v2"],
            &[
                "record",
                "--release",
                "v2",
                "--force=not-running",
                "--reason=test",
            ],
            &["record", "--pending", "--release", "v2"],
        ] {
            world
                .rollback(args)
                .exits(5)
                .says("is gone")
                .says("rollback state repair");
            assert!(!world.path("state.json").exists(), "{kept:?} {args:?}");
        }
        world.rollback(&["state", "repair", "--yes"]).exits(0);
        // The backup is the state before the last change; the journals know what came of it.
        let known = if kept.contains(&"state.json.journals") {
            state::Status::Bad
        } else {
            state::Status::Pending
        };
        assert_eq!(world.state().status("v2"), Some(known), "{kept:?}");
    }
}

#[test]
fn resume_tells_what_it_found() {
    let world = World::with_v2_deployed();
    change(&world, freeze);
    world
        .rollback(&["resume"])
        .exits(1)
        .says("the environment is frozen: a look is due");
    change(&world, |document| document.frozen = None);
    // The deployment was killed while it held the lock.
    let mut dead = std::process::Command::new("true").spawn().unwrap();
    let holder = state::Holder {
        pid: dead.id(),
        ..state::Holder::this_process(None, None)
    };
    dead.wait().unwrap();
    let claim = |holder| state::Claim {
        holder,
        operation: "deploy",
        ttl: std::time::Duration::from_secs(600),
        gone: None,
    };
    wait(world.store().acquire(&claim(holder), |_, _| ())).unwrap();
    world
        .rollback(&["resume"])
        .exits(3)
        .says("the deployment of v2 may be half-way")
        .says("rollback record --release v2");
    let alive = state::Holder::this_process(None, None);
    wait(world.store().acquire(&claim(alive), |_, _| ())).unwrap();
    world.rollback(&["resume"]).exits(5).says("for `deploy`");
}

#[test]
fn ten_thousand_releases_are_fast() {
    let world = World::with_v2_deployed();
    let mut document = world.state();
    let pattern = document.history[1].clone();
    document.history.extend((0..10_000).map(|nth| state::Entry {
        release: format!("old-{nth}"),
        ..pattern.clone()
    }));
    world.write("state.json", &serde_json::to_string(&document).unwrap());
    let since = std::time::Instant::now();
    for args in [
        &["status"][..],
        &["history"],
        &["state", "validate"],
        &["decide"],
        &["plan"],
        &["run"],
    ] {
        let ran = world.rollback(args);
        assert!(matches!(ran.code, 0 | 1), "{args:?}: {}", ran.stderr);
    }
    // Quadratic work took minutes.
    assert!(since.elapsed() < std::time::Duration::from_secs(60));
    assert_eq!(world.live(), "v1");
    let left = world.state().history;
    assert!(left.last().unwrap().release.starts_with("old-"));
    assert!(serde_json::to_vec_pretty(&world.state()).unwrap().len() <= 1 << 20);
}

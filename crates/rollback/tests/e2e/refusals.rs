//! Each rule that forbids a rollback: exit 5, its name, a next step, and nothing changed.

use std::sync::atomic::Ordering;

use crate::e2e::world::{World, wait};

/// Runs `rollback run` and expects this refusal without any change.
#[track_caller]
fn refused(world: &World, args: &[&str], rule: &str, hint: &str) {
    let (live, state) = (world.live(), world.read("state.json"));
    for verb in ["run", "plan"] {
        let all = [&[verb, "--format", "json"], args].concat();
        let report = world.rollback(&all).exits(5).json();
        assert_eq!(report["verdict"], "refused", "{report}");
        let outcome = &report["outcomes"][0];
        assert_eq!(outcome["id"], format!("refused/{rule}"), "{report}");
        assert!(!outcome["reason"].as_str().unwrap().is_empty(), "{report}");
        assert!(
            outcome["hint"].as_str().unwrap().contains(hint),
            "{hint:?} is missing: {report}"
        );
    }
    assert_eq!(world.live(), live);
    assert_eq!(world.read("calls"), "");
    // A refusal under the lease gives it back: only bookkeeping may differ.
    if !state.is_empty() {
        let mut before: state::Document = serde_json::from_str(&state).unwrap();
        let after = world.state();
        before.generation = after.generation;
        before.write.clone_from(&after.write);
        before.last_token = after.last_token;
        assert_eq!(before, after);
    }
    assert_eq!(world.journal(), None, "a refusal begins no journal");
}

#[test]
fn without_a_last_known_good_there_is_nowhere_to_go() {
    let world = World::new(&["localhost"], true);
    world.set_live("v2");
    refused(&world, &[], "no-last-known-good", "rollback record");
    world
        .rollback(&["record", "--pending", "--release", "v2"])
        .exits(0);
    refused(&world, &[], "no-last-known-good", "rollback record");
    refused(
        &world,
        &["--force", "frozen", "--reason", "test"],
        "no-last-known-good",
        "rollback record",
    );
}

#[test]
fn a_release_that_runs_already_is_refused_and_the_one_before_it_is_named() {
    let world = World::new(&["localhost"], true);
    for release in ["v0", "v1"] {
        world.set_live(release);
        world.rollback(&["record", "--release", release]).exits(0);
    }
    refused(&world, &[], "already-there", "rollback run --to v0");
    // No rule that is lifted lifts it.
    let force = ["--force", "known-bad", "--reason", "test"];
    refused(&world, &force, "already-there", "--to v0");
    world.rollback(&["run", "--to", "v0"]).exits(0);
    assert_eq!(world.live(), "v0");
}

#[test]
fn a_known_bad_release_is_no_destination_without_force() {
    let world = World::with_v2_deployed();
    world.rollback(&["run"]).exits(0);
    std::fs::remove_file(world.path("calls")).unwrap();
    std::fs::remove_dir_all(world.path("state.json.journals")).unwrap();
    refused(&world, &["--to", "v2"], "known-bad", "--force known-bad");
    world
        .rollback(&["record", "--release", "v2"])
        .exits(5)
        .says("known bad");
    world
        .rollback(&["run", "--to", "v2", "--force", "known-bad", "--reason", "x"])
        .exits(0);
    assert_eq!(world.live(), "v2");
}

#[test]
fn a_release_that_nobody_recorded_is_no_destination() {
    let world = World::with_v2_deployed();
    refused(
        &world,
        &["--to", "v9"],
        "unknown-release",
        "rollback history",
    );
    // Names are compared whole.
    refused(
        &world,
        &["--to", "v"],
        "unknown-release",
        "rollback history",
    );
    refused(&world, &["--to", ""], "unknown-release", "rollback history");
}

#[test]
fn a_frozen_environment_stays_as_it_is_until_a_person_lifts_it() {
    let world = World::with_v2_deployed();
    world.server.unhealthy.store(true, Ordering::SeqCst);
    world
        .rollback(&["run"])
        .exits(1)
        .says("rollback unfreeze")
        .says("the environment is frozen");
    let frozen = world.state().frozen.unwrap();
    assert!(frozen.reason.contains("v1"), "{frozen:?}");
    assert_eq!(world.live(), "v1", "the switch is not undone");
    std::fs::remove_file(world.path("calls")).unwrap();
    std::fs::remove_dir_all(world.path("state.json.journals")).unwrap();
    world.set_live("v3");
    refused(&world, &[], "frozen", "rollback unfreeze");
    world
        .rollback(&["record", "--release", "v3"])
        .exits(5)
        .says("frozen");
    world.rollback(&["status"]).exits(1).says("is frozen");
    world.server.unhealthy.store(false, Ordering::SeqCst);
    world.rollback(&["unfreeze"]).exits(0);
    assert_eq!(world.state().frozen, None);
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.live(), "v1");
}

#[test]
fn a_lock_held_by_another_is_refused_with_its_holder() {
    let world = World::with_v2_deployed();
    let claim = state::Claim {
        holder: state::Holder {
            host: "runner-7".into(),
            ..state::Holder::this_process(Some("4711".into()), Some(2))
        },
        operation: "rollback",
        ttl: std::time::Duration::from_secs(600),
        gone: None,
    };
    let (lease, ()) = wait(world.store().acquire(&claim, |_, _| ())).unwrap();
    let before = world.read("state.json");
    for verb in ["run", "plan", "resume"] {
        world
            .rollback(&[verb])
            .exits(5)
            .says("workflow run 4711 attempt 2")
            .says("runner-7");
    }
    world
        .rollback(&["record", "--release", "v2"])
        .exits(5)
        .says("runner-7");
    let force = ["run", "--force", "frozen", "--reason", "test"];
    world.rollback(&force).exits(5);
    world.rollback(&["unlock"]).exits(5).says("may be alive");
    assert_eq!(world.read("state.json"), before);
    assert_eq!(world.live(), "v2");
    world
        .rollback(&["unlock", "--force=locked", "--reason=test"])
        .exits(0);
    assert!(
        wait(world.store().release(&lease, |_| ())).is_err(),
        "a holder that lost its lock cannot write"
    );
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.live(), "v1");
    world.rollback(&["unlock"]).exits(0).says("no lock is held");
}

#[test]
fn an_expired_lock_is_taken_over() {
    let world = World::with_v2_deployed();
    let claim = state::Claim {
        holder: state::Holder {
            host: "elsewhere".into(),
            ..state::Holder::this_process(None, None)
        },
        operation: "rollback",
        ttl: std::time::Duration::ZERO,
        gone: None,
    };
    let (lease, ()) = wait(world.store().acquire(&claim, |_, _| ())).unwrap();
    // The clock of another machine may be behind by less than a minute.
    world.rollback(&["run"]).exits(5).says("which may be alive");
    let mut document = world.state();
    let lock = document.lock.as_mut().unwrap();
    lock.expires -= jiff::SignedDuration::from_secs(61);
    world.write("state.json", &serde_json::to_string(&document).unwrap());
    world.rollback(&["run"]).exits(0);
    assert!(world.state().last_token > lease.token);
}

#[test]
fn a_state_that_cannot_be_trusted_is_refused_and_left_untouched() {
    for damage in [
        "",
        "\0\0\0\0",
        "{\"schema\": \"deploy-guard/state/v1\", \"gener",
        "{\"schema\": \"deploy-guard/state/v2\", \"generation\": 1}",
        "{\"schema\": \"terraform\"}",
        "[[[[[[[[",
        "\u{feff}{}",
    ] {
        let world = World::with_v2_deployed();
        world.write("state.json", damage);
        for args in [
            &["run"] as &[&str],
            &["run", "--force", "frozen", "--reason", "test"],
            &["plan"],
            &["resume"],
            &["status"],
            &["history"],
            &["unlock", "--force=locked", "--reason=test"],
            &["unfreeze"],
            &["record", "--release", "v3"],
        ] {
            world.rollback(args).exits(5).says("state.json.bak");
        }
        assert_eq!(world.read("state.json"), damage);
        assert_eq!(world.live(), "v2");
        assert_eq!(world.read("calls"), "");
    }
}

#[test]
fn a_destination_that_cannot_be_made_live_is_refused_before_anything_changes() {
    let world = World::with_v2_deployed();
    world.write("before-check", "echo image $RELEASE is gone >&2; exit 3");
    refused(&world, &[], "destination", "--to");
    world
        .rollback(&["run"])
        .exits(5)
        .says("image v1 is gone")
        .says("exit status 3");
}

#[test]
fn what_is_asked_wrongly_is_a_usage_error() {
    let world = World::new(&["localhost"], true);
    world.rollback(&["record"]).exits(2).says("--release");
    world.rollback(&["run", "--too", "v1"]).exits(2);
    world.rollback(&[]).exits(2);
    world
        .rollback(&["record", "--release", "v1\nv2"])
        .exits(2)
        .says("line break");
    world.write("deploy-guard.yml", "version: 1\nservice: shop\n");
    world
        .rollback(&["run"])
        .exits(2)
        .says("no rollback is configured");
    world.write(
        "deploy-guard.yml",
        "version: 1\nhealthgate: { policy: { faliure-limit: 1 } }\n",
    );
    world
        .rollback(&["status"])
        .exits(2)
        .says("did you mean `failure-limit`");
    assert!(!world.path("state.json").exists());
}

#[test]
fn nothing_recorded_yet_is_inconclusive() {
    let world = World::new(&["localhost"], true);
    world.rollback(&["status"]).exits(3);
    world.rollback(&["history"]).exits(3);
    world
        .rollback(&["resume"])
        .exits(0)
        .says("nothing to resume");
    world.rollback(&["unlock"]).exits(0);
    world.rollback(&["unfreeze"]).exits(0);
    assert!(!world.path("state.json").exists());
}

//! One release under several names: the pipeline's name, and the name that the service reports.

use crate::e2e::world::World;

const GOOD: &str = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d";
const NEXT: &str = "0fb16b11f9936e0374948c64e8c3b18db25b6fbf";

/// A world in which the service reports what `told` makes of `$RELEASE`, and the gate compares by
/// `rule`. `rest` holds the other keys under `rollback:`.
fn world(rule: &str, told: &str, rest: &str) -> World {
    let world = World::new(&["localhost"], false);
    let port = world.port;
    world.write("deploy.sh", &format!("printf %s {told} >live"));
    world.write(
        "deploy-guard.yml",
        &format!(
            "version: 1\nservice: shop\nhealthgate:\n  policy: {{ interval: 5ms, timeout: 2s, success-threshold: 2, failure-limit: 1, deadline: 5s }}\n  \
             http:\n    - name: ready\n      url: http://127.0.0.1:{port}/ready\n      release: {{ jq: .version, match: {rule} }}\n\
             rollback:\n  state: state.json\n  command: {{ run: . ./deploy.sh{rest} }}\n"
        ),
    );
    world
}

/// The steps after a passed gate, with a service that reports `told`.
fn the_gate_and_all_after_it_agree(world: &World, good: &str, next: &str, told: [&str; 2]) {
    world.set_live(told[0]);
    world.rollback(&["record", "--release", good]).exits(0);
    world.rollback(&["decide"]).exits(0).says("SAFE");
    world
        .rollback(&["record", "--pending", "--release", next])
        .exits(0);
    world.set_live(told[1]);
    world.rollback(&["decide"]).exits(1).says("CRITICAL");
    world.rollback(&["decide", "--release", next]).exits(1);
    world
        .rollback(&["record", "--release", good])
        .exits(5)
        .says("refused/not-running");
    world.rollback(&["record", "--release", next]).exits(0);
    world.rollback(&["decide"]).exits(0).says("SAFE");
    for command in ["run", "plan"] {
        world
            .rollback(&[command])
            .exits(5)
            .says("refused/already-there");
    }
    let state = world.state();
    assert_eq!(state.history.len(), 2, "{:?}", state.history);
    assert_eq!(state.last_known_good.as_deref(), Some(next));
    // Found bad after all: by its own name, whatever the service calls it.
    world.rollback(&["run", "--to", good]).exits(0);
    let state = world.state();
    assert_eq!(state.status(next), Some(state::Status::Bad));
    assert_eq!(state.current.as_deref(), Some(good));
    assert_eq!(state.history.len(), 2, "{:?}", state.history);
    world.rollback(&["decide"]).exits(0).says("SAFE");
    world
        .rollback(&["record", "--pending", "--release", next])
        .exits(5)
        .says("known-bad");
}

#[test]
fn match_prefix_record_a_service_that_tells_its_short_commit_id_is_the_release_of_the_full_one() {
    let cut = r#""$(printf %.7s "$RELEASE")""#;
    let world = world("prefix", cut, "");
    the_gate_and_all_after_it_agree(&world, GOOD, NEXT, ["1a2b3c4", "0fb16b1"]);
    // A person types the short one.
    world
        .rollback(&[
            "run",
            "--to",
            "0fb16b1",
            "--force",
            "known-bad",
            "--reason",
            "test",
        ])
        .exits(0);
    assert_eq!(world.state().last_known_good.as_deref(), Some(NEXT));
}

#[test]
fn a_service_that_tells_its_build_after_the_version_is_the_release_of_the_version() {
    let built = r#""$RELEASE+build5""#;
    let world = world("prefix", built, "");
    the_gate_and_all_after_it_agree(&world, "2.0", "2.0.1", ["2.0+build5", "2.0.1+build5"]);
}

#[test]
fn a_command_that_prints_the_short_commit_id_tells_the_release_of_the_full_one() {
    let cut = r#""$(printf %.7s "$RELEASE")""#;
    let world = world("prefix", cut, ", current: cat live");
    the_gate_and_all_after_it_agree(&world, GOOD, NEXT, ["1a2b3c4", "0fb16b1"]);
}

#[test]
fn a_commit_id_in_capitals_is_the_same_release() {
    let big = r#""$(printf %s "$RELEASE" | tr a-f A-F)""#;
    let world = world("exact", big, "");
    let (good, next) = (GOOD.to_uppercase(), NEXT.to_uppercase());
    the_gate_and_all_after_it_agree(&world, GOOD, NEXT, [&good, &next]);
}

#[test]
fn without_a_rule_a_short_commit_id_is_another_release() {
    let world = world("exact", r#""$RELEASE""#, "");
    world.set_live("0fb16b1");
    world
        .rollback(&["record", "--release", NEXT])
        .exits(5)
        .says("0fb16b1 runs");
}

#[test]
fn match_prefix_record_what_was_rolled_back_by_its_short_name_alone_is_known_bad_by_its_full_one() {
    let cut = r#""$(printf %.7s "$RELEASE")""#;
    let world = world("prefix", cut, "");
    world.set_live("1a2b3c4");
    world.rollback(&["record", "--release", GOOD]).exits(0);
    // Deployed, and its gate failed before anything was recorded of it.
    world.set_live("0fb16b1");
    world.rollback(&["run"]).exits(0);
    world
        .rollback(&["record", "--pending", "--release", NEXT])
        .exits(5)
        .says("known-bad");
    world
        .rollback(&["run", "--to", NEXT])
        .exits(5)
        .says("known-bad");
}

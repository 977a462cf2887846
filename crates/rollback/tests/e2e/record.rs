//! Which facts of a release are recorded, and that it is the running one.

use crate::e2e::world::World;

#[test]
fn everything_that_is_told_is_kept_and_shown() {
    let world = World::new(&["localhost"], true);
    world.set_live("v1");
    let told = [
        "record",
        "--release",
        "v1",
        "--digest",
        "sha256:9f86d081884c7d65",
        "--image",
        "ghcr.io/acme/shop:v1",
        "--task-definition",
        "shop:42",
        "--schema-revision",
        "0042_orders",
        "--compatible-with",
        "0041_users",
        "--compatible-with",
        "0042_orders",
        "--retained",
        "ghcr.io/acme/shop:v1",
        "--retained",
        "/srv/releases/it's $(here)",
        "--run",
        "4711/1",
    ];
    world.rollback(&told).exits(0).says("v1 runs");
    let state = world.state();
    let entry = state.entry("v1").unwrap();
    assert_eq!(entry.image.as_deref(), Some("ghcr.io/acme/shop:v1"));
    assert_eq!(entry.task_definition.as_deref(), Some("shop:42"));
    assert_eq!(entry.schema_revision.as_deref(), Some("0042_orders"));
    assert_eq!(entry.compatible_with, ["0041_users", "0042_orders"]);
    assert_eq!(
        entry.retained,
        ["ghcr.io/acme/shop:v1", "/srv/releases/it's $(here)"]
    );
    assert_eq!(entry.run.as_deref(), Some("4711/1"));
    let history = world.rollback(&["history"]).exits(0);
    history
        .says("task definition shop:42")
        .says("works with schema 0041_users 0042_orders");
    // A value that is not given again stays.
    world.rollback(&["record", "--release", "v1"]).exits(0);
    let state = world.state();
    assert_eq!(
        state.entry("v1").unwrap().image.as_deref(),
        Some("ghcr.io/acme/shop:v1")
    );
    for bad in [
        ["--digest", "latest"],
        ["--digest", "sha256:"],
        ["--image", ""],
        ["--image", " "],
        ["--retained", "a\nb"],
    ] {
        let args = [&["record", "--release", "v1"] as &[&str], &bad].concat();
        let ran = world.rollback(&args);
        // An empty variable counts as not set, an empty flag does not.
        assert_eq!(ran.code, 2, "{bad:?}: {ran:?}");
    }
}

#[test]
fn a_release_that_does_not_run_is_not_recorded_as_good() {
    let world = World::with_v2_deployed();
    let before = world.read("state.json");
    world
        .rollback(&["record", "--release", "v3"])
        .exits(5)
        .says("v2 runs, not v3")
        .says("refused/not-running");
    assert_eq!(world.read("state.json"), before);
    // The target does not know, and the service answers.
    world.write("before-current", "exit 1");
    world
        .rollback(&["record", "--release", "v3"])
        .exits(5)
        .says("the service reports it");
    // One that is being deployed need not run yet.
    world
        .rollback(&["record", "--pending", "--release", "v3"])
        .exits(0);
    world
        .rollback(&[
            "record",
            "--release",
            "v3",
            "--force=not-running",
            "--reason=test",
        ])
        .exits(0)
        .says("because: test: v2 runs, not v3");
    assert_eq!(world.state().last_known_good.as_deref(), Some("v3"));
}

#[test]
fn silence_is_no_proof_that_a_release_runs() {
    let world = World::new(&["localhost"], false);
    world.write("before-current", "echo no docker >&2; exit 1");
    world
        .rollback(&["record", "--release", "v1"])
        .exits(4)
        .says("is not known")
        .says("no docker");
    assert!(!world.path("state.json").exists());
    world
        .rollback(&[
            "record",
            "--release",
            "v1",
            "--force=not-running",
            "--reason=test",
        ])
        .exits(0);
    // No configured source reports the running release: it is recorded, and the output says so.
    let config = world
        .read("deploy-guard.yml")
        .replace("    current: . ./current.sh\n", "");
    world.write("deploy-guard.yml", &config);
    world
        .rollback(&["record", "--release", "v2"])
        .exits(0)
        .says("no configured source reports the running release");
}

#[test]
fn one_host_that_says_nothing_is_not_spoken_for_by_the_front_door() {
    let hosts = ["web-01", "web-02"];
    let world = World::new(&hosts, true);
    world.set_live("v1");
    world.write(
        "before-current",
        "if [ $HOST = web-02.test ]; then echo no docker >&2; exit 1; fi",
    );
    world
        .rollback(&["record", "--release", "v1"])
        .exits(4)
        .says("web-02")
        .says("no docker");
    assert!(!world.path("state.json").exists());
}

/// `run` needs the same answer: it is enough that another release has traffic.
#[test]
fn a_front_door_that_names_another_release_is_believed_where_a_host_says_nothing() {
    let hosts = ["web-01", "web-02"];
    let world = World::new(&hosts, true);
    world.set_live("v2");
    world.write(
        "before-current",
        "if [ $HOST = web-02.test ]; then echo no docker >&2; exit 1; fi\necho v1; exit 0",
    );
    world
        .rollback(&["record", "--release", "v1"])
        .exits(5)
        .says("v2 runs, not v1 (the service reports it)");
    assert!(!world.path("state.json").exists());
}

//! `deploy-guard run` holds the lock from the deployment to its end, and its parts work under it.

use std::process::{Child, Command, Stdio};

use crate::e2e::world::{World, finish, kill, wait_for};

/// v1 is good; the deployment waits for `go`, and asks the state itself.
fn world() -> World {
    let world = World::with_v2_deployed();
    let text = world.read("deploy-guard.yml")
        + "deploy:\n  command: |\n    touch begun\n    while [ ! -f go ]; do sleep 0.02; done\n    . ./deploy.sh\n";
    world.write("deploy-guard.yml", &text);
    world.write(
        "deploy.sh",
        "printf %s \"$RELEASE\" >live.new && mv live.new live",
    );
    world
}

fn deploy(world: &World, release: &str) -> Child {
    let mut command = Command::new(testkit::bin_path("deploy-guard"));
    testkit::clear_environment(&mut command)
        .current_dir(world.path("."))
        .args(["run", "--release", release])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn begun(world: &World) {
    wait_for("the deployment", || world.path("begun").exists());
}

#[test]
fn rb_run_holds_no_lock_a_deployment_keeps_others_out_until_it_has_ended() {
    let world = world();
    let first = deploy(&world, "v3");
    begun(&world);
    world.rollback(&["status"]).exits(0).says("for `deploy`");
    for args in [
        &["run"][..],
        &["plan"],
        &["record", "--release", "v2"],
        &["unlock"],
    ] {
        world.rollback(args).exits(5).says("for `deploy`");
    }
    finish(deploy(&world, "v4")).says("locked by");
    assert_eq!(world.live(), "v2", "nothing was deployed or rolled back");
    world.write("go", "");
    finish(first).exits(0);
    assert_eq!(world.live(), "v3");
    let state = world.state();
    assert_eq!(
        (state.lock, state.last_known_good.as_deref()),
        (None, Some("v3"))
    );
}

#[test]
fn a_deployment_that_fails_its_gate_rolls_back_under_its_own_lock() {
    let world = world();
    world.write("go", "");
    world.write("deploy.sh", "printf wrong >live");
    finish(deploy(&world, "v3")).exits(1);
    assert_eq!(world.live(), "v1");
    assert_eq!(world.state().lock, None);
}

#[test]
fn what_the_deployments_command_asks_of_the_state_is_a_part_of_it() {
    let world = world();
    world.write("go", "");
    let rollback = testkit::bin_path("rollback");
    world.write(
        "deploy.sh",
        &format!(
            "printf %s \"$RELEASE\" >live\n{} record --pending --release \"$RELEASE\" || exit 1\n",
            rollback.display()
        ),
    );
    finish(deploy(&world, "v3")).exits(0);
    assert_eq!(world.state().lock, None);
    assert_eq!(world.live(), "v3");
}

#[test]
fn a_deployment_that_is_cancelled_gives_its_lock_back_and_a_killed_one_loses_it() {
    let world = world();
    let child = deploy(&world, "v3");
    begun(&world);
    kill("TERM", child.id());
    finish(child).exits(143);
    assert_eq!(world.state().lock, None);
    std::fs::remove_file(world.path("begun")).unwrap();
    let mut child = deploy(&world, "v3");
    begun(&world);
    kill("KILL", child.id());
    child.wait().unwrap();
    assert!(world.state().lock.is_some());
    world
        .rollback(&["resume"])
        .exits(3)
        .says("the deployment of v3 may be half-way");
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.live(), "v1");
    // The steps that the killed run had started end.
    world.write("deploy.sh", "");
    world.write("go", "");
}

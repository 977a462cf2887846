//! Stopped before anything changed, and what counts against the deadline.

use std::fs;
use std::time::{Duration, Instant};

use crate::e2e::fleet::{fleet, live};
use crate::e2e::world::{World, finish, kill, wait_for};

#[test]
fn a_signal_before_the_first_change_ends_at_once_and_can_be_resumed_or_given_up() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let world = fleet("");
        world.write("before-check", "touch begun; sleep 60");
        let child = world.spawn(&["run"]);
        wait_for("the check", || world.path("begun").exists());
        let asked = Instant::now();
        kill(signal, child.id());
        finish(child).exits(code).says("rollback resume");
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "nothing had to be finished: {:?}",
            asked.elapsed()
        );
        assert_eq!(
            (live(&world).as_str(), world.journal()),
            ("v2 v2 v2 v2 v2", None)
        );
        fs::remove_file(world.path("before-check")).unwrap();
        if signal == "INT" {
            world.rollback(&["resume"]).exits(0);
            assert_eq!(live(&world), "v1 v1 v1 v1 v1");
        } else {
            world.rollback(&["abort", "--dry-run"]).exits(3);
            world.rollback(&["abort"]).exits(0).says("is given up");
            world
                .rollback(&["resume"])
                .exits(0)
                .says("nothing to resume");
            assert_eq!(live(&world), "v2 v2 v2 v2 v2");
        }
        assert_eq!(world.state().lock, None);
    }
}

#[test]
fn a_second_signal_changes_nothing() {
    let world = fleet("  batch: 1\n");
    world.write("before-run", "touch begun; sleep 1");
    let child = world.spawn(&["run"]);
    wait_for("the first step", || world.path("begun").exists());
    kill("INT", child.id());
    std::thread::sleep(Duration::from_millis(200));
    kill("TERM", child.id());
    kill("INT", child.id());
    finish(child).exits(130);
    // The step that was begun is finished all the same.
    assert_eq!(live(&world), "v1 v2 v2 v2 v2");
    let (_, journal) = world.journal().unwrap();
    assert!(journal.contains("\"done\""), "{journal}");
    world.rollback(&["resume"]).exits(0);
}

#[test]
fn a_backup_that_takes_its_time_leaves_the_steps_theirs() {
    let world = World::new(&["localhost"], true);
    world.configure(
        &["localhost"],
        true,
        "  deadline: 4s\n  backup: [{ name: database, run: \"sleep 5\" }]\n",
    );
    world.deploy_v2();
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.live(), "v1");
}

#[test]
fn waiting_for_the_lock_leaves_the_steps_their_time() {
    let world = World::with_v2_deployed();
    world.configure(&["localhost"], true, "  deadline: 8s\n");
    world.write("before-run", "rm before-run; touch begun; sleep 60");
    let first = world.spawn(&["run"]);
    wait_for("its step", || world.path("begun").exists());
    // As long as the first may take, and less.
    world.configure(&["localhost"], true, "  deadline: 4s\n");
    let second = world.rollback(&["run", "--lock-wait", "60s"]);
    finish(first).exits(1);
    second.exits(0);
    assert_eq!(world.live(), "v1");
}

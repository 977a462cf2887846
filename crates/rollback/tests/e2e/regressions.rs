//! One test for each past fault.

use crate::e2e::world::{World, finish, kill, wait, wait_for};

/// The file's own hint was followed: tokens begin again where journals already are.
#[test]
fn a_state_that_was_put_back_or_begun_anew_does_not_meet_its_old_journals() {
    let world = World::with_v2_deployed();
    world.rollback(&["run"]).exits(0);
    // Begun anew: without anything beside it. Then the journals are back.
    let (journals, away) = (world.path("state.json.journals"), world.path("away"));
    std::fs::rename(&journals, &away).unwrap();
    for name in ["state.json", "state.json.bak"] {
        std::fs::remove_file(world.path(name)).unwrap();
    }
    world.set_live("v1");
    world.rollback(&["record", "--release", "v1"]).exits(0);
    std::fs::rename(&away, &journals).unwrap();
    for again in 1..4 {
        world.set_live("v1");
        // Each round takes another number of tokens, so that it meets those of before.
        for _ in 0..again {
            world.rollback(&["record", "--release", "v1"]).exits(0);
        }
        world.set_live("v2");
        world.rollback(&["run"]).exits(0);
        world
            .rollback(&["resume"])
            .exits(0)
            .says("nothing to resume");
        assert_eq!(world.live(), "v1");
    }
    std::fs::copy(world.path("state.json.bak"), world.path("state.json")).unwrap();
    world.set_live("v2");
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.live(), "v1");
}

#[test]
fn an_old_journal_that_is_damaged_does_not_stop_a_rollback() {
    let world = World::with_v2_deployed();
    world.rollback(&["run"]).exits(0);
    let (path, text) = world.journal().unwrap();
    let at = |n: usize| std::time::Duration::from_millis(n as u64);
    std::thread::sleep(at(5));
    world.set_live("v3");
    world.rollback(&["run"]).exits(0);
    std::fs::write(path, format!("garbage\n{text}")).unwrap();
    world.set_live("v4");
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.live(), "v1");
    world.rollback(&["status"]).exits(0);
}

/// After the kill a newer release was deployed instead; the old intention is void.
#[test]
fn a_release_recorded_good_after_the_kill_is_not_rolled_back_by_resume() {
    let world = World::with_v2_deployed();
    world.write("before-run", "rm before-run; kill -9 $PPID; exit 1");
    world.spawn(&["run"]).wait().unwrap();
    world.set_live("v3");
    world.rollback(&["record", "--release", "v3"]).exits(0);
    world
        .rollback(&["resume"])
        .exits(0)
        .says("nothing to resume");
    assert_eq!(world.live(), "v3");
    assert_eq!(world.state().last_known_good.as_deref(), Some("v3"));
    world.rollback(&["status"]).exits(0);
}

#[test]
fn a_forced_destination_that_proved_good_can_be_gone_back_to() {
    let world = World::with_v2_deployed();
    world.rollback(&["run"]).exits(0);
    // v2 was not to blame after all; v7 was never recorded.
    for (destination, rule) in [("v2", "known-bad"), ("v7", "unknown-release")] {
        world
            .rollback(&[
                "run",
                "--to",
                destination,
                "--force",
                rule,
                "--reason",
                "test",
            ])
            .exits(0);
        let state = world.state();
        assert_eq!(state.last_known_good.as_deref(), Some(destination));
        assert_eq!(state.status(destination), Some(state::Status::Good));
        world.set_live("v8");
        world.rollback(&["run"]).exits(0);
        assert_eq!(world.live(), destination);
    }
}

#[test]
fn a_forced_destination_that_is_not_healthy_is_not_last_known_good() {
    let world = World::with_v2_deployed();
    world.rollback(&["run"]).exits(0);
    world
        .server
        .unhealthy
        .store(true, std::sync::atomic::Ordering::SeqCst);
    world
        .rollback(&[
            "run",
            "--to",
            "v2",
            "--force",
            "known-bad",
            "--reason",
            "test",
        ])
        .exits(1);
    let state = world.state();
    assert_eq!(state.current.as_deref(), Some("v2"));
    assert_ne!(state.last_known_good.as_deref(), Some("v2"));
    assert_eq!(state.status("v2"), Some(state::Status::Bad));
}

/// The state did not hold v2: only a probe finds the release that is being left.
#[test]
fn killed_before_the_journal_the_release_that_is_left_is_still_found() {
    let world = World::new(&["localhost"], true);
    world.set_live("v1");
    world.rollback(&["record", "--release", "v1"]).exits(0);
    world.set_live("v2");
    world.write("before-check", "rm before-check; kill -9 $PPID; exit 1");
    world.spawn(&["run"]).wait().unwrap();
    world.resume_converges("v2 was not recorded");
}

/// It took longer than the lock's time: it must not disturb the new holder.
#[test]
fn a_rollback_that_lost_its_lock_acts_no_more() {
    let world = World::new(&["web-01", "web-02", "web-03"], true);
    world.configure(
        &["web-01", "web-02", "web-03"],
        true,
        "  lock-ttl: 300ms\n  batch: 1\n",
    );
    world.deploy_v2();
    world.write("before-run", "while [ ! -f go ]; do sleep 0.02; done");
    let slow = world.spawn(&["run"]);
    wait_for("the first step", || !world.read("calls").is_empty());
    kill("STOP", slow.id());
    std::thread::sleep(std::time::Duration::from_millis(400));
    let claim = state::Claim {
        holder: state::Holder::this_process(None, None),
        operation: "deploy",
        ttl: std::time::Duration::from_secs(60),
        gone: None,
    };
    let (lease, ()) = wait(world.store().acquire(&claim, |_, _| ())).unwrap();
    world.write("go", "");
    kill("CONT", slow.id());
    finish(slow).exits(5).says("was lost");
    assert_eq!(world.read("calls"), "web-01.test: v2 > v1\n");
    wait(world.store().release(&lease, |_| ())).unwrap();
}

/// A lock that is held is renewed from step to step, however short its time.
#[test]
fn a_rollback_of_many_steps_keeps_its_lock() {
    let hosts = ["web-01", "web-02", "web-03", "web-04"];
    let world = World::new(&hosts, true);
    world.configure(&hosts, true, "  lock-ttl: 2s\n");
    world.deploy_v2();
    world.write("before-run", "sleep 0.9");
    let slow = world.spawn(&["run"]);
    wait_for("the last step", || world.read("calls").lines().count() == 4);
    world.rollback(&["run"]).exits(5);
    finish(slow).exits(0);
}

#[test]
fn a_state_that_is_a_pipe_does_not_hang() {
    let world = World::new(&["localhost"], true);
    let made = std::process::Command::new("mkfifo")
        .arg(world.path("state.json"))
        .status();
    assert!(made.unwrap().success());
    let started = std::time::Instant::now();
    let mut child = world.spawn(&["status"]);
    let ended = testkit::wait_until(std::time::Duration::from_secs(3), || {
        child.try_wait().unwrap().is_some()
    });
    if !ended {
        child.kill().unwrap();
    }
    assert!(ended, "after {:?}", started.elapsed());
}

#[test]
fn a_state_of_another_service_or_environment_is_refused() {
    let world = World::with_v2_deployed();
    let config = world.read("deploy-guard.yml");
    world.write(
        "deploy-guard.yml",
        &config.replace("service: shop", "service: blog"),
    );
    for args in [&["run"] as &[&str], &["record", "--release", "v3"]] {
        world.rollback(args).exits(5).says("shop").says("blog");
    }
    assert_eq!(world.live(), "v2");
}

#[test]
fn a_current_that_fails_leaves_the_question_to_the_probes() {
    let world = World::new(&["localhost"], true);
    world.set_live("v1");
    world.rollback(&["record", "--release", "v1"]).exits(0);
    world.write("before-current", "echo no docker >&2; exit 1");
    world.rollback(&["run"]).exits(5).says("runs already");
    world.set_live("v2");
    world.rollback(&["run"]).exits(0);
    assert_eq!(world.state().status("v2"), Some(state::Status::Bad));
}

/// Only the current answer shows whether a finished step still holds.
#[test]
fn a_step_done_before_the_kill_is_made_again_after_another_deployment() {
    for verb in ["run", "resume"] {
        let world = World::with_v2_deployed();
        world.rollback(&["run"]).exits(0);
        let (path, text) = world.journal().unwrap();
        // Killed while it verified; then v3 was deployed without a record.
        let end = text.trim_end().rfind('\n').unwrap() + 1;
        std::fs::write(path, &text[..end]).unwrap();
        world.set_live("v3");
        world.rollback(&[verb]).exits(0);
        assert_eq!(world.live(), "v1", "{verb}");
        assert_eq!(world.state().frozen, None);
        world
            .rollback(&["resume"])
            .exits(0)
            .says("nothing to resume");
    }
}

#[test]
fn the_newest_journal_must_be_whole() {
    let world = World::with_v2_deployed();
    world.write("before-run", "rm before-run; kill -9 $PPID; exit 1");
    world.spawn(&["run"]).wait().unwrap();
    let (path, text) = world.journal().unwrap();
    let damaged = format!("garbage\n{text}");
    std::fs::write(&path, &damaged).unwrap();
    for verb in ["run", "resume"] {
        world
            .rollback(&[verb])
            .exits(5)
            .says(path.file_name().unwrap().to_str().unwrap())
            .says("move the journal away");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
    assert_eq!(world.live(), "v2");
}

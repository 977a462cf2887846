//! `kill -9` at chosen moments: each is reached for certain, not by luck. Afterwards `resume`
//! converges, and a second one does nothing.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::e2e::world::{World, finish, kill, wait, wait_for};

/// Runs `rollback VERB`, which a script of the world kills.
#[track_caller]
fn dies(world: &World, verb: &str) {
    let status = world.spawn(&[verb]).wait().unwrap();
    assert_eq!(status.signal(), Some(9), "it was to be killed");
    assert!(world.state().lock.is_some(), "a dead holder's lock is left");
}

/// A script that runs once: the second time the moment has passed.
fn once(name: &str, script: &str) -> String {
    format!("rm {name}\n{script}")
}

#[test]
fn between_the_lease_and_the_journal() {
    for script in ["before-check", "before-current"] {
        let world = World::with_v2_deployed();
        // Only under the lease: the first question comes before it where there is one.
        world.write(
            script,
            &format!("if grep -q '\"destination\": \"v1\"' state.json; then rm {script}; kill -9 $PPID; exit 1; fi"),
        );
        dies(&world, "run");
        assert_eq!(world.journal(), None, "{script}: no journal yet");
        assert_eq!(world.live(), "v2");
        world.resume_converges(script);
    }
}

#[test]
fn between_an_intent_and_its_act() {
    let world = World::with_v2_deployed();
    world.write("before-run", &once("before-run", "kill -9 $PPID; exit 1"));
    dies(&world, "run");
    assert_eq!(world.live(), "v2");
    world.resume_converges("before the act");
}

#[test]
fn between_an_act_and_its_result() {
    let world = World::with_v2_deployed();
    world.write("after-run", &once("after-run", "kill -9 $PPID"));
    dies(&world, "run");
    wait_for("the hook ends", || world.live() == "v1");
    let (_, journal) = world.journal().unwrap();
    assert!(!journal.contains("\"done\""), "{journal}");
    world.resume_converges("after the act");
}

#[test]
fn between_two_hosts() {
    let hosts = ["web-01", "web-02", "web-03"];
    let world = World::new(&hosts, true);
    world.configure(&hosts, true, "  batch: 1\n");
    world.deploy_v2();
    world.write(
        "before-run",
        "if [ $HOST = web-02.test ]; then rm before-run; kill -9 $PPID; exit 1; fi",
    );
    dies(&world, "run");
    world.resume_converges("between hosts");
    assert_eq!(
        world.read("calls"),
        "web-01.test: v2 > v1\nweb-02.test: v2 > v1\nweb-02.test: v2 > v1\nweb-03.test: v2 > v1\n",
        "a host that is done is left alone"
    );
}

#[test]
fn during_the_verification() {
    let world = World::with_v2_deployed();
    world.server.delay.store(300, Ordering::SeqCst);
    let mut child = world.spawn(&["run"]);
    wait_for("the step is done", || {
        world
            .journal()
            .is_some_and(|(_, text)| text.contains("\"done\""))
    });
    world
        .server
        .kill_on_request
        .store(child.id(), Ordering::SeqCst);
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    world.server.delay.store(0, Ordering::SeqCst);
    world.resume_converges("while verifying");
}

#[test]
fn after_the_state_was_written_and_before_the_journal_was_closed() {
    let world = World::with_v2_deployed();
    world.rollback(&["run"]).exits(0);
    let (path, text) = world.journal().unwrap();
    let end = text.trim_end().rfind('\n').unwrap() + 1;
    std::fs::write(path, &text[..end]).unwrap();
    world.resume_converges("the journal is open");
}

#[test]
fn a_resume_that_is_killed_can_be_resumed() {
    let world = World::with_v2_deployed();
    for (script, text) in [
        ("before-check", "kill -9 $PPID; exit 1"),
        ("before-run", "kill -9 $PPID; exit 1"),
        ("after-run", "kill -9 $PPID; exit 1"),
    ] {
        world.write(script, &once(script, text));
        let verb = if script == "before-check" {
            "run"
        } else {
            "resume"
        };
        dies(&world, verb);
    }
    let tokens = world.state().last_token;
    world.resume_converges("the third time");
    assert!(world.state().last_token > tokens, "fencing tokens grow");
}

#[test]
fn a_rollback_that_was_killed_is_finished_by_run_too() {
    let world = World::with_v2_deployed();
    world.write("after-run", &once("after-run", "kill -9 $PPID"));
    dies(&world, "run");
    wait_for("the hook ends", || world.live() == "v1");
    world.rollback(&["run"]).exits(0);
    world
        .rollback(&["resume"])
        .exits(0)
        .says("nothing to resume");
    assert_eq!(world.state().status("v2"), Some(state::Status::Bad));
}

/// `rollback run` after a gate that was skipped, killed by the script.
#[track_caller]
fn dies_unjudged(world: &World, script: &str, text: &str) {
    world.write(script, text);
    let run = ["run", "--release", "v2", "--gate", "skipped"];
    let status = world.spawn(&run).wait().unwrap();
    assert_eq!(status.signal(), Some(9), "{script}: it was to be killed");
}

#[test]
fn what_no_gate_judged_is_not_bad_after_a_resume_either() {
    let under_lease = "if grep -q '\"destination\": \"v1\"' state.json; then rm before-check; kill -9 $PPID; exit 1; fi";
    for (script, text) in [
        ("before-check", under_lease.to_owned()),
        ("before-run", once("before-run", "kill -9 $PPID; exit 1")),
        ("after-run", once("after-run", "kill -9 $PPID")),
    ] {
        let world = World::without_an_answer();
        dies_unjudged(&world, script, &text);
        if script == "after-run" {
            // What answers now is the destination, which says nothing of the release that was left.
            wait_for("the hook ends", || world.live() == "v1");
        }
        world.rollback(&["resume"]).exits(0);
        let state = world.state();
        assert_eq!(state.current.as_deref(), Some("v1"), "{script}");
        assert_eq!(
            state.status("v2"),
            Some(state::Status::Pending),
            "{script}: nothing was seen of it"
        );
    }
}

#[test]
fn a_journal_that_does_not_know_whether_a_gate_judged_is_resumed() {
    let world = World::without_an_answer();
    dies_unjudged(
        &world,
        "before-run",
        &once("before-run", "kill -9 $PPID; exit 1"),
    );
    let (path, text) = world.journal().unwrap();
    let old = text.replacen("\"spared\":true,", "", 1);
    assert_ne!(old, text);
    std::fs::write(path, old).unwrap();
    world.rollback(&["resume"]).exits(0);
    assert_eq!(world.state().status("v2"), Some(state::Status::Bad));
}

/// Every place at which the journal can be cut off, within a line too.
#[test]
fn at_every_byte_of_the_journal() {
    let template = World::with_v2_deployed();
    template.write("before-run", "cp state.json under-lease.json");
    template.rollback(&["run"]).exits(0);
    let (path, journal) = template.journal().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let under_lease = template.read("under-lease.json");
    let done = journal.find("\"done\"").unwrap();
    let end = journal.trim_end().rfind('\n').unwrap() + 1;
    let edges = (0..=end).filter(|at| *at == 0 || journal.as_bytes()[at - 1] == b'\n');
    let cuts: Vec<_> = edges
        .flat_map(|at| [at.saturating_sub(1), at, at + 1])
        .chain((0..end).step_by(29))
        .filter(|at| *at <= end)
        .collect();
    let world = World::with_v2_deployed();
    for cut in cuts {
        for live in if cut > done {
            &["v1"][..]
        } else {
            &["v1", "v2"]
        } {
            world.set_live(live);
            world.write("state.json", &under_lease);
            let folder = world.path("state.json.journals");
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join(&name), &journal[..cut]).unwrap();
            world.resume_converges(&format!("cut at byte {cut} with {live} live"));
        }
    }
}

#[test]
fn a_signal_ends_after_the_step_and_leaves_a_journal() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let world = World::new(&["web-01", "web-02"], true);
        world.configure(&["web-01", "web-02"], true, "  batch: 1\n");
        world.deploy_v2();
        world.write("before-run", "touch begun; sleep 0.3");
        let child = world.spawn(&["run"]);
        wait_for("the first step", || world.path("begun").exists());
        kill(signal, child.id());
        finish(child).exits(code).says("rollback resume");
        // The step that was begun is finished, the next is not.
        assert_eq!(world.read("calls"), "web-01.test: v2 > v1\n");
        let (_, journal) = world.journal().unwrap();
        assert!(journal.contains("\"done\""), "{journal}");
        world.resume_converges(signal);
    }
}

#[test]
fn a_signal_while_a_step_hangs_ends_in_time() {
    let world = World::with_v2_deployed();
    world.write("before-run", &once("before-run", "touch begun; sleep 60"));
    let child = world.spawn(&["run"]);
    wait_for("the step", || world.path("begun").exists());
    let asked = std::time::Instant::now();
    kill("TERM", child.id());
    finish(child).exits(143);
    // The runner kills 10 s after a cancellation, with a few left for the summary.
    assert!(asked.elapsed() < Duration::from_secs(9));
    world.resume_converges("after a step that hung");
}

#[test]
fn a_crash_of_this_machine_frees_the_lock() {
    let world = World::with_v2_deployed();
    world.write("before-run", &once("before-run", "kill -9 $PPID; exit 1"));
    dies(&world, "run");
    wait(world.store().update(None, |document| {
        let holder = &mut document.lock.as_mut().unwrap().holder;
        // A process of this boot has that id, but the holder was of another boot.
        *holder = state::Holder {
            boot_id: "another-boot".into(),
            ..state::Holder::this_process(None, None)
        };
        Ok(())
    }))
    .unwrap();
    world.resume_converges("after a reboot");
}

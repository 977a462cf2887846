//! Several at once.

use crate::e2e::world::{World, finish, wait_for};

#[test]
fn of_two_rollbacks_one_acts_and_the_other_names_it() {
    let world = World::with_v2_deployed();
    world.write("before-run", "while [ ! -f go ]; do sleep 0.02; done");
    let first = world.spawn(&["run"]);
    wait_for("the first one's step", || !world.read("calls").is_empty());
    let holder = format!("process {}", first.id());
    for verb in ["run", "resume", "plan", "unlock"] {
        world.rollback(&[verb]).exits(5).says(&holder);
    }
    let status = world.rollback(&["status"]);
    assert!(status.stdout.contains(&holder), "{status:?}");
    world.write("go", "");
    finish(first).exits(0);
    assert_eq!(world.read("calls"), "localhost: v2 > v1\n");
    assert_eq!(world.state().lock, None);
}

#[test]
fn of_many_at_once_one_acts() {
    for _ in 0..5 {
        let world = World::with_v2_deployed();
        world.write("before-run", "sleep 0.2");
        let racers: Vec<_> = (0..8).map(|_| world.spawn(&["run"])).collect();
        let codes: Vec<_> = racers.into_iter().map(|racer| finish(racer).code).collect();
        assert_eq!(
            codes.iter().filter(|code| **code == 0).count(),
            1,
            "{codes:?}"
        );
        assert_eq!(
            codes.iter().filter(|code| **code == 5).count(),
            7,
            "{codes:?}"
        );
        assert_eq!(world.read("calls"), "localhost: v2 > v1\n");
        assert_eq!(world.live(), "v1");
    }
}

#[test]
fn of_many_that_resume_a_dead_one_one_acts() {
    let world = World::with_v2_deployed();
    world.write("before-run", "rm before-run; kill -9 $PPID; exit 1");
    world.spawn(&["run"]).wait().unwrap();
    let racers: Vec<_> = (0..8).map(|_| world.spawn(&["resume"])).collect();
    let codes: Vec<_> = racers.into_iter().map(|racer| finish(racer).code).collect();
    assert!(codes.iter().all(|code| [0, 5].contains(code)), "{codes:?}");
    assert!(codes.contains(&0), "{codes:?}");
    world.resume_converges("after a race of resumes");
    assert_eq!(
        world.read("calls").lines().count(),
        2,
        "the dead one's call and the one that finished it"
    );
}

#[test]
fn records_at_once_are_all_kept_or_refused() {
    let world = World::new(&["localhost"], false);
    let racers: Vec<_> = (0..8)
        .map(|n| {
            let release = format!("v{n}");
            (
                world.spawn(&[
                    "record",
                    "--force=not-running",
                    "--reason=test",
                    "--release",
                    &release,
                ]),
                release,
            )
        })
        .collect();
    let mut kept = Vec::new();
    for (child, release) in racers {
        match finish(child).code {
            0 => kept.push(release),
            code => assert_eq!(code, 5),
        }
    }
    let state = world.state();
    assert!(!kept.is_empty());
    assert_eq!(state.history.len(), kept.len());
    assert_eq!(state.lock, None);
}

//! A signal while a share is set, proved or judged: what is taken back in the time that the runner leaves, and what
//! the state tells then.

use std::time::{Duration, Instant};

use testkit::End;

use crate::bed::{Bed, signal};

/// After so long GitHub's runner sends the next signal.
const RUNNER: Duration = Duration::from_millis(7500);

/// Sends SIGTERM to a ramp whose 10 % is being proved while each answer takes so long.
fn stopped_in_a_proof(delay: Duration) -> (Bed, End) {
    let bed = Bed::new("  stages: [10%, 100%]\n  deadline: 10m\n", "");
    bed.slow_answers(delay);
    let child = bed.spawn(&["ramp", "--release", "v2"]);
    bed.proof();
    let asked = Instant::now();
    signal("TERM", child.id());
    let end = End::from(child.wait_with_output().unwrap());
    let took = asked.elapsed();
    assert!(took < RUNNER, "{took:?}: {}", end.text);
    assert_eq!(bed.configured(), 0, "{}", end.text);
    (bed, end)
}

#[test]
fn a_signal_in_a_slow_proof_takes_the_share_back_and_proves_that() {
    let (bed, end) = stopped_in_a_proof(Duration::from_millis(250));
    end.is(143, &["interrupted; v1 has 100% again"]);
    assert!(bed.state()["rollout"].is_null());
}

#[test]
fn a_way_back_that_a_signal_leaves_no_time_to_prove_is_told_so_and_resumed() {
    let (bed, end) = stopped_in_a_proof(Duration::from_secs(1));
    end.is(
        143,
        &[
            "interrupted; 0% is set, not yet proved: `traffic resume` proves it",
            "blue 100%, green 0% is set, not yet proved: a signal left no time for it",
        ],
    );
    assert_eq!(bed.state()["rollout"]["phase"], "aborting");
    bed.slow_answers(Duration::ZERO);
    bed.traffic(&["status"]).is(
        1,
        &[
            "v2 had 10%, and v1 gets all again",
            "the process that took v2 back has ended: 0% is set, not yet proved",
        ],
    );
    bed.traffic(&["history"]).is(0, &["inconclusive"]);
    bed.traffic(&["resume"])
        .is(0, &["v1 has 100% again, v2 has none"]);
    bed.traffic(&["status"]).is(0, &["blue 100%, green 0%"]);
}

/// A person takes a rollout back, and the job of that is cancelled.
#[test]
fn a_signal_in_the_proof_of_an_abort_leaves_it_to_resume() {
    let bed = Bed::new("", "");
    bed.traffic(&["set", "10%", "--release", "v2"]).is(0, &[]);
    bed.slow_answers(Duration::from_secs(1));
    let child = bed.spawn(&["abort"]);
    bed.wait_for("the file", |bed| bed.configured() == 0);
    let asked = Instant::now();
    signal("INT", child.id());
    let end = End::from(child.wait_with_output().unwrap());
    assert!(asked.elapsed() < RUNNER, "{:?}", asked.elapsed());
    end.is(
        130,
        &["0% is set, not yet proved: `traffic resume` proves it"],
    );
    bed.slow_answers(Duration::ZERO);
    bed.traffic(&["resume"]).is(0, &["v1 has 100% again"]);
}

/// A switch goes back nowhere: what it set stays, and is finished by `resume`.
#[test]
fn a_signal_in_the_proof_of_a_switch_ends_it_at_once() {
    let bed = Bed::new("  deadline: 10m\n", "");
    bed.slow_answers(Duration::from_secs(1));
    let child = bed.spawn(&["switch"]);
    bed.proof();
    let asked = Instant::now();
    signal("TERM", child.id());
    let end = End::from(child.wait_with_output().unwrap());
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    end.is(
        143,
        &[
            "blue 0%, green 100% is set, not yet proved",
            "`traffic resume` finishes it",
        ],
    );
    bed.slow_answers(Duration::ZERO);
    bed.traffic(&["status"])
        .is(1, &["the process of the rollout has ended"]);
    bed.traffic(&["resume"])
        .is(0, &["v2 has 100%, v1 has none"]);
}

/// The switch is over: what serves is told, and that the side that was left still runs.
#[test]
fn a_signal_in_the_drain_is_told_and_left_to_resume() {
    let more = |drain: &str| {
        format!("  keep-old: false\n  drain-timeout: {drain}\n  stop: touch stopped\n")
    };
    let bed = Bed::new(&more("60s"), "");
    let child = bed.spawn(&["switch"]);
    bed.wait_for("the drain", |bed| bed.state()["old_side"].is_object());
    std::thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    signal("TERM", child.id());
    let end = End::from(child.wait_with_output().unwrap());
    assert!(asked.elapsed() < RUNNER, "{:?}", asked.elapsed());
    end.is(
        143,
        &[
            "v2 has 100%, v1 has none",
            "interrupted while blue was drained: v2 serves, and v1 still runs",
        ],
    );
    assert!(!bed.path("stopped").exists() && bed.state()["lock"].is_null());
    bed.traffic(&["status"]).is(1, &["`traffic resume`"]);
    bed.configure(&more("0s"), "");
    bed.traffic(&["resume"]).is(0, &["blue is stopped"]);
}

/// Both values are told, and the other's stays: while the share is proved, while it is judged, and while it waits.
#[test]
fn a_signal_after_a_change_behind_our_back_overwrites_nothing() {
    for phase in ["setting", "judging", "waiting"] {
        let wait = if phase == "waiting" { "200ms" } else { "60s" };
        let bed = Bed::new("", "");
        bed.configure(
            &format!("  stages: [10%, 100%]\n  stage-duration: {wait}\n  auto-promote: false\n  watch-interval: 30s\n"),
            "",
        );
        if phase == "setting" {
            bed.slow_answers(Duration::from_millis(30));
        }
        let child = bed.spawn(&["ramp", "--release", "v2"]);
        if phase == "setting" {
            bed.proof();
        } else {
            bed.phase(phase);
        }
        bed.weigh(1, 1);
        signal("TERM", child.id());
        End::from(child.wait_with_output().unwrap()).is(
            143,
            &[
                "blue 50%, green 50%",
                "blue 90%, green 10% was set: another changed it",
            ],
        );
        assert_eq!(bed.configured(), 50, "{phase}");
        assert_eq!(bed.state()["rollout"]["phase"], "held", "{phase}");
    }
}

/// A command of nginx that hangs while this file is there.
fn hanging(bed: &Bed, command: &str, flag: &str) -> String {
    let flag = bed.path(flag);
    format!("test ! -e {} || sleep 300; {command}", flag.display())
}

/// The test and the reload of nginx hang while the files `hangs-test` and `hangs-reload` are there.
fn may_hang(bed: &Bed, more: &str) {
    let (test, reload) = (bed.nginx.test_command(), bed.nginx.reload_command());
    let router = bed.router();
    let router = router.replace(
        &format!("test: {test}"),
        &format!("test: {}", hanging(bed, &test, "hangs-test")),
    );
    let router = router.replace(
        &format!("reload: {reload}"),
        &format!("reload: {}", hanging(bed, &reload, "hangs-reload")),
    );
    bed.write(&format!("{more}{router}"), "");
}

fn ended_in_time(bed: &Bed, args: &[&str], goes_on: impl Fn(&Bed)) -> End {
    let child = bed.spawn(args);
    bed.phase("setting");
    // The command that hangs has begun.
    std::thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    signal("TERM", child.id());
    goes_on(bed);
    let end = End::from(child.wait_with_output().unwrap());
    let took = asked.elapsed();
    assert!(took < RUNNER, "{took:?}: {}", end.text);
    end
}

#[test]
fn a_signal_while_a_reload_hangs_ends_in_time_and_tells_what_is_known() {
    let bed = Bed::new("", "");
    may_hang(&bed, "  stages: [10%, 100%]\n  stage-duration: 60s\n");
    let hangs = bed.path("hangs-reload");
    let nothing = |_: &Bed| {};
    let ramp = ["ramp", "--release", "v2"];

    // It hangs in the way back, too.
    std::fs::write(&hangs, "").unwrap();
    ended_in_time(&bed, &ramp, nothing).is(
        143,
        &[
            "whether blue 100%, green 0% is in effect is not known: a signal left no time to wait for nginx",
            "v1 does not have 100% everywhere again: `traffic abort` tries again",
        ],
    );
    assert_eq!(bed.state()["rollout"]["phase"], "aborting");
    std::fs::remove_file(&hangs).unwrap();
    bed.traffic(&["resume"])
        .is(0, &["v1 has 100% again, v2 has none"]);

    // The way back finds a reload that works.
    std::fs::write(&hangs, "").unwrap();
    let repaired = |bed: &Bed| std::fs::remove_file(bed.path("hangs-reload")).unwrap();
    ended_in_time(&bed, &ramp, repaired).is(143, &["interrupted; v1 has 100% again"]);
    assert!(bed.state()["rollout"].is_null(), "{}", bed.state());
    assert_eq!(bed.configured(), 0);

    // A switch goes back nowhere.
    std::fs::write(&hangs, "").unwrap();
    ended_in_time(&bed, &["switch"], nothing).is(
        143,
        &[
            "whether blue 0%, green 100% is in effect is not known: a signal left no time to wait for nginx",
            "`traffic resume` finishes it",
        ],
    );
    std::fs::remove_file(&hangs).unwrap();
    bed.traffic(&["resume"])
        .is(0, &["v2 has 100%, v1 has none"]);
}

/// Nothing was changed yet, and the file is sound as soon as nginx can be asked.
#[test]
fn a_signal_while_the_test_of_the_configuration_hangs_ends_in_time() {
    let bed = Bed::new("", "");
    may_hang(&bed, "  stages: [10%, 100%]\n  stage-duration: 60s\n");
    let hangs = bed.path("hangs-test");
    for args in [&["ramp", "--release", "v2"][..], &["switch"]] {
        std::fs::write(&hangs, "").unwrap();
        ended_in_time(&bed, args, |_| {}).is(143, &["interrupted"]);
        assert_eq!(bed.configured(), 0);
        std::fs::remove_file(&hangs).unwrap();
        bed.traffic(&["abort"]).is(0, &[]);
        assert!(bed.state()["rollout"].is_null(), "{}", bed.state());
    }
}

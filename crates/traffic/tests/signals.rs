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

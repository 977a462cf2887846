//! The assessor's rules as tables, and what must hold whatever is measured.

use std::time::Duration;

use Verdict::{Error as E, Fail as F, Inconclusive as I, Pass as P};
use config::file::Policy;
use config::value::{Portion, Span};
use model::Verdict;
use proptest::prelude::*;

use super::*;

/// The conclusion, as soon as there is one. `elapsed` is the time since the stage's start.
///
/// Samples after a conclusion change nothing.
fn assess(
    policy: &Policy,
    samples: &[Sample],
    elapsed: Duration,
) -> Result<Conclusion, ProbeProgress> {
    let mut assessor = Assessor::new(policy, Duration::ZERO);
    for sample in samples {
        assessor.push(policy, *sample);
    }
    assessor.stands(policy, elapsed)
}

/// Samples a second apart, judged a moment after the last.
fn judge(policy: &Policy, verdicts: &[Verdict]) -> String {
    let samples: Vec<_> = (0_u64..)
        .zip(verdicts)
        .map(|(n, verdict)| Sample {
            at: Duration::from_secs(n),
            verdict: *verdict,
        })
        .collect();
    match assess(policy, &samples, Duration::from_secs(verdicts.len() as u64)) {
        Ok(conclusion) => format!("{}: {}", conclusion.verdict, conclusion.reason),
        Err(standing) => format!(
            "open: {} in a row, {} failed",
            standing.streak, standing.failed
        ),
    }
}

fn policy(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy {
        interval: Span::from_secs(1),
        ..Policy::default()
    };
    change(&mut policy);
    policy
}

#[test]
fn successes_in_a_row_pass() {
    let plain = policy(|_| ());
    assert_eq!(judge(&plain, &[]), "open: 0 in a row, 0 failed");
    assert_eq!(judge(&plain, &[P, P]), "open: 2 in a row, 0 failed");
    assert_eq!(
        judge(&plain, &[P, P, P]),
        "pass: successes in a row (3) ≥ success-threshold (3)"
    );
    assert_eq!(
        judge(&plain, &[P, P, F, P, P]),
        "open: 2 in a row, 1 failed"
    );
    assert_eq!(
        judge(&plain, &[P, P, E, P, P, P]),
        "pass: successes in a row (3) ≥ success-threshold (3)"
    );
}

#[test]
fn failures_in_all_fail_not_failures_in_a_row() {
    let two = policy(|p| p.failure_limit = Some(2));
    assert_eq!(judge(&two, &[F, P, F]), "open: 0 in a row, 2 failed");
    assert_eq!(
        judge(&two, &[F, P, F, P, F]),
        "fail: failed (3) > failure-limit (2)"
    );
    let zero = policy(|p| p.failure_limit = Some(0));
    assert_eq!(judge(&zero, &[F]), "fail: failed (1) > failure-limit (0)");
}

#[test]
fn errors_and_inconclusives_in_a_row_end_the_probe_as_such() {
    let plain = policy(|_| ());
    assert_eq!(judge(&plain, &[E, E, E, E]), "open: 0 in a row, 0 failed");
    assert_eq!(
        judge(&plain, &[E, E, E, E, E]),
        "error: errors in a row (5) > error-limit (4)"
    );
    assert_eq!(
        judge(&plain, &[I, I, I, I, I]),
        "inconclusive: inconclusive in a row (5) > inconclusive-limit (4)"
    );
    assert_eq!(
        judge(&plain, &[E, E, I, E, E, I]),
        "open: 0 in a row, 0 failed"
    );
}

#[test]
fn a_failure_is_not_masked_by_what_comes_with_it() {
    let strict = policy(|p| {
        p.failure_limit = Some(0);
        p.inconclusive_limit = 0;
    });
    assert_eq!(
        judge(&strict, &[F, I]),
        "fail: failed (1) > failure-limit (0)"
    );
    // Also where no limit was exceeded: what ends without a pass ends as the worst it saw.
    let plain = policy(|_| ());
    assert_eq!(
        judge(&plain, &[F, I, I, I, I, I]),
        "fail: inconclusive in a row (5) > inconclusive-limit (4), after failures (1)"
    );
    assert!(judge(&plain, &[F, E, E, E, E, E]).starts_with("fail: errors in a row (5)"));
    assert!(judge(&plain, &[E, I, I, I, I, I]).starts_with("error: inconclusive in a row (5)"));
}

#[test]
fn while_starting_failures_count_for_nothing() {
    let startup = policy(|p| {
        p.failure_limit = Some(0);
        p.startup = Duration::from_secs(2).into();
    });
    assert_eq!(
        judge(&startup, &[F, F, F, P, P]),
        "open: 2 in a row, 0 failed"
    );
    assert_eq!(
        judge(&startup, &[F, F, F, F]),
        "fail: failed (1) > failure-limit (0)"
    );
    // After the first success the service has started.
    assert_eq!(
        judge(&startup, &[P, F]),
        "fail: failed (1) > failure-limit (0)"
    );
}

#[test]
fn errors_are_told_only_where_there_were_some() {
    let starting = policy(|p| p.startup = Span::from_secs(2));
    let excused = judge(&starting, &[F, I, I, I, I, I]);
    assert_eq!(
        excused,
        "inconclusive: inconclusive in a row (5) > inconclusive-limit (4)"
    );
    // An error is reported even if an excused failure came with it.
    assert!(judge(&starting, &[F, E, I, I, I, I, I]).ends_with("after errors"));
    let lasting = policy(|p| p.failing_for = Some(Span::from_secs(3)));
    assert!(judge(&lasting, &[F, P, I, I, I, I, I]).starts_with("inconclusive"));
}

#[test]
fn at_the_deadline_the_worst_that_was_seen_decides() {
    let short = policy(|p| p.deadline = Duration::from_secs(4).into());
    let ends = |verdicts: &[Verdict]| judge(&short, verdicts).split(':').next().map(str::to_owned);
    assert_eq!(ends(&[P, F, P, P]).as_deref(), Some("fail"));
    assert_eq!(ends(&[P, E, P, P]).as_deref(), Some("error"));
    assert_eq!(ends(&[F, E, E, E]).as_deref(), Some("fail"));
    assert_eq!(ends(&[P, I, P, P]).as_deref(), Some("inconclusive"));
    assert_eq!(ends(&[P, P, P, P]).as_deref(), Some("pass"));
    let one = [Sample {
        at: Duration::ZERO,
        verdict: P,
    }];
    // An answer that was still awaited when the deadline came.
    let conclusion = assess(&short, &one, Duration::from_secs(4)).unwrap();
    assert_eq!(
        conclusion.reason,
        "not passed within deadline (4s): 1 of 3 successes in a row, 0 failed of 1 measured"
    );
}

#[test]
fn a_probe_that_cannot_pass_any_more_ends_at_once() {
    let short = policy(|p| p.deadline = Duration::from_secs(5).into());
    assert!(judge(&short, &[P, F]).starts_with("open"));
    assert_eq!(
        judge(&short, &[P, P, F]),
        "fail: can no longer pass: needs 3 more successes, only 2 fit before the deadline (5s), \
         1 failed of 3 measured"
    );
    assert!(judge(&short, &[E, P, E]).starts_with("error: can no longer pass"));
    assert!(judge(&short, &[P, P, I]).starts_with("inconclusive: can no longer pass"));
    // Slots that a slow answer ran over are gone.
    let samples = [Sample {
        at: Duration::ZERO,
        verdict: F,
    }];
    assert!(assess(&short, &samples, Duration::from_millis(1900)).is_err());
    let late = assess(&short, &samples, Duration::from_millis(2100)).unwrap();
    assert!(late.reason.contains("needs 3 more successes, only 2 fit"));
    // The missing samples count too.
    let many = policy(|p| {
        p.deadline = Duration::from_secs(6).into();
        p.min_samples = 5;
    });
    assert!(judge(&many, &[P, I]).starts_with("open"));
    assert!(judge(&many, &[P, I, P, I]).starts_with("inconclusive: can no longer pass"));
    // A policy that leaves too little time is still worth one measurement.
    let hopeless = policy(|p| p.deadline = Duration::from_secs(2).into());
    assert!(judge(&hopeless, &[]).starts_with("open"));
    assert!(judge(&hopeless, &[F]).starts_with("fail"));
    assert!(judge(&hopeless, &[P]).starts_with("inconclusive"));
}

#[test]
fn what_can_never_be_measured_is_not_waited_for() {
    let late = policy(|p| {
        p.initial_delay = Span::from_secs(10);
        p.deadline = Span::from_secs(5);
    });
    assert_eq!(
        judge(&late, &[]),
        "inconclusive: nothing can be measured within deadline (5s): it begins at 10s"
    );
    let just = policy(|p| {
        p.initial_delay = Span::from_secs(4);
        p.deadline = Span::from_secs(5);
    });
    assert!(judge(&just, &[]).starts_with("open"));
}

/// argo-rollouts#4479: the limits are upper bounds, and errors were counted in a row only.
#[test]
fn errors_and_failures_in_turns_never_pass() {
    let short = policy(|p| p.deadline = Duration::from_secs(20).into());
    for pattern in [&[E, F][..], &[F, E], &[E, E, F], &[F, I], &[I, E, F, P, P]] {
        let seen: Vec<_> = pattern.iter().copied().cycle().take(20).collect();
        assert!(judge(&short, &seen).starts_with("fail"), "{seen:?}");
    }
    let seen: Vec<_> = [E, I, P, P].into_iter().cycle().take(20).collect();
    assert!(judge(&short, &seen).starts_with("error"));
}

#[test]
fn silence_until_the_deadline_is_inconclusive() {
    let conclusion = assess(&policy(|_| ()), &[], Duration::from_secs(120));
    assert_eq!(conclusion.map(|c| c.verdict), Ok(I));
}

#[test]
fn a_soak_keeps_measuring_after_the_pass() {
    let soak = policy(|p| p.soak = Duration::from_secs(2).into());
    assert_eq!(judge(&soak, &[P, P, P, P]), "open: 4 in a row, 0 failed");
    assert!(judge(&soak, &[P, P, P, P, P]).starts_with("pass: "));
    assert_eq!(
        judge(&soak, &[P, P, P, F]),
        "fail: failed while soaking (1) > soak-failure-limit (0)"
    );
    // Failures before the pass are the failure limit's business.
    assert!(judge(&soak, &[F, P, P, P, P, P]).starts_with("pass: "));
}

#[test]
fn a_soak_whose_last_words_are_failures_fails_also_within_its_budget() {
    let soak = policy(|p| {
        p.soak = Span::from_secs(4);
        p.soak_failure_limit = Portion::Count(50);
        p.timeout = Span::from_secs(1);
    });
    let judge = |last: Verdict| {
        let mut seen = vec![P; 5];
        seen.extend([last; 4]);
        judge(&soak, &seen)
    };
    assert_eq!(judge(F), "fail: no success at the end of the soak (4s)");
    assert!(judge(E).starts_with("error: no success"));
    assert!(judge(I).starts_with("inconclusive: no success"));
}

#[test]
fn a_soak_has_a_budget_of_failures_or_a_share() {
    let count = policy(|p| {
        p.soak = Span::from_secs(6);
        p.soak_failure_limit = Portion::Count(1);
    });
    assert!(judge(&count, &[P, P, P, F, P, P, P, P, P]).starts_with("pass: "));
    assert_eq!(
        judge(&count, &[P, P, P, F, P, F]),
        "fail: failed while soaking (2) > soak-failure-limit (1)"
    );
    let share = policy(|p| {
        p.soak = Span::from_secs(8);
        p.soak_failure_limit = Portion::Percent(25.0);
    });
    let good = [P, P, P, F, P, F, P, P, P, P, P];
    assert!(judge(&share, &good).starts_with("pass: "));
    // Certain before the soak is over: 3 of 8 are too many, whatever comes.
    assert_eq!(
        judge(&share, &[P, P, P, F, P, F, F]),
        "fail: failed while soaking (3 of 4) > soak-failure-limit (25%)"
    );
    // Of the measurements that were made: slow answers left slots out.
    let samples: Vec<_> = [0, 1, 2, 4, 7, 10]
        .into_iter()
        .zip([P, P, P, F, F, P])
        .map(|(at, verdict)| Sample {
            at: Duration::from_secs(at),
            verdict,
        })
        .collect();
    let end = assess(&share, &samples, Duration::from_secs(11)).unwrap();
    assert_eq!(
        end.reason,
        "failed while soaking (2 of 3) > soak-failure-limit (25%)"
    );
}

#[test]
fn a_watch_goes_on_after_the_pass_and_sees_it_break() {
    let mut plain = policy(|_| ());
    let judge = |policy: &Policy, verdicts: &[Verdict]| {
        let mut assessor = Assessor::new(policy, Duration::ZERO).watching();
        for (at, verdict) in (0..).map(Duration::from_secs).zip(verdicts.iter().copied()) {
            assessor.push(policy, Sample { at, verdict });
        }
        assessor.stands(policy, Duration::from_secs(10_000))
    };
    let standing = judge(&plain, &[P; 500]).unwrap_err();
    assert_eq!(standing.passed_at, Some(Duration::from_secs(2)));
    let broken = judge(&plain, &[P, P, P, P, F]).unwrap();
    assert_eq!(broken.verdict, F);
    // The budget as a share is one of what was measured so far.
    plain.soak_failure_limit = Portion::Percent(10.0);
    let mut seen = vec![P; 13];
    seen[12] = F;
    assert!(judge(&plain, &seen).is_err());
    seen.push(F);
    assert_eq!(judge(&plain, &seen).unwrap().verdict, F);
}

#[test]
fn a_pass_may_have_to_wait_for_samples() {
    let samples = policy(|p| p.min_samples = 5);
    assert_eq!(judge(&samples, &[P, P, P, P]), "open: 4 in a row, 0 failed");
    assert!(judge(&samples, &[P, P, P, P, P]).starts_with("pass: "));
    // An inconclusive result is not a sample, and a failure does not bring the pass nearer.
    assert!(judge(&samples, &[I, F, P, P, P]).starts_with("open: "));
    assert!(judge(&samples, &[I, F, P, P, P, P, P]).starts_with("pass: "));
}

#[test]
fn a_failure_must_last_to_fail() {
    let lasting = policy(|p| {
        p.failing_for = Some(Span::from_secs(3));
        p.failure_limit = Some(0);
        p.soak = Span::from_secs(6);
    });
    assert_eq!(judge(&lasting, &[F, F, F]), "open: 0 in a row, 3 failed");
    assert_eq!(
        judge(&lasting, &[F, F, F, F]),
        "fail: failing for 3s ≥ failing-for (3s)"
    );
    // A success ends the failure; an error or silence in between does not.
    assert!(judge(&lasting, &[F, F, P, F, F]).starts_with("open"));
    assert!(judge(&lasting, &[F, E, I, F]).starts_with("fail"));
    assert!(judge(&lasting, &[F, E, E, E]).starts_with("open"));
    // Short failures while soaking are forgiven; the soak does not end within one.
    assert!(judge(&lasting, &[P, P, P, F, P, F, P, P, P]).starts_with("pass"));
    assert!(judge(&lasting, &[P, P, P, P, P, P, P, F, F]).starts_with("open"));
    assert!(judge(&lasting, &[P, P, P, P, P, P, P, F, F, F, F]).starts_with("fail"));
}

/// Samples a second apart, with a pause of our own after some of them.
fn judge_with_pause(policy: &Policy, verdicts: &[Verdict], pause: (u64, u64)) -> Assessor {
    let mut assessor = Assessor::new(policy, Duration::ZERO);
    let (from, to) = (Duration::from_secs(pause.0), Duration::from_secs(pause.1));
    let mut verdicts = verdicts.iter();
    for at in (0..).map(Duration::from_secs) {
        if at == from {
            assessor.stopped(policy, from, to);
        }
        if at >= from && at < to {
            continue;
        }
        let Some(verdict) = verdicts.next() else {
            break;
        };
        assessor.push(
            policy,
            Sample {
                at,
                verdict: *verdict,
            },
        );
    }
    assessor
}

#[test]
fn a_time_in_which_we_were_stopped_fails_nothing() {
    let secs = Duration::from_secs;
    // The deadline waits for us.
    let short = policy(|p| p.deadline = Span::from_secs(6));
    let paused = judge_with_pause(&short, &[F, P, P], (2, 60));
    assert!(paused.stands(&short, secs(61)).is_err());
    let ended = judge_with_pause(&short, &[F, P, P, P], (2, 60));
    assert_eq!(ended.stands(&short, secs(62)).unwrap().verdict, P);
    let failed = judge_with_pause(&short, &[F, P, F], (2, 60));
    assert_eq!(failed.stands(&short, secs(64)).unwrap().verdict, F);
    // It was not seen to fail for longer than we looked.
    let lasting = policy(|p| p.failing_for = Some(Span::from_secs(3)));
    let paused = judge_with_pause(&lasting, &[F, F, F], (2, 30));
    assert!(paused.stands(&lasting, secs(31)).is_err());
    let failed = judge_with_pause(&lasting, &[F, F, F, F], (2, 30));
    assert_eq!(failed.stands(&lasting, secs(32)).unwrap().verdict, F);
}

#[test]
fn a_soak_that_was_hardly_measured_decides_nothing() {
    let soak = policy(|p| {
        p.success_threshold = 1;
        p.soak = Span::from_secs(30);
    });
    let end = |pause, good: usize| {
        let assessor = judge_with_pause(&soak, &vec![P; good], pause);
        assessor.stands(&soak, Duration::from_secs(30))
    };
    let hole = end((4, 29), 6).unwrap();
    assert_eq!(hole.verdict, I);
    assert_eq!(
        hole.reason,
        "soaked 30s, but only 5 of 30 measurements were made: this process was paused"
    );
    // A moment is forgiven, and what came before the pass is not the soak's.
    assert_eq!(end((4, 7), 28).unwrap().verdict, P);
    assert_eq!(end((4, 8), 27).unwrap().verdict, I);
    assert_eq!(end((0, 2), 40).map(|end| end.verdict), Ok(P));
    // What was seen failing still fails.
    let mut seen = vec![P; 4];
    seen.push(F);
    let failed = judge_with_pause(&soak, &seen, (4, 29));
    assert_eq!(
        failed
            .stands(&soak, Duration::from_secs(30))
            .unwrap()
            .verdict,
        F
    );
}

fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
    proptest::collection::vec(
        prop_oneof![4 => Just(P), 2 => Just(F), 1 => Just(E), 1 => Just(I)],
        0..40,
    )
}

fn policies() -> impl Strategy<Value = Policy> {
    let limits = (proptest::option::of(0_u32..4), 0_u32..4, 0_u32..4, 1_u32..5);
    let times = (0_u64..6, 2_u64..50, 0_u32..9);
    (limits, times).prop_map(
        |((failure, error, inconclusive, threshold), (startup, deadline, samples))| {
            policy(|p| {
                p.failure_limit = failure;
                p.error_limit = error;
                p.inconclusive_limit = inconclusive;
                p.success_threshold = threshold;
                p.startup = Span::from_secs(startup);
                p.deadline = Span::from_secs(deadline);
                p.min_samples = samples;
            })
        },
    )
}

fn soaks() -> impl Strategy<Value = Policy> {
    let budget = prop_oneof![
        (0_u32..4).prop_map(Portion::Count),
        (0.0..=100.0).prop_map(Portion::Percent)
    ];
    let lasting = proptest::option::of(0_u64..5);
    (policies(), 0_u64..20, budget, lasting).prop_map(|(policy, soak, budget, lasting)| Policy {
        soak: Span::from_secs(soak),
        soak_failure_limit: budget,
        failing_for: lasting.map(Span::from_secs),
        ..policy
    })
}

fn samples(verdicts: &[Verdict]) -> Vec<Sample> {
    let slots = (0..).map(Duration::from_secs);
    slots
        .zip(verdicts.iter().copied())
        .map(|(at, verdict)| Sample { at, verdict })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn more_failures_never_turn_fail_into_pass(
        policy in policies(),
        seen in verdicts(),
        places in proptest::collection::vec(0_usize..40, 1..5),
    ) {
        if judge(&policy, &seen).starts_with("fail") {
            let mut worse = seen;
            for place in places {
                worse.insert(place.min(worse.len()), F);
            }
            prop_assert!(!judge(&policy, &worse).starts_with("pass"), "{worse:?}");
        }
    }

    /// A failure before the pass may put the pass off, and with it the soak that went wrong; one
    /// instead of a later measurement makes nothing better. Not one more: it would push those
    /// after it beyond the soak's end.
    #[test]
    fn more_failures_in_a_soak_never_turn_fail_into_pass(
        policy in soaks(),
        seen in verdicts(),
        place in 0_usize..40,
    ) {
        let policy = Policy { failing_for: None, ..policy };
        let passed_at = assess(&policy, &samples(&seen[..place.min(seen.len())]), Duration::ZERO)
            .err()
            .and_then(|standing| standing.passed_at);
        if judge(&policy, &seen).starts_with("fail") && passed_at.is_some() {
            let mut worse = seen;
            if let Some(verdict) = worse.get_mut(place) {
                *verdict = F;
            }
            prop_assert!(!judge(&policy, &worse).starts_with("pass"), "{worse:?}");
        }
    }

    #[test]
    fn without_enough_successes_in_a_row_nothing_passes(policy in soaks(), seen in verdicts()) {
        let rows = seen.split(|verdict| *verdict != P).map(<[_]>::len);
        let longest = rows.max().unwrap_or(0);
        if longest < policy.success_threshold as usize {
            prop_assert!(!judge(&policy, &seen).starts_with("pass"));
        }
    }

    #[test]
    fn no_data_never_passes(
        policy in soaks(),
        seen in proptest::collection::vec(prop_oneof![Just(E), Just(I), Just(F)], 0..40),
        elapsed in 0_u64..200,
    ) {
        let verdict = assess(&policy, &samples(&seen), Duration::from_secs(elapsed)).map(|end| end.verdict);
        prop_assert!(verdict != Ok(P));
    }

    /// A conclusion is final: a later assessment gives the same verdict.
    #[test]
    fn a_conclusion_is_final(policy in soaks(), seen in verdicts(), cut in 0_usize..40, elapsed in 0_u64..60) {
        let all = samples(&seen);
        let (early, later) = all.split_at(cut.min(all.len()));
        let at = early.last().map_or(Duration::ZERO, |sample| sample.at);
        if let Ok(first) = assess(&policy, early, at) {
            let whole = assess(&policy, &all, at + Duration::from_secs(elapsed));
            prop_assert_eq!(whole.map(|end| end.verdict), Ok(first.verdict), "{:?}", later);
        }
    }

    /// `can no longer pass` is not a guess: with only successes from there on, a policy without
    /// that rule would have reached its deadline too.
    #[test]
    fn nobody_is_given_up_who_could_still_pass(policy in policies(), seen in verdicts()) {
        let all = samples(&seen);
        for cut in 1..=all.len() {
            let at = all[cut - 1].at;
            let Ok(end) = assess(&policy, &all[..cut], at) else { continue };
            if end.reason.starts_with("can no longer pass") {
                let deadline = policy.deadline.get();
                let slots = (cut as u64..).map(Duration::from_secs).take_while(|slot| *slot < deadline);
                let wanted = policy.success_threshold;
                let streak = all[..cut].iter().rev().take_while(|s| s.verdict == P).count();
                let good = all[..cut].iter().filter(|s| s.verdict == P).count();
                let more = slots.count();
                prop_assert!(streak + more < wanted as usize || good + more < policy.min_samples as usize);
            }
            break;
        }
    }

    /// The worst decides, whichever probe runs first.
    #[test]
    fn the_order_of_probes_does_not_matter(
        runs in proptest::collection::vec((soaks(), verdicts()), 0..6),
        swaps in proptest::collection::vec((0_usize..6, 0_usize..6), 0..6),
    ) {
        let verdict = |runs: &[(Policy, Vec<Verdict>)]| {
            Verdict::of(runs.iter().map(|(policy, seen)| {
                assess(policy, &samples(seen), Duration::from_secs(200)).map_or(I, |end| end.verdict)
            }))
        };
        let mut other = runs.clone();
        for (a, b) in swaps {
            if a < other.len() && b < other.len() {
                other.swap(a, b);
            }
        }
        prop_assert_eq!(verdict(&runs), verdict(&other));
    }
}

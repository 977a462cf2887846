//! Judges a history of measurements: a pure function of policy, samples and elapsed time.
//!
//! Words after Argo Rollouts' analysis. Where Argo lets a later rule overwrite an earlier one (an
//! inconclusive masks a failure), the sequence here ends at the first rule that is broken.

use std::time::Duration;

use config::file::Policy;
use config::value::Span;
use model::Verdict;

/// One measurement as the policy sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it was started, since the stage's start.
    pub at: Duration,
    /// Pass, fail, error or inconclusive.
    pub verdict: Verdict,
}

/// How a probe ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    pub verdict: Verdict,
    /// With its arithmetic: `failed (3) > failure-limit (2)`.
    pub reason: String,
}

/// Where a probe stands after some samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Samples seen.
    pub seen: u32,
    /// Successes in a row, up to now.
    pub streak: u32,
    /// Failures that count.
    pub failed: u32,
    /// When the success threshold was reached, if it was; from then on the probe soaks.
    pub passed_at: Option<Duration>,
}

/// What a probe lacks for a pass, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// More successes in a row.
    pub successes: u32,
    /// More measurements than those, up to `min-samples`.
    pub samples: u32,
    /// What is left of the soak.
    pub soak: Duration,
}

impl Standing {
    pub fn missing(&self, policy: &Policy, elapsed: Duration) -> Missing {
        let soak = policy.soak.get();
        if let Some(passed_at) = self.passed_at {
            return Missing {
                successes: 0,
                samples: 0,
                soak: (passed_at + soak).saturating_sub(elapsed),
            };
        }
        let successes = policy.success_threshold.saturating_sub(self.streak);
        let samples = policy.min_samples.saturating_sub(self.seen + successes);
        Missing {
            successes,
            samples,
            soak,
        }
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let soak = Duration::from_secs(self.soak.as_secs());
        match (self.successes, self.samples) {
            (0, 0) if soak.is_zero() => f.write_str("the last success"),
            (0, 0) => write!(f, "soaking, {} left", config::value::Span::from(soak)),
            (0, samples) => write!(f, "{samples} more measurements"),
            (successes, 0) => write!(f, "{successes} more in a row"),
            (successes, samples) => {
                write!(f, "{successes} more in a row, {samples} more measurements")
            }
        }
    }
}

/// The conclusion, as soon as there is one. `elapsed` is the time since the stage's start.
#[expect(
    clippy::too_many_lines,
    reason = "the rules in their order, each a few lines, read best in one place"
)]
pub fn assess(
    policy: &Policy,
    samples: &[Sample],
    elapsed: Duration,
) -> Result<Conclusion, Standing> {
    let Policy {
        initial_delay: _,
        interval: _,
        timeout: _,
        success_threshold,
        failure_limit,
        failing_for,
        startup,
        error_limit,
        inconclusive_limit,
        min_samples,
        deadline,
        soak,
        soak_failure_limit,
    } = policy;
    let end = |verdict, reason: String| Ok(Conclusion { verdict, reason });
    let mut now = Standing::default();
    let (mut errors, mut inconclusive) = (0_u32, 0_u32);
    let (mut saw_success, mut soak_failed) = (false, 0_u32);
    // Only a success ends a failure: that somebody could not be asked in between heals nothing.
    let mut failing_since = None;
    let mut saw = Verdict::Pass;
    for sample in samples {
        now.seen += 1;
        errors = if sample.verdict == Verdict::Error {
            errors + 1
        } else {
            0
        };
        inconclusive = if sample.verdict == Verdict::Inconclusive {
            inconclusive + 1
        } else {
            0
        };
        now.streak = if sample.verdict == Verdict::Pass {
            now.streak + 1
        } else {
            0
        };
        saw_success |= sample.verdict == Verdict::Pass;
        saw = saw.max(sample.verdict);
        let starting = !saw_success && sample.at <= startup.get() && !startup.get().is_zero();
        if sample.verdict == Verdict::Fail && !starting {
            now.failed += 1;
            soak_failed += u32::from(now.passed_at.is_some());
            failing_since.get_or_insert(sample.at);
        }
        if sample.verdict == Verdict::Pass {
            failing_since = None;
        }
        if let Some(limit) = failing_for {
            if let Some(since) = failing_since
                && sample.verdict == Verdict::Fail
                && sample.at.saturating_sub(since) >= limit.get()
            {
                let lasted = Span::from(sample.at.saturating_sub(since));
                return end(
                    Verdict::Fail,
                    format!("failing for {lasted} ≥ failing-for ({limit})"),
                );
            }
        } else if now.passed_at.is_some() {
            if soak_failed > *soak_failure_limit {
                return end(
                    Verdict::Fail,
                    format!(
                        "failed while soaking ({soak_failed}) > soak-failure-limit ({soak_failure_limit})"
                    ),
                );
            }
        } else if let Some(limit) = failure_limit
            && now.failed > *limit
        {
            return end(
                Verdict::Fail,
                format!("failed ({}) > failure-limit ({limit})", now.failed),
            );
        }
        if errors > *error_limit {
            return end(
                Verdict::Error,
                format!("errors in a row ({errors}) > error-limit ({error_limit})"),
            );
        }
        if inconclusive > *inconclusive_limit {
            return end(
                Verdict::Inconclusive,
                format!(
                    "inconclusive in a row ({inconclusive}) > inconclusive-limit ({inconclusive_limit})"
                ),
            );
        }
        if now.passed_at.is_none()
            && sample.verdict == Verdict::Pass
            && now.streak >= *success_threshold
            && now.seen >= *min_samples
        {
            now.passed_at = Some(sample.at);
        }
        if let Some(passed_at) = now.passed_at
            && sample.at >= passed_at + soak.get()
        {
            // At the end of the soak the last word must be a success too.
            if sample.verdict == Verdict::Pass {
                return end(Verdict::Pass, passed(policy, &now));
            }
        }
    }
    if now.passed_at.is_none() && elapsed >= deadline.get() {
        let verdict = match saw {
            Verdict::Fail | Verdict::Error => saw,
            _ => Verdict::Inconclusive,
        };
        return end(
            verdict,
            format!(
                "not passed within deadline ({deadline}): {} of {success_threshold} successes in a row, {} failed of {} measured",
                now.streak, now.failed, now.seen
            ),
        );
    }
    // A soak ends, even if its last measurements could not be made.
    if let Some(passed_at) = now.passed_at
        && elapsed
            >= (passed_at + soak.get()).max(deadline.get())
                + failing_for.map_or(Duration::ZERO, Span::get)
                + policy.interval.get()
                + policy.timeout.get()
    {
        return end(
            if saw == Verdict::Error {
                Verdict::Error
            } else {
                Verdict::Inconclusive
            },
            format!("no success at the end of the soak ({soak})"),
        );
    }
    Err(now)
}

fn passed(policy: &Policy, now: &Standing) -> String {
    let threshold = policy.success_threshold;
    let mut reason = format!(
        "successes in a row ({}) ≥ success-threshold ({threshold})",
        now.streak.max(threshold)
    );
    if !policy.soak.get().is_zero() {
        reason.push_str(&format!(", soaked {}", policy.soak));
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Error as E, Fail as F, Inconclusive as I, Pass as P};
    use proptest::prelude::*;

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
        let mut policy = Policy::default();
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
    fn at_the_deadline_the_worst_that_was_seen_decides() {
        let short = policy(|p| p.deadline = Duration::from_secs(4).into());
        let ends =
            |verdicts: &[Verdict]| judge(&short, verdicts).split(':').next().map(str::to_owned);
        assert_eq!(ends(&[P, F, P, P]).as_deref(), Some("fail"));
        assert_eq!(ends(&[P, E, P, P]).as_deref(), Some("error"));
        assert_eq!(ends(&[P, E, F, E]).as_deref(), Some("fail"));
        assert_eq!(ends(&[P, I, P, P]).as_deref(), Some("inconclusive"));
        assert_eq!(ends(&[P, P, P, P]).as_deref(), Some("pass"));
        assert_eq!(
            judge(&short, &[P, F, P, P]),
            "fail: not passed within deadline (4s): 2 of 3 successes in a row, 1 failed of 4 measured"
        );
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
    fn a_pass_may_have_to_wait_for_samples() {
        let samples = policy(|p| p.min_samples = 5);
        assert_eq!(judge(&samples, &[P, P, P, P]), "open: 4 in a row, 0 failed");
        assert!(judge(&samples, &[P, P, P, P, P]).starts_with("pass: "));
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

    fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
        proptest::collection::vec(prop_oneof![Just(P), Just(F), Just(E), Just(I)], 0..40)
    }

    proptest! {
        #[test]
        fn more_failures_never_turn_fail_into_pass(seen in verdicts(), at in 0_usize..40, limit in 0_u32..4) {
            let policy = policy(|p| p.failure_limit = Some(limit));
            if judge(&policy, &seen).starts_with("fail") {
                let mut worse = seen.clone();
                worse.insert(at.min(seen.len()), F);
                prop_assert!(!judge(&policy, &worse).starts_with("pass"));
            }
        }

        #[test]
        fn without_enough_successes_nothing_passes(seen in verdicts()) {
            let successes = seen.iter().filter(|verdict| **verdict == P).count();
            if successes < 3 {
                prop_assert!(!judge(&Policy::default(), &seen).starts_with("pass"));
            }
        }
    }
}

//! Samples, the standing of a probe after them, what it lacks, and how it ends.

use std::time::Duration;

use config::file::Policy;
use config::value::Span;
use model::Verdict;

/// One measurement as the policy sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The slot that it was made for, since the stage's start: exact where the clock is not.
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

impl Conclusion {
    pub fn is_pass(&self) -> bool {
        self.verdict == Verdict::Pass
    }
}

/// The standing of a probe after some samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeProgress {
    /// Samples seen.
    pub seen: u32,
    /// Successes in a row, up to now.
    pub streak: u32,
    /// Successes in all.
    pub good: u32,
    /// Failures that count.
    pub failed: u32,
    /// When the success threshold was reached, if it was; from then on the probe soaks.
    pub passed_at: Option<Duration>,
    /// Samples since then.
    pub soaked: u32,
    /// Failures since then.
    pub soak_failed: u32,
    /// Slots since then in which nothing was measured, because we ourselves were stopped.
    pub soak_missed: u32,
    /// The slot of the first failure since the last success. Only a success ends a failure: an error
    /// of the measurement in between does not.
    pub failing_since: Option<Duration>,
}

/// What a probe still lacks for a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemainingToPass {
    /// More successes in a row.
    pub successes: u32,
    /// More successes than those, up to `min-samples`.
    pub samples: u32,
    /// What is left of the soak.
    pub soak: Duration,
}

impl ProbeProgress {
    pub fn missing(&self, policy: &Policy, elapsed: Duration) -> RemainingToPass {
        let soak = policy.soak.get();
        if let Some(passed_at) = self.passed_at {
            return RemainingToPass {
                successes: 0,
                samples: 0,
                soak: (passed_at + soak).saturating_sub(elapsed),
            };
        }
        let successes = policy.success_threshold.saturating_sub(self.streak);
        let samples = policy.min_samples.saturating_sub(self.good + successes);
        RemainingToPass {
            successes,
            samples,
            soak,
        }
    }
}

impl RemainingToPass {
    /// Successes in all, with nothing between them.
    pub(super) fn total(self) -> u32 {
        self.successes.saturating_add(self.samples)
    }
}

impl std::fmt::Display for RemainingToPass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let soak = Duration::from_secs(self.soak.as_secs());
        match (self.successes, self.samples) {
            (0, 0) if soak.is_zero() => f.write_str("the last success"),
            (0, 0) => write!(f, "soaking, {} left", Span::from(soak)),
            (0, samples) => write!(f, "{samples} more successes"),
            (successes, 0) => write!(f, "{successes} more in a row"),
            (successes, samples) => {
                write!(f, "{successes} more in a row, {samples} more successes")
            }
        }
    }
}

//! When a probe passes, fails, or is given up.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::value::{Portion, Span};

/// When a probe passes, fails, or is given up.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Wait this long before the first measurement. Default 0s.
    pub initial_delay: Span,
    /// From the start of one measurement to the start of the next: the n-th starts at the stage's
    /// start + initial-delay + n × interval, however long those before it took. A slot that comes
    /// while the probe's own answer is still awaited is left out. Default 2s.
    pub interval: Span,
    /// How long one measurement may take. Default 5s.
    pub timeout: Span,
    /// Successes in a row that pass. Default 3.
    #[schemars(range(min = 1))]
    pub success_threshold: u32,
    /// The probe fails as soon as its failures in all exceed this. Unset: only the deadline ends
    /// the wait.
    pub failure_limit: Option<u32>,
    /// The probe fails as soon as it failed for this long without a success between, and for no
    /// shorter failure: takes the place of `failure-limit` and `soak-failure-limit`. Unset: those
    /// count.
    pub failing_for: Option<Span>,
    /// Failures before the first success and within this time count for nothing. Default 0s.
    pub startup: Span,
    /// Errors in a row (with no success between) above which the probe ends as error, or as fail if
    /// it saw a failure before it passed. Default 4.
    pub error_limit: u32,
    /// Inconclusive measurements in a row (with no success between) above which the probe ends so,
    /// or as the worst that it saw before it passed. Default 4.
    pub inconclusive_limit: u32,
    /// Do not pass before this many successes in all. Default 0.
    pub min_samples: u32,
    /// From the stage's start; a probe that has not passed by then is fail if it saw a failure, else
    /// error if it saw an error, else inconclusive. It ends so as soon as too few measurements are
    /// left to pass. Default 2m.
    pub deadline: Span,
    /// After passing, keep measuring this long. Default 0s.
    pub soak: Span,
    /// The error budget of the soak, above which the probe fails: a number of failures, or a share
    /// of the soak's measurements such as `1%`. Default 0.
    pub soak_failure_limit: Portion,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            initial_delay: Span::ZERO,
            interval: Span::from_secs(2),
            timeout: Span::from_secs(5),
            success_threshold: 3,
            failure_limit: None,
            failing_for: None,
            startup: Span::ZERO,
            error_limit: 4,
            inconclusive_limit: 4,
            min_samples: 0,
            deadline: Span::from_secs(120),
            soak: Span::ZERO,
            soak_failure_limit: Portion::Count(0),
        }
    }
}

/// What one probe does otherwise than the stage's policy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PolicyOverlay {
    pub initial_delay: Option<Span>,
    pub interval: Option<Span>,
    pub timeout: Option<Span>,
    pub success_threshold: Option<u32>,
    pub failure_limit: Option<u32>,
    pub failing_for: Option<Span>,
    pub startup: Option<Span>,
    pub error_limit: Option<u32>,
    pub inconclusive_limit: Option<u32>,
    pub min_samples: Option<u32>,
    pub deadline: Option<Span>,
    pub soak: Option<Span>,
    pub soak_failure_limit: Option<Portion>,
}

/// A policy that nothing can pass, and what would fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible {
    pub message: String,
    pub hint: String,
}

impl Impossible {
    /// The keys that decide it, the likeliest to be wrong first.
    pub const KEYS: [&str; 5] = [
        "deadline",
        "initial-delay",
        "success-threshold",
        "min-samples",
        "interval",
    ];
}

impl Policy {
    /// Why no probe can pass by this policy, however good its answers are: the last success that
    /// it needs is due at the deadline or later.
    pub fn impossible(&self) -> Option<Impossible> {
        let (deadline, delay) = (self.deadline.get(), self.initial_delay.get());
        let wanted = self.success_threshold.max(self.min_samples).max(1);
        let interval = self.interval.get().max(Duration::from_millis(1));
        // In milliseconds, which no number of successes overflows.
        let (interval, millis) = (interval.as_millis(), |time: Duration| time.as_millis());
        let needed = millis(delay) + interval * u128::from(wanted - 1);
        if needed < millis(deadline) {
            return None;
        }
        let span = |millis: u128| {
            let millis = u64::try_from(millis).unwrap_or(u64::MAX);
            Span::from(Duration::from_millis(millis))
        };
        let longer = span(needed + interval);
        let Some(left) = millis(deadline)
            .checked_sub(millis(delay))
            .filter(|left| *left > 0)
        else {
            return Some(Impossible {
                message: format!(
                    "nothing can pass: the first measurement is due after `initial-delay` ({}), and `deadline` ({}) is over by then",
                    self.initial_delay, self.deadline
                ),
                hint: format!("`deadline: {longer}` fits"),
            });
        };
        let key = if self.success_threshold >= self.min_samples {
            "success-threshold"
        } else {
            "min-samples"
        };
        let mut fits = vec![format!("`deadline: {longer}`")];
        let shorter = left / u128::from(wanted);
        if shorter > 0 {
            fits.push(format!("`interval: {}`", span(shorter)));
        }
        fits.push(format!("`{key}: {}`", left.div_ceil(interval)));
        Some(Impossible {
            message: format!(
                "nothing can pass: `{key}` ({wanted}) at an `interval` of {} takes {}, and `deadline` is {}",
                self.interval,
                span(needed),
                self.deadline
            ),
            hint: format!("what fits: {}", fits.join(", or ")),
        })
    }

    /// This policy with what a probe does otherwise.
    pub fn with(&self, overlay: Option<&PolicyOverlay>) -> Policy {
        let Some(overlay) = overlay else {
            return self.clone();
        };
        let PolicyOverlay {
            initial_delay,
            interval,
            timeout,
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
        } = *overlay;
        Policy {
            initial_delay: initial_delay.unwrap_or(self.initial_delay),
            interval: interval.unwrap_or(self.interval),
            timeout: timeout.unwrap_or(self.timeout),
            success_threshold: success_threshold.unwrap_or(self.success_threshold),
            failure_limit: failure_limit.or(self.failure_limit),
            failing_for: failing_for.or(self.failing_for),
            startup: startup.unwrap_or(self.startup),
            error_limit: error_limit.unwrap_or(self.error_limit),
            inconclusive_limit: inconclusive_limit.unwrap_or(self.inconclusive_limit),
            min_samples: min_samples.unwrap_or(self.min_samples),
            deadline: deadline.unwrap_or(self.deadline),
            soak: soak.unwrap_or(self.soak),
            soak_failure_limit: soak_failure_limit.unwrap_or(self.soak_failure_limit),
        }
    }
}

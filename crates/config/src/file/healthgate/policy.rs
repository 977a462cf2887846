//! When a probe passes, fails, or is given up.

use std::time::Duration;

use model::report::v1::millis;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::value::{Portion, Span};

/// A value of a policy as the report keeps it, and back again for those that judge once more.
trait Reported {
    type Kept;

    fn to_report(self) -> Self::Kept;

    fn from_report(kept: &Self::Kept) -> Self;
}

impl Reported for Span {
    type Kept = u64;

    fn to_report(self) -> u64 {
        millis(self.get())
    }

    fn from_report(kept: &u64) -> Span {
        Span::from(Duration::from_millis(*kept))
    }
}

impl Reported for u32 {
    type Kept = u32;

    fn to_report(self) -> u32 {
        self
    }

    fn from_report(kept: &u32) -> u32 {
        *kept
    }
}

impl Reported for Portion {
    type Kept = String;

    fn to_report(self) -> String {
        self.to_string()
    }

    /// What cannot be read allows nothing.
    fn from_report(kept: &String) -> Portion {
        kept.parse().unwrap_or(Portion::Count(0))
    }
}

impl<T: Reported> Reported for Option<T> {
    type Kept = Option<T::Kept>;

    fn to_report(self) -> Self::Kept {
        self.map(T::to_report)
    }

    fn from_report(kept: &Self::Kept) -> Self {
        kept.as_ref().map(T::from_report)
    }
}

/// The keys of a policy, a row each, with the default and the key in the report; `optional` for a rule that holds only
/// where it is set.
macro_rules! keys {
    ($(
        $(#[doc = $doc:literal])* $(#[schemars($($schema:tt)*)])?
        $key:ident: $kind:ident $type:ty $(= $default:expr)? => $reported:ident,
    )*) => {
        /// When a probe passes, fails, or is given up.
        #[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct Policy {
            $($(#[doc = $doc])* $(#[schemars($($schema)*)])? pub $key: keys!(@field $kind $type),)*
        }

        impl Default for Policy {
            fn default() -> Self {
                Policy { $($key: keys!(@default $kind $($default)?),)* }
            }
        }

        /// What one probe does otherwise than the stage's policy.
        #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct PolicyOverlay {
            $(pub $key: Option<$type>,)*
        }

        impl Policy {
            /// This policy with what a probe does otherwise.
            pub fn with(&self, overlay: Option<&PolicyOverlay>) -> Policy {
                let Some(overlay) = overlay else {
                    return self.clone();
                };
                Policy { $($key: keys!(@laid $kind overlay.$key, self.$key),)* }
            }

            /// The policy as the report keeps it.
            pub fn to_report(&self) -> model::Policy {
                model::Policy { $($reported: self.$key.to_report(),)* }
            }

            /// The policy in a report.
            pub fn from_report(policy: &model::Policy) -> Policy {
                Policy { $($key: Reported::from_report(&policy.$reported),)* }
            }
        }
    };
    (@field always $type:ty) => { $type };
    (@field optional $type:ty) => { Option<$type> };
    (@default always $default:expr) => { $default };
    (@default optional) => { None };
    (@laid always $own:expr, $common:expr) => { $own.unwrap_or($common) };
    (@laid optional $own:expr, $common:expr) => { $own.or($common) };
}

keys! {
    /// Wait this long before the first measurement. Default 0s.
    initial_delay: always Span = Span::ZERO => initial_delay_ms,
    /// From the start of one measurement to the start of the next: the n-th starts at the stage's
    /// start + initial-delay + n × interval, however long those before it took. A slot that comes
    /// while the probe's own answer is still awaited is left out. Default 2s.
    interval: always Span = Span::from_secs(2) => interval_ms,
    /// How long one measurement may take. Default 5s.
    timeout: always Span = Span::from_secs(5) => timeout_ms,
    /// Successes in a row that pass. Default 3.
    #[schemars(range(min = 1))]
    success_threshold: always u32 = 3 => success_threshold,
    /// The probe fails as soon as its failures in all exceed this. Applies until it passes. Unset: no
    /// limit on their number.
    failure_limit: optional u32 => failure_limit,
    /// The probe fails when it still fails this long after its first failure, with no success in
    /// between. Replaces `failure-limit` and `soak-failure-limit`. Unset: those count.
    failing_for: optional Span => failing_for_ms,
    /// Failures before the first success and within this time count for nothing. Default 0s.
    startup: always Span = Span::ZERO => startup_ms,
    /// Errors in a row (with no success between) above which the probe ends as error, or as fail if
    /// it saw a failure before it passed. Default 4.
    error_limit: always u32 = 4 => error_limit,
    /// Inconclusive measurements in a row (with no success between) above which the probe ends so,
    /// or as the worst that it saw before it passed. Default 4.
    inconclusive_limit: always u32 = 4 => inconclusive_limit,
    /// Do not pass before this many successes in all. Default 0.
    min_samples: always u32 = 0 => min_samples,
    /// From the stage's start; a probe that has not passed by then is fail if it saw a failure, else
    /// error if it saw an error, else inconclusive. It ends so as soon as too few measurements are
    /// left to pass. Default 2m.
    deadline: always Span = Span::from_secs(120) => deadline_ms,
    /// After passing, keep measuring this long. Default 0s.
    soak: always Span = Span::ZERO => soak_ms,
    /// The error budget of the soak, above which the probe fails: a number of failures, or a share
    /// of the soak's measurements such as `1%`. Default 0.
    soak_failure_limit: always Portion = Portion::Count(0) => soak_failure_limit,
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
}

//! Flags that replace keys of the policy.

use config::file::Policy;
use config::value::{Portion, Span};

/// A row each: the key, its type and how the help names its value.
macro_rules! flags {
    ($($(#[$attribute:meta])* $key:ident: $type:ty = $value:literal,)*) => {
        #[derive(clap::Args, Clone, Debug, Default)]
        pub(crate) struct PolicyFlags {
            $($(#[$attribute])* #[arg(long, value_name = $value, help_heading = "Policy")] $key: Option<$type>,)*
        }

        impl PolicyFlags {
            pub(crate) fn lay_over(&self, policy: &mut Policy) {
                $(if let Some(value) = self.$key {
                    policy.$key = value.into();
                })*
            }
        }
    };
}

flags! {
    /// Wait before the first measurement [default: 0s]
    initial_delay: Span = "TIME",
    /// Time between the starts of two measurements [default: 2s]
    interval: Span = "TIME",
    /// Timeout of one measurement [default: 5s]
    timeout: Span = "TIME",
    /// Successes in a row that pass [default: 3]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    success_threshold: u32 = "N",
    /// The probe fails as soon as it has more failures than this [default: no limit]
    failure_limit: u32 = "N",
    /// The probe fails once it failed for this long without a success, and for no shorter failure [default: none]
    failing_for: Span = "TIME",
    /// Failures before the first success within this time do not count [default: 0s]
    startup: Span = "TIME",
    /// The probe ends as `error` after more errors in a row than this [default: 4]
    error_limit: u32 = "N",
    /// Inconclusive measurements in a row above which the probe ends so [default: 4]
    inconclusive_limit: u32 = "N",
    /// Minimum number of successes for a pass, in a row or not [default: 0]
    min_samples: u32 = "N",
    /// The probe must pass within this time [default: 2m]
    deadline: Span = "TIME",
    /// After passing, keep measuring this long [default: 0s]
    soak: Span = "TIME",
    /// Failures during the soak above which the probe fails, or their share [default: 0]
    soak_failure_limit: Portion = "N|SHARE",
}

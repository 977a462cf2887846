//! What `judge: threshold` is told.

use schemars::JsonSchema;
use serde::Deserialize;

use values::{Quantity, Span};

/// Limits of metrics that have none of their own: those of runbook 003.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CanaryThresholds {
    /// How many more requests than stable's may fail, in points. Default 5%.
    pub error_rate: Quantity,
    /// How much longer than stable's the quantile of the latency may be. Default 3s.
    pub p95: Quantity,
    /// The least share of requests that must not fail. Default 95%.
    pub availability: Quantity,
    /// The time over which each value is taken. Default 5m.
    pub window: Span,
    /// How many values beyond a limit fail, in a row or not. Default 1.
    #[schemars(range(min = 1))]
    pub failures: u32,
    /// Whether an interval without data counts as one of them, as Flagger has it. Default false.
    pub no_data_fails: bool,
}

impl Default for CanaryThresholds {
    fn default() -> CanaryThresholds {
        CanaryThresholds {
            error_rate: Quantity::percent(5.0),
            p95: Quantity::seconds(3.0),
            availability: Quantity::percent(95.0),
            window: Span::from_secs(300),
            failures: 1,
            no_data_fails: false,
        }
    }
}

//! The verdict on one metric, in words.

use model::{Severity, Verdict};

/// What a judge found about a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub metric: String,
    pub severity: Severity,
    pub verdict: Verdict,
    /// The interval that decided, from 1.
    pub decided_at: Option<u32>,
    pub expected: String,
    pub actual: Option<String>,
    pub reason: String,
    pub hint: Option<String>,
    /// How many more requests of both sides would decide it, where that is known.
    pub missing_requests: Option<u64>,
}

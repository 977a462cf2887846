//! The rules of a gate while it watched, kept in the report so that it can be explained afterwards.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a probe passes, fails, or is given up. The words are those of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Policy {
    pub initial_delay_ms: u64,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub success_threshold: u32,
    pub failure_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failing_for_ms: Option<u64>,
    pub startup_ms: u64,
    pub error_limit: u32,
    pub inconclusive_limit: u32,
    pub min_samples: u32,
    pub deadline_ms: u64,
    pub soak_ms: u64,
    /// A count, `2`, or a share of the soak's measurements, `1%`.
    pub soak_failure_limit: String,
}

impl Policy {
    pub(crate) fn redacted(self) -> Self {
        // No `..`: a text of another's must be redacted. The only one is a number of the
        // configuration, which `merge` reads again.
        let Policy {
            initial_delay_ms: _,
            interval_ms: _,
            timeout_ms: _,
            success_threshold: _,
            failure_limit: _,
            failing_for_ms: _,
            startup_ms: _,
            error_limit: _,
            inconclusive_limit: _,
            min_samples: _,
            deadline_ms: _,
            soak_ms: _,
            soak_failure_limit: _,
        } = &self;
        self
    }
}

/// Bounds on what a measurement may find.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// The slowest answer that passes.
    pub latency: Option<Duration>,
    /// The least and the greatest value that pass, of a probe that reads a number.
    pub min: Option<f64>,
    pub max: Option<f64>,
}

impl Limits {
    pub fn is_empty(&self) -> bool {
        *self == Limits::default()
    }
}

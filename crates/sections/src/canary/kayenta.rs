//! What `judge: kayenta` is told.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Kayenta's score over all metrics, from 0 to 100.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct KayentaScore {
    /// The least score that passes. Default 95.
    #[schemars(range(min = 0, max = 100))]
    pub pass: f64,
    /// Below this score the canary fails at once; between the two it goes on until the deadline.
    /// Default 75.
    #[schemars(range(min = 0, max = 100))]
    pub marginal: f64,
    /// What each group of metrics counts for, in percent. Default: all the same.
    pub weights: BTreeMap<String, f64>,
}

impl Default for KayentaScore {
    fn default() -> KayentaScore {
        KayentaScore {
            pass: 95.0,
            marginal: 75.0,
            weights: BTreeMap::new(),
        }
    }
}

/// How Kayenta compares a metric.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of Kayenta's that have nothing to do with one another"
)]
pub struct KayentaMetric {
    /// Which way is worse. Default: increase.
    pub direction: KayentaDirection,
    /// The ratio of the means up to which an increase is accepted, such as 1.1. Default 1.
    pub allowed_increase: Option<f64>,
    /// The ratio of the means down to which a decrease is accepted, such as 0.9. Default 1.
    pub allowed_decrease: Option<f64>,
    /// Whether the canary fails with this metric, whatever the score. Default false.
    pub critical: bool,
    /// The increase up to which it is not critical, above `allowed-increase`.
    pub critical_increase: Option<f64>,
    /// The decrease down to which it is not critical, below `allowed-decrease`.
    pub critical_decrease: Option<f64>,
    /// Whether a side without data fails the metric. Default false: it is not counted.
    pub must_have_data: bool,
    /// Whether an interval without a value counts as zero. Default false: it is left out.
    pub missing_is_zero: bool,
    /// Whether outliers are left out. Default false.
    pub remove_outliers: bool,
    /// The groups that it counts in. Default: one group for all metrics without any.
    pub groups: Vec<String>,
}

/// Which way is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KayentaDirection {
    #[default]
    Increase,
    Decrease,
    Either,
}

//! Prometheus queries.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::PolicyOverlay;

/// A Prometheus instant query and the range its value must be in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrometheusProbe {
    /// The probe's name.
    pub name: String,
    /// The server's base URL.
    pub server: String,
    /// A query that gives one number.
    pub query: String,
    /// The least value that passes.
    pub min: Option<f64>,
    /// The greatest value that passes.
    pub max: Option<f64>,
    /// What an empty result means. Default: inconclusive.
    #[serde(default)]
    pub on_no_data: OnNoData,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

/// What an empty result means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnNoData {
    #[default]
    Inconclusive,
    Pass,
    Fail,
    Error,
}

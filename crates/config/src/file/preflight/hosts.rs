//! Hosts that must take a login.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::value::Weight;

/// A host that must be reachable and take a login.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostCheck {
    /// A name under `hosts:`.
    pub host: String,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

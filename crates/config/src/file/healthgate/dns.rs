//! Names that resolve.

use std::net::IpAddr;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::PolicyOverlay;

/// A name that resolves here, to the right addresses.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DnsProbe {
    /// The probe's name.
    pub name: String,
    /// The name to look up.
    pub host: String,
    /// The addresses that it must have, all of them and no other. Default: any.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

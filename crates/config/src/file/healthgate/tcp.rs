//! TCP ports.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Addresses, PolicyOverlay};
use crate::value::{Address, Pattern};

/// A TCP port that takes connections, and perhaps says the right thing.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TcpProbe {
    /// The probe's name.
    pub name: String,
    /// `host:port`.
    pub address: Address,
    /// What to send after connecting, such as `"PING\r\n"`. Default: nothing.
    pub send: Option<String>,
    /// A regular expression that matches what is received, up to 64 KiB. Default: a connection
    /// is enough.
    pub expect: Option<Pattern>,
    /// Which of the resolved addresses must pass. Default: all.
    #[serde(default)]
    pub addresses: Addresses,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

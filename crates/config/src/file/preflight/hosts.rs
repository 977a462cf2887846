//! Hosts that must take a login and be fit for a deployment.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::RoomCheck;
use crate::value::{Room, Span, Weight};

/// A host that must be reachable, take a login, and have what a deployment needs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostCheck {
    /// A name under `hosts:`, a pattern such as `web-*`, or `all`.
    pub host: String,
    /// `sudo -n true` must work: the user may act as root without a password. Default false.
    #[serde(default)]
    pub sudo: bool,
    /// Programs that must be on the user's `PATH`, such as `docker`.
    #[serde(default)]
    pub commands: Vec<String>,
    /// File systems that must have space and inodes left.
    #[serde(default)]
    pub disk: Vec<RoomCheck>,
    /// The least memory that new processes could have: a share (`10%`) or a size (`512MiB`).
    pub min_memory: Option<Room>,
    /// The highest load average of the last minute for each core: 1.0 is busy, 2.0 is twice that.
    pub max_load: Option<f64>,
    /// How far the host's clock may be from ours.
    pub max_clock_skew: Option<Span>,
    /// URLs that the host itself must reach, with `curl`, `wget` or `bash`: a status below 400,
    /// or a 401, with which a registry asks for a login.
    #[serde(default)]
    pub egress: Vec<String>,
    /// How long one host may take, from the look-up of its name. Default: `preflight.timeout`.
    pub timeout: Option<Span>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others; the facts of a host share it.
    /// Default 1.
    #[serde(default)]
    pub weight: Weight,
}

//! Containers.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::probe_config::one_or_many;
use super::{HostList, PolicyOverlay, ProbeConfig};
use crate::value::{Portion, Span};
use sections::KeyPosition;

/// A container that runs, is healthy where it has a health check, and is not started again while
/// we watch.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DockerProbe {
    /// The probe's name.
    pub name: String,
    /// The container's name or id.
    pub container: String,
    /// A name under `hosts:`, for a container that runs there. Default: the machine that runs us.
    pub host: Option<String>,
    /// Machines of `hosts:` where it runs, all of them probed as one group: `all`, a pattern, or a
    /// list.
    pub hosts: Option<HostList>,
    /// How many of these machines must pass, such as `95%` or `12`. Default 100%.
    pub require: Option<Portion>,
    /// Call Docker through `sudo -n`, where the user may not speak to it.
    #[serde(default)]
    pub sudo: bool,
    /// How often it may be started again while we watch, in all. Default 0.
    #[serde(default)]
    pub max_restarts: u32,
    /// How long it must have been up. Default: 10s where it was started again before we watched,
    /// which a crash loop was; else no time.
    pub min_uptime: Option<Span>,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

impl ProbeConfig for DockerProbe {
    common_fields!();
    on_hosts!();

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        one_or_many(spot, self.host.as_deref(), self.hosts.as_ref())?;
        spot.key("container").a_word(&self.container)
    }
}

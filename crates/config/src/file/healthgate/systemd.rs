//! Units of systemd.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::probe_config::one_or_many;
use super::{HostList, PolicyOverlay, ProbeConfig};
use crate::value::{Portion, Span};
use sections::KeyPosition;

/// A unit that is active and is not started again while we watch, neither by systemd nor by
/// anybody else: a service that crashes and comes back is active nearly always.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SystemdProbe {
    /// The probe's name.
    pub name: String,
    /// The unit, such as `shop-backend` or `shop-backend.service`.
    pub unit: String,
    /// A name under `hosts:`, for a unit that runs there. Default: the machine that runs us.
    pub host: Option<String>,
    /// Machines of `hosts:` where it runs, all of them probed as one group: `all`, a pattern, or a
    /// list.
    pub hosts: Option<HostList>,
    /// How many of these machines must pass, such as `95%` or `12`. Default 100%.
    pub require: Option<Portion>,
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

impl ProbeConfig for SystemdProbe {
    common_fields!();
    on_hosts!();

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        one_or_many(spot, self.host.as_deref(), self.hosts.as_ref())?;
        spot.key("unit").a_word(&self.unit)?;
        if self.unit.contains(['*', '?', '[']) {
            let fault = spot
                .key("unit")
                .fault(format!("`{}` is a pattern", self.unit));
            return Err(fault
                .hint("of several units one would hide another: name each in a probe of its own"));
        }
        Ok(())
    }
}

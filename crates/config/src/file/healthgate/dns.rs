//! Names that resolve.

use std::net::IpAddr;
use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{HostList, MemberError, PolicyOverlay, ProbeConfig};
use crate::value::{Member, Portion, has_place};

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
    /// Probe many endpoints as one group: a file with one of them a line, such as
    /// `10.0.0.17:8000`; `#` begins a comment. `{target}` above is the line, `{host}` its host.
    pub targets_file: Option<PathBuf>,
    /// Probe these machines of `hosts:` as one group: `all`, a pattern, or a list. `{host}` above is
    /// the machine's name, `{address}` its address.
    pub hosts: Option<HostList>,
    /// How many of the group must pass, such as `95%` or `12`. Default 100%.
    pub require: Option<Portion>,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

impl ProbeConfig for DnsProbe {
    common_fields!();
    group_fields!();

    fn fill(&mut self, member: &Member) -> Result<(), MemberError> {
        self.host = member.fill(&self.host);
        Ok(())
    }

    fn has_place(&self) -> bool {
        has_place(&self.host)
    }
}

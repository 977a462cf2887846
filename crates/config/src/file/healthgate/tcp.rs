//! TCP ports.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::probe_config::{filled, port_given};
use super::{Addresses, HostList, MemberError, PolicyOverlay, ProbeConfig};
use crate::value::{Address, Member, Pattern, Portion, has_place};
use sections::KeyPosition;

/// A TCP port that takes connections, and perhaps sends the right text.
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
    /// A name under `hosts:`; the connection is made from there, by SSH. `127.0.0.1` is then
    /// that host itself.
    pub via: Option<String>,
    /// Which of the resolved addresses must pass. Default: all.
    #[serde(default)]
    pub addresses: Addresses,
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

impl ProbeConfig for TcpProbe {
    common_fields!();
    group_fields!();

    fn fill(&mut self, member: &Member) -> Result<(), MemberError> {
        self.address = filled(&self.address, member)?;
        if let Some(via) = &mut self.via {
            *via = member.fill(via);
        }
        match self.address.port() {
            Some(_) => Ok(()),
            None => Err(MemberError::NoPort(self.address.clone())),
        }
    }

    fn has_place(&self) -> bool {
        has_place(self.address.host()) || self.via.as_deref().is_some_and(has_place)
    }

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if self.is_group() {
            return Ok(());
        }
        port_given(spot, &self.address)
    }
}

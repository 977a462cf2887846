//! TLS servers and their certificates.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::probe_config::filled;
use super::{Addresses, HostList, MemberError, PolicyOverlay, ProbeConfig};
use crate::value::{Address, Member, Portion, has_place};

/// A TLS server whose chain is trusted, whose certificate is for its name and holds long enough.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TlsProbe {
    /// The probe's name.
    pub name: String,
    /// `host:port`; the port is 443 where none is given.
    pub address: Address,
    /// The name that the certificate must be for. Default: the host of `address`.
    pub server_name: Option<String>,
    /// A file of PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The days that each certificate of the chain must still hold. Default 14.
    #[serde(default = "min_days")]
    pub min_days: u32,
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

fn min_days() -> u32 {
    14
}

impl ProbeConfig for TlsProbe {
    common_fields!();
    group_fields!();

    fn fill(&mut self, member: &Member) -> Result<(), MemberError> {
        self.address = filled(&self.address, member)?;
        if let Some(name) = &mut self.server_name {
            *name = member.fill(name);
        }
        Ok(())
    }

    fn has_place(&self) -> bool {
        has_place(self.address.host())
    }
}

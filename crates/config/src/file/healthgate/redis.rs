//! Redis servers.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{Addresses, HostList, PolicyOverlay, ProbeConfig};
use crate::value::{Address, Portion};
use sections::KeyPosition;

/// A Redis server that answers PING.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RedisProbe {
    /// The probe's name.
    pub name: String,
    /// `host:port`; the port is 6379 where none is given.
    pub address: Address,
    /// Whom to log in as, where the server has users (ACL).
    pub user: Option<String>,
    /// The environment variable that holds the password.
    pub password_env: Option<String>,
    /// Speak TLS; the server's certificate must be trusted and for its name.
    #[serde(default)]
    pub tls: bool,
    /// A file of PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The name that the certificate must be for. Default: the host of `address`.
    pub server_name: Option<String>,
    /// A name under `hosts:`; the connection is made from there, by SSH. `127.0.0.1` is then
    /// that host itself.
    pub via: Option<String>,
    /// Which of the resolved addresses must pass. Default: all.
    #[serde(default)]
    pub addresses: Addresses,
    /// Probe many servers as one group: a file with one of them a line; `#` begins a comment.
    /// `{target}` above is the line, `{host}` its host.
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

impl ProbeConfig for RedisProbe {
    common_fields!();
    group_fields!();
    server_places!();

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if self.user.is_some() && self.password_env.is_none() {
            return spot.refuse("user", "`user` needs `password-env`");
        }
        // Otherwise the password would go to any listener, in clear text.
        for (key, given) in [
            ("ca-file", self.ca_file.is_some()),
            ("server-name", self.server_name.is_some()),
        ] {
            if given && !self.tls {
                return spot.refuse(key, format!("`{key}` needs `tls: true`"));
            }
        }
        Ok(())
    }
}

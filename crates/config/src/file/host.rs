//! A machine reached by SSH.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// A machine reached by SSH.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Host {
    /// A name or an IP address, that of IPv6 in brackets or without.
    #[serde(deserialize_with = "without_brackets")]
    pub address: String,
    /// Default 22.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// Whom to log in as. Default: root.
    #[serde(default = "root")]
    pub user: String,
    /// The environment variable that holds the private key.
    pub key_env: Option<String>,
    /// The environment variable that holds the key's passphrase, where it has one.
    pub passphrase_env: Option<String>,
    /// A private key file, where the key is no secret of the workflow.
    pub key_file: Option<PathBuf>,
    /// The `known_hosts` file that must hold the host's key. Default: `~/.ssh/known_hosts`.
    pub known_hosts: Option<PathBuf>,
}

/// As every other place writes an IPv6 address before a port.
fn without_brackets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let inside = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = inside.filter(|inside| inside.parse::<Ipv6Addr>().is_ok());
    Ok(address.map(str::to_owned).unwrap_or(text))
}

fn ssh_port() -> u16 {
    22
}

fn root() -> String {
    "root".to_owned()
}

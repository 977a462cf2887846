//! A machine reached by SSH.

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// A machine reached by SSH.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Host {
    /// A name or an IP address, that of IPv6 in brackets or without. With `ssh: openssh` also a name
    /// that the `ssh` program's configuration has under `Host`.
    #[serde(deserialize_with = "without_brackets")]
    pub address: String,
    /// Default 22; with `ssh: openssh` what the `ssh` program's configuration has. A variable may be
    /// part of it: `"${VPS_PORT:-22}"`.
    #[serde(default)]
    #[schemars(schema_with = "port")]
    pub port: Option<u16>,
    /// Whom to log in as. Default: root; with `ssh: openssh` what the `ssh` program's configuration has.
    pub user: Option<String>,
    /// What logs in: `ssh2`, which is built in and the faster, or `openssh`, the `ssh` program of this
    /// machine with its configuration, agents, certificates and security keys. Default: `ssh2`.
    #[serde(default)]
    pub ssh: Client,
    /// With `ssh: openssh`: the configuration file of the `ssh` program. Default: `~/.ssh/config` and the
    /// system's.
    pub ssh_config: Option<PathBuf>,
    /// The name under `hosts:` of the host through which this one is reached.
    pub jump: Option<String>,
    /// The environment variable that holds the private key.
    pub key_env: Option<String>,
    /// The environment variable that holds the key's passphrase, where it has one.
    pub passphrase_env: Option<String>,
    /// A private key file, where the key is not a secret of the workflow. With `ssh: openssh` also a public
    /// one, whose private key an agent holds.
    pub key_file: Option<PathBuf>,
    /// The `known_hosts` file that must hold the host's key, or with `ssh: openssh` an authority that
    /// signed it. Default: `~/.ssh/known_hosts`; with `ssh: openssh` those of its configuration.
    pub known_hosts: Option<PathBuf>,
    /// The host that `jump` names.
    #[serde(skip)]
    pub jump_host: Option<Arc<Host>>,
}

/// What logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// Built in.
    #[default]
    Ssh2,
    /// The `ssh` program of this machine.
    Openssh,
}

impl Host {
    /// The port, where it is known without asking the `ssh` program.
    pub fn port(&self) -> Option<u16> {
        self.port.or(match self.ssh {
            Client::Ssh2 => Some(22),
            Client::Openssh => None,
        })
    }

    /// The user, likewise.
    pub fn user(&self) -> Option<&str> {
        let usual = match self.ssh {
            Client::Ssh2 => Some("root"),
            Client::Openssh => None,
        };
        self.user.as_deref().or(usual)
    }

    /// The login, for a person: `deploy@10.0.0.11:22`.
    pub fn subject(&self) -> String {
        let user = self.user().map(|user| format!("{user}@"));
        let port = self.port().map(|port| format!(":{port}"));
        let (user, port) = (user.unwrap_or_default(), port.unwrap_or_default());
        format!("{user}{}{port}", self.address)
    }

    /// What is configured and has no effect, or cannot be done: the key, and why.
    pub fn misfit(&self) -> Option<(&'static str, &'static str)> {
        match self.ssh {
            Client::Ssh2 if self.ssh_config.is_some() => Some((
                "ssh-config",
                "only the `ssh` program reads it: add `ssh: openssh`",
            )),
            Client::Openssh if self.passphrase_env.is_some() => Some((
                "passphrase-env",
                "the `ssh` program takes no passphrase from a variable: add the key to an `ssh-agent`, or leave `ssh: openssh` out",
            )),
            _ => None,
        }
    }
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

/// A number, or a text with a variable.
fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 65535 },
            { "type": "string", "pattern": r"\$\{" },
            { "type": "null" }
        ]
    })
}

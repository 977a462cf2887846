//! Where hosts come from that the configuration does not list itself.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use values::{ShellText, Span};

use crate::error::Error;
use crate::host::{Client, Host};

/// An inventory that is kept elsewhere: one of `ansible`, `command` and `file`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostsFrom {
    /// An inventory of Ansible: a file or a folder, as `ansible-inventory -i` takes it. It is read by
    /// `ansible-inventory --list`, with its groups.
    pub ansible: Option<PathBuf>,
    /// A shell command that prints JSON or YAML, as `file` has it.
    pub command: Option<ShellText>,
    /// A list of hosts as JSON or YAML, each a name or a mapping with the keys of a host under `hosts:`
    /// and with `name` and `groups`; or the JSON of `ansible-inventory --list`.
    pub file: Option<PathBuf>,
    /// How long the program may take. Default: 1m.
    #[serde(default = "a_minute")]
    pub timeout: Span,
    /// What each host has that the inventory does not have.
    #[serde(default)]
    pub defaults: HostDefaults,
}

fn a_minute() -> Span {
    Span::from_secs(60)
}

/// What each host of an inventory has that the inventory does not have; the keys are those of a host.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostDefaults {
    /// Default 22.
    pub port: Option<u16>,
    /// Whom to log in as.
    pub user: Option<String>,
    /// What logs in: `ssh2` or `openssh`.
    pub ssh: Option<Client>,
    /// With `ssh: openssh`: the configuration file of the `ssh` program.
    pub ssh_config: Option<PathBuf>,
    /// The name of the host through which they are reached; it is reached directly itself.
    pub jump: Option<String>,
    /// The environment variable that holds the private key.
    pub key_env: Option<String>,
    /// The environment variable that holds the key's passphrase, where it has one.
    pub passphrase_env: Option<String>,
    /// A private key file.
    pub key_file: Option<PathBuf>,
    /// The `known_hosts` file that must hold the hosts' keys.
    pub known_hosts: Option<PathBuf>,
}

/// How an inventory is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InventorySource<'a> {
    Ansible(&'a std::path::Path),
    Command(&'a str),
    File(&'a std::path::Path),
}

impl HostsFrom {
    /// The one way that is configured.
    pub fn way(&self) -> Result<InventorySource<'_>, Error> {
        match (&self.ansible, &self.command, &self.file) {
            (Some(path), None, None) => Ok(InventorySource::Ansible(path)),
            (None, Some(text), None) => Ok(InventorySource::Command(text)),
            (None, None, Some(path)) => Ok(InventorySource::File(path)),
            _ => Err(Error::NotOneWay),
        }
    }
}

impl HostDefaults {
    /// Fills in what a host does not have.
    pub(crate) fn fill(&self, name: &str, host: &mut Host) {
        let HostDefaults {
            port,
            user,
            ssh,
            ssh_config,
            jump,
            key_env,
            passphrase_env,
            key_file,
            known_hosts,
        } = self;
        host.port = host.port.or(*port);
        fill(&mut host.user, user.as_ref());
        if let Some(ssh) = ssh {
            host.ssh = *ssh;
        }
        fill(&mut host.ssh_config, ssh_config.as_ref());
        if host.jump_host.is_none() && jump.as_deref() != Some(name) {
            fill(&mut host.jump, jump.as_ref());
        }
        // A host's own key is the one that is meant.
        if host.key_env.is_none() && host.key_file.is_none() {
            host.key_env.clone_from(key_env);
            host.key_file.clone_from(key_file);
            fill(&mut host.passphrase_env, passphrase_env.as_ref());
        }
        fill(&mut host.known_hosts, known_hosts.as_ref());
    }
}

fn fill<T: Clone>(own: &mut Option<T>, default: Option<&T>) {
    if own.is_none() {
        *own = default.cloned();
    }
}

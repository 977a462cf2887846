//! Where to log in, as which user, and by what.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use inventory::Host;
use model::Secret;

use crate::quote;

/// Where to log in, as which user, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Ssh2(Ssh2Target),
    Openssh(OpensshTarget),
}

/// A login that libssh2 makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh2Target {
    pub address: String,
    pub port: u16,
    pub user: String,
    pub key: Secret,
    /// What opens the key, where it is protected.
    pub passphrase: Option<Secret>,
    pub known_hosts: PathBuf,
    /// The host through which it is reached.
    pub jump: Option<Arc<Target>>,
}

/// A login that the `ssh` program makes. What is not given here is as its configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpensshTarget {
    pub address: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    /// Where it is given, no other key is used.
    pub key: Option<Key>,
    pub known_hosts: Option<PathBuf>,
    /// The program's configuration.
    pub config: Option<PathBuf>,
    /// The host through which it is reached; it is reached by the `ssh` program too.
    pub jump: Option<Arc<Target>>,
}

/// The key of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Text(Secret),
    /// A private key, or the public one of a key that an agent holds.
    File(PathBuf),
}

impl Target {
    pub fn address(&self) -> &str {
        match self {
            Target::Ssh2(target) => &target.address,
            Target::Openssh(target) => &target.address,
        }
    }

    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Target::Ssh2(target) => Some(target.port),
            Target::Openssh(target) => target.port,
        }
    }

    pub(super) fn user(&self) -> Option<&str> {
        match self {
            Target::Ssh2(target) => Some(&target.user),
            Target::Openssh(target) => target.user.as_deref(),
        }
    }

    pub(super) fn jump(&self) -> Option<&Target> {
        match self {
            Target::Ssh2(target) => target.jump.as_deref(),
            Target::Openssh(target) => target.jump.as_deref(),
        }
    }

    /// The file that must hold the host's key.
    pub(super) fn known_hosts(&self) -> PathBuf {
        match self {
            Target::Ssh2(target) => target.known_hosts.clone(),
            Target::Openssh(target) => {
                let usual = || PathBuf::from("~/.ssh/known_hosts");
                target.known_hosts.clone().unwrap_or_else(usual)
            }
        }
    }

    /// What a person gives to `ssh` to get there: `-p 2222 deploy@web-01`.
    pub(crate) fn ssh_words(&self) -> String {
        let config = match self {
            Target::Ssh2(_) => None,
            Target::Openssh(target) => target.config.as_deref(),
        };
        let jumps = std::iter::successors(self.jump(), |jump| jump.jump());
        let jumps = jumps.map(|jump| (jump.user(), jump.address(), jump.port()));
        format_hops(
            config,
            jumps.collect(),
            (self.user(), self.address(), self.port()),
        )
    }

    /// The same login by the `ssh` program; `None` where its key has a passphrase.
    pub(crate) fn by_program(&self) -> Option<Target> {
        let target = match self {
            Target::Openssh(_) => return Some(self.clone()),
            Target::Ssh2(target) => target,
        };
        if target.passphrase.is_some() {
            return None;
        }
        let jump = match &target.jump {
            Some(jump) => Some(Arc::new(jump.by_program()?)),
            None => None,
        };
        Some(Target::Openssh(OpensshTarget {
            address: target.address.clone(),
            port: Some(target.port),
            user: Some(target.user.clone()),
            key: Some(Key::Text(target.key.clone())),
            known_hosts: Some(target.known_hosts.clone()),
            config: None,
            jump,
        }))
    }
}

/// The program that gets a person to a host of the configuration: `ssh -p 2222 deploy@web-01`.
pub fn command_for(host: &Host) -> String {
    let jumps = std::iter::successors(host.jump_host.as_deref(), |jump| jump.jump_host.as_deref());
    let jumps = jumps.map(way).collect();
    let words = format_hops(host.ssh_config.as_deref(), jumps, way(host));
    format!("ssh {words}")
}

/// User, address and port.
type Way<'a> = (Option<&'a str>, &'a str, Option<u16>);

fn way(host: &Host) -> Way<'_> {
    (host.user(), &host.address, host.port())
}

/// The jump hosts from the nearest to the host on.
fn format_hops(config: Option<&Path>, mut jumps: Vec<Way<'_>>, host: Way<'_>) -> String {
    let at = |(user, address, _): Way<'_>| match user {
        Some(user) => format!("{user}@{address}"),
        None => address.to_owned(),
    };
    let unusual = |(_, _, port): Way<'_>| port.filter(|port| *port != 22);
    let mut words = String::new();
    if let Some(config) = config {
        let config = quote(&config.display().to_string());
        words.push_str(&format!("-F {config} "));
    }
    if !jumps.is_empty() {
        jumps.reverse();
        let jump = |way| match unusual(way) {
            Some(port) => format!("{}:{port}", at(way)),
            None => at(way),
        };
        let jumps: Vec<String> = jumps.into_iter().map(jump).collect();
        words.push_str(&format!("-J {} ", quote(&jumps.join(","))));
    }
    if let Some(port) = unusual(host) {
        words.push_str(&format!("-p {port} "));
    }
    words + &quote(&at(host))
}

//! From a host of the configuration to a login that can be tried.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use inventory::{Client, Host};
use model::Secret;
use model::{Env, HintedError};

use crate::ssh::{Key, OpensshTarget, Ssh2Target, Target};

/// A private key file is a few kilobytes.
const MAX_KEY: u64 = 64 << 10;

impl Target {
    /// The login at a host of the configuration, with `key` or the host's own.
    pub fn of(host: &Host, key: Option<&Secret>, env: &Env) -> Result<Target, HintedError> {
        let jump = host.jump_host.as_deref();
        let jump = jump.map(|jump| {
            let reached = Target::of(jump, None, env);
            reached.map_err(|error| HintedError {
                reason: format!("its jump host `{}`: {}", jump.address, error.reason),
                ..error
            })
        });
        let jump = jump.transpose()?;
        match host.ssh {
            Client::Ssh2 => ssh2(host, key, jump, env).map(Target::Ssh2),
            Client::Openssh => openssh(host, key, jump, env).map(Target::Openssh),
        }
    }
}

fn ssh2(
    host: &Host,
    key: Option<&Secret>,
    jump: Option<Target>,
    env: &Env,
) -> Result<Ssh2Target, HintedError> {
    let key = match (key, &host.key_env, &host.key_file) {
        (Some(key), ..) => key.clone(),
        (None, Some(name), _) => variable(name, "key", env)?,
        (None, None, Some(path)) => read(path)?,
        (None, None, None) => {
            return Err(HintedError {
                reason: "no key is configured for the host".to_owned(),
                hint: "add `key-env: NAME` or `key-file: FILE` to the host; `ssh: openssh` uses the agent and the keys of the `ssh` program".to_owned(),
            });
        }
    };
    let passphrase = match &host.passphrase_env {
        Some(name) => Some(variable(name, "passphrase", env)?),
        None => None,
    };
    let known_hosts = host.known_hosts.clone().or_else(|| {
        env.non_empty("HOME")
            .map(|home| PathBuf::from(home).join(".ssh/known_hosts"))
    });
    Ok(Ssh2Target {
        address: host.address.clone(),
        port: host.port.unwrap_or(22),
        user: host.user.clone().unwrap_or_else(|| "root".to_owned()),
        key,
        passphrase,
        known_hosts: known_hosts.unwrap_or_else(|| PathBuf::from("known_hosts")),
        jump: jump.map(Arc::new),
    })
}

fn openssh(
    host: &Host,
    key: Option<&Secret>,
    jump: Option<Target>,
    env: &Env,
) -> Result<OpensshTarget, HintedError> {
    let key = match (key, &host.key_env, &host.key_file) {
        (Some(key), ..) => Some(Key::Text(key.clone())),
        (None, Some(name), _) => Some(Key::Text(variable(name, "key", env)?)),
        (None, None, Some(path)) => Some(Key::File(path.clone())),
        (None, None, None) => None,
    };
    let protected = || HintedError {
        reason: "the `ssh` program takes no passphrase from a variable".to_owned(),
        hint: "add the key to an `ssh-agent`, or leave `ssh: openssh` out".to_owned(),
    };
    if host.passphrase_env.is_some() {
        return Err(protected());
    }
    let jump = match jump {
        // One program makes both logins: it hands its connection from one to the other.
        Some(jump) => Some(Arc::new(jump.by_program().ok_or_else(protected)?)),
        None => None,
    };
    Ok(OpensshTarget {
        address: host.address.clone(),
        port: host.port,
        user: host.user.clone(),
        key,
        known_hosts: host.known_hosts.clone(),
        config: host.ssh_config.clone(),
        jump,
    })
}

fn variable(name: &str, what: &str, env: &Env) -> Result<Secret, HintedError> {
    env.secret(name).ok_or_else(|| HintedError {
        reason: format!("the {what}'s variable `{name}` is not set"),
        hint: model::env::mapping_hint(name),
    })
}

fn read(path: &Path) -> Result<Secret, HintedError> {
    let text = files::read_text(path, MAX_KEY);
    text.map(Secret::from).map_err(|error| HintedError {
        reason: format!("the key file {} cannot be read: {error}", path.display()),
        hint: "check `key-file` and its permissions".to_owned(),
    })
}

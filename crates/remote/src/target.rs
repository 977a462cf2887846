//! From a host of the configuration to a login that can be tried.

use std::path::{Path, PathBuf};

use config::file::Host;
use model::Env;
use model::Secret;

use crate::ssh::Target;

/// A private key file is a few kilobytes.
const MAX_KEY: u64 = 64 << 10;

/// Why a login cannot even be tried, and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TargetError {
    pub reason: String,
    pub hint: String,
}

impl Target {
    /// The login at a host of the configuration, with `key` or the host's own.
    pub fn of(host: &Host, key: Option<&Secret>, env: &Env) -> Result<Target, TargetError> {
        let Host {
            address,
            port,
            user,
            key_env,
            passphrase_env,
            key_file,
            known_hosts,
        } = host;
        let key = match (key, key_env, key_file) {
            (Some(key), ..) => key.clone(),
            (None, Some(name), _) => variable(name, "key", env)?,
            (None, None, Some(path)) => read(path)?,
            (None, None, None) => {
                return Err(TargetError {
                    reason: "no key is configured for the host".to_owned(),
                    hint: "add `key-env: NAME` or `key-file: FILE` to the host".to_owned(),
                });
            }
        };
        let passphrase = match passphrase_env {
            Some(name) => Some(variable(name, "passphrase", env)?),
            None => None,
        };
        let known_hosts = known_hosts.clone().or_else(|| {
            env.non_empty("HOME")
                .map(|home| PathBuf::from(home).join(".ssh/known_hosts"))
        });
        Ok(Target {
            address: address.clone(),
            port: *port,
            user: user.clone(),
            key,
            passphrase,
            known_hosts: known_hosts.unwrap_or_else(|| PathBuf::from("known_hosts")),
        })
    }
}

fn variable(name: &str, what: &str, env: &Env) -> Result<Secret, TargetError> {
    env.secret(name).ok_or_else(|| TargetError {
        reason: format!("the {what}'s variable `{name}` is not set"),
        hint: model::env::mapping_hint(name),
    })
}

fn read(path: &Path) -> Result<Secret, TargetError> {
    let text = files::read_text(path, MAX_KEY);
    text.map(Secret::from).map_err(|error| TargetError {
        reason: format!("the key file {} cannot be read: {error}", path.display()),
        hint: "check `key-file` and its permissions".to_owned(),
    })
}

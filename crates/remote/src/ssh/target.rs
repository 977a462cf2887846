//! Where to log in, and as which user.

use std::path::PathBuf;

use model::Secret;

/// Where to log in, and as which user.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: String,
    pub port: u16,
    pub user: String,
    pub key: Secret,
    /// What opens the key, where it is protected.
    pub passphrase: Option<Secret>,
    pub known_hosts: PathBuf,
}

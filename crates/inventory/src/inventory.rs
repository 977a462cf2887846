//! Hosts and groups that were read from elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::host::Host;
use crate::hosts::{Groups, Hosts};

pub(crate) const MAX_HOSTS: usize = 50_000;
const MAX_NAME: usize = 253;

/// Hosts and groups that were read from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub hosts: BTreeMap<String, Host>,
    pub groups: Groups,
}

impl Inventory {
    /// Adds its hosts to others, except those of the names that the others already use.
    pub fn add_to(&self, hosts: &mut Hosts, used: &BTreeSet<String>) {
        for (name, host) in &self.hosts {
            if !used.contains(name) {
                hosts.insert(name.clone(), host.clone());
            }
        }
        hosts.groups.clone_from(&self.groups);
    }
}

/// A name becomes a part of an outcome's name, a word of a pattern's list and an argument.
pub(crate) fn name(name: &str, what: &'static str) -> Result<(), Error> {
    let good = |c: char| c.is_alphanumeric() || "-_.:@".contains(c);
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('-') || !name.chars().all(good)
    {
        return Err(Error::Name { what });
    }
    Ok(())
}

//! The rules of [`Spot`] by a path of keys from the root of the file.

use std::collections::BTreeSet;

use crate::file::Config;
use crate::spot::Spot;
use yaml::{Fault, Node};

static NO_HOSTS: BTreeSet<String> = BTreeSet::new();

fn spot<'n>(tree: &'n Node, path: &[&str], host_names: &'n BTreeSet<String>) -> Spot<'n> {
    path.iter()
        .fold(Spot::root(tree, host_names), |spot, step| {
            match step.parse() {
                Ok(nth) => spot.item(nth),
                Err(_) => spot.key(step),
            }
        })
}

pub(super) fn http_url(tree: &Node, path: &[&str], text: &str) -> Result<(), Fault> {
    spot(tree, path, &NO_HOSTS).http_url(text)
}

pub(super) fn known_host(
    tree: &Node,
    path: &[&str],
    name: &str,
    config: &Config,
) -> Result<(), Fault> {
    spot(tree, path, &config.host_names).known_host(name)
}

pub(super) fn unique(tree: &Node, path: &[&str], key: &str) -> Result<(), Fault> {
    spot(tree, path, &NO_HOSTS).unique(key)
}

pub(super) fn fault(tree: &Node, path: &[&str], message: impl Into<String>) -> Fault {
    spot(tree, path, &NO_HOSTS).fault(message)
}

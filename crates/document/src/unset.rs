//! Variables that are not set: which parts of the file they keep from being used.
//!
//! The value of such a variable is unknown, so nothing replaces it. A section is refused when it is
//! used; until then only the rest of it is checked.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use yaml::{Fault, Kind, Node, Place};

use crate::interpolate::RELEASE;

const HOSTS: &str = "hosts";
/// The sections that use no host.
const WITHOUT_HOSTS: [&str; 3] = ["service", HOSTS, "github"];

/// The sections that cannot be used by their keys, each with its reason: of its own variables that are
/// not set the first, else the first of a host that it names. `is_section` tells a section's key.
pub fn sections(tree: &Node, is_section: impl Fn(&str) -> bool) -> BTreeMap<String, Fault> {
    let hosts = unusable_hosts(tree);
    let inventory = tree.get("hosts-from").map(variables).unwrap_or_default();
    let mut found = BTreeMap::new();
    for (key, value) in tree.entries() {
        let section = key.name.as_str();
        if !is_section(section) {
            continue;
        }
        let mut variables = variables(value);
        if !WITHOUT_HOSTS.contains(&section) {
            // Which hosts there are is not known.
            variables.extend(inventory.iter().copied());
        }
        if section != HOSTS && !hosts.is_empty() {
            let mut texts = Vec::new();
            value.texts(&mut texts);
            let named = hosts.iter().filter(|(name, _)| is_named(name, &texts));
            variables.extend(named.flat_map(|(_, host)| self::variables(host)));
        }
        found.extend(fault(&variables).map(|fault| (section.to_owned(), fault)));
    }
    found
}

/// Whether something below holds a variable that is not set.
pub fn has_unset(node: &Node) -> bool {
    !variables(node).is_empty()
}

/// The first variable below that is not set.
pub fn first(node: &Node) -> Option<Fault> {
    fault(&variables(node))
}

/// The hosts that hold a variable that is not set, or are reached through such a host, and the one
/// that holds it.
pub fn unusable_hosts(tree: &Node) -> Vec<(&str, &Node)> {
    let hosts = tree.get(HOSTS).map(Node::entries);
    let hosts = hosts.unwrap_or_default().iter();
    let hosts = hosts.map(|(key, host)| (key.name.as_str(), host));
    let is_own = |(_, host): &(&str, &Node)| !variables(host).is_empty();
    let (mut unusable, mut others): (Vec<_>, Vec<_>) = hosts.partition(is_own);
    // What is appended is looked at, too: one host leads to the next.
    let mut at = 0;
    while let Some((jump, cause)) = unusable.get(at).copied() {
        let is_behind =
            |(_, host): &mut (&str, &Node)| host.get("jump").and_then(Node::text) == Some(jump);
        let behind = others.extract_if(.., is_behind);
        unusable.extend(behind.map(|(name, _)| (name, cause)));
        at += 1;
    }
    unusable
}

/// The file as types. What holds a variable that is not set is left out, and with it what cannot be
/// without it.
pub fn decode_set<T: DeserializeOwned>(tree: &Node) -> Result<T, Fault> {
    if variables(tree).is_empty() {
        return tree.decode();
    }
    let mut tree = tree.clone();
    let mut thinned = BTreeSet::new();
    take(
        &mut tree,
        &mut thinned,
        &|node| matches!(&node.kind, Kind::Scalar(scalar) if !scalar.unset.is_empty()),
    );
    loop {
        let fault = match tree.decode() {
            Ok(value) => return Ok(value),
            Err(fault) => fault,
        };
        // What was taken from here may be what is missing.
        let Some(place) = fault
            .place
            .clone()
            .filter(|place| thinned.contains(&key(place)))
        else {
            return Err(fault);
        };
        if !take(&mut tree, &mut thinned, &|node| node.place == place) {
            return Err(fault);
        }
    }
}

/// Takes out of its map or list each node that is `wanted`, and notes the place of what it was in.
/// Whether there was one.
fn take(
    node: &mut Node,
    thinned: &mut BTreeSet<(usize, usize)>,
    wanted: &impl Fn(&Node) -> bool,
) -> bool {
    let mut inner = false;
    let mut keep = |child: &mut Node| {
        if wanted(child) {
            return false;
        }
        inner |= take(child, thinned, wanted);
        true
    };
    let before = node.children();
    match &mut node.kind {
        Kind::Scalar(_) => {}
        Kind::List(items) => items.retain_mut(&mut keep),
        Kind::Map(entries) => entries.retain_mut(|(_, value)| keep(value)),
    }
    let taken = node.children() < before;
    if taken {
        thinned.insert(key(&node.place));
    }
    taken || inner
}

fn key(place: &Place) -> (usize, usize) {
    (place.start, place.end)
}

/// A variable that is not set, and where.
type Unset<'n> = (&'n str, &'n Place);

/// Those below a node, in the file's order.
fn variables(node: &Node) -> Vec<Unset<'_>> {
    match &node.kind {
        Kind::Scalar(scalar) => {
            let names = scalar.unset.iter();
            names.map(|name| (name.as_str(), &node.place)).collect()
        }
        Kind::List(items) => items.iter().flat_map(variables).collect(),
        Kind::Map(entries) => entries
            .iter()
            .flat_map(|(_, value)| variables(value))
            .collect(),
    }
}

fn fault(variables: &[Unset<'_>]) -> Option<Fault> {
    let (name, place) = variables.first()?;
    let fault = Fault {
        unset: variables
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect(),
        ..Fault::new(format!("the variable `{name}` is not set")).at((*place).clone())
    };
    Some(if *name == RELEASE {
        fault.hint("`${RELEASE}` is the release under test: pass `--release RELEASE`")
    } else {
        fault.hint(format!(
            "set it in the step's `env:`, or write `${{{name}:-default}}` to give it a default"
        ))
    })
}

/// Whether a part of the file with these texts names the host.
fn is_named(host: &str, texts: &[&str]) -> bool {
    let address = |rest: &str| rest.strip_prefix(host).is_some_and(|r| r.starts_with('/'));
    texts.iter().any(|text| {
        *text == host
            || *text == "all"
            || model::glob(text, host)
            || text.strip_prefix("ssh://").is_some_and(address)
    })
}

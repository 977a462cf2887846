//! A list of hosts, as JSON or YAML.

use std::collections::BTreeSet;

use serde::Deserialize;
use yaml::{Fault, Kind, Node};

use crate::error::Error;
use crate::host::Host;
use crate::inventory::{Inventory, MAX_HOSTS, name};

/// More than the values of so many hosts.
const MAX_NODES: usize = 1_000_000;

/// What a host of the list has besides the keys of a host.
#[derive(Deserialize)]
struct Beside {
    name: String,
    #[serde(default)]
    groups: BTreeSet<String>,
}

pub(crate) fn read(text: &str) -> Result<Inventory, Error> {
    let at = |fault: Fault| {
        let start = fault.place.as_ref().map_or(0, |place| place.start);
        let before = &text[..text.floor_char_boundary(start)];
        Error::List {
            line: before.matches('\n').count() + 1,
            message: fault.message,
        }
    };
    let tree = Node::parse_within(text, MAX_NODES).map_err(at)?;
    let Kind::List(items) = tree.kind else {
        return Err(at(Fault::new("expected a list").at(tree.place)));
    };
    if items.len() > MAX_HOSTS {
        return Err(Error::TooMany {
            most: MAX_HOSTS,
            what: "hosts",
        });
    }
    let mut inventory = Inventory::default();
    for item in items {
        let (beside, host) = entry(item).map_err(at)?;
        name(&beside.name, "host")?;
        for group in beside.groups {
            name(&group, "group")?;
            let members = inventory.groups.entry(group).or_default();
            members.insert(beside.name.clone());
        }
        if inventory.hosts.insert(beside.name.clone(), host).is_some() {
            return Err(Error::Twice(beside.name));
        }
    }
    Ok(inventory)
}

fn entry(mut item: Node) -> Result<(Beside, Host), Fault> {
    if let Some(name) = item.text() {
        let beside = Beside {
            name: name.to_owned(),
            groups: BTreeSet::new(),
        };
        let host = Host {
            address: name.to_owned(),
            ..Host::default()
        };
        return Ok((beside, host));
    }
    let place = item.place.clone();
    let own: Vec<_> = ["name", "groups"]
        .into_iter()
        .filter_map(|key| {
            let value = item.remove(key)?;
            let key = yaml::Key {
                name: key.to_owned(),
                place: value.place.clone(),
            };
            Some((key, value))
        })
        .collect();
    let own = Node {
        place: place.clone(),
        kind: Kind::Map(own),
    };
    let beside: Beside = own.decode()?;
    if item.get("address").is_none()
        && let Kind::Map(entries) = &mut item.kind
        && let Some(name) = own.get("name")
    {
        let key = yaml::Key {
            name: "address".to_owned(),
            place,
        };
        entries.push((key, name.clone()));
    }
    Ok((beside, item.decode()?))
}

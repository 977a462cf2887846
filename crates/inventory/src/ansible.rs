//! The JSON of `ansible-inventory --list`, and of an inventory script of Ansible.
//!
//! Only what tells how a host is reached is kept; all other variables are passed over unread.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::arguments;
use crate::error::Error;
use crate::host::Host;
use crate::inventory::{Inventory, MAX_HOSTS, name};

const MAX_GROUPS: usize = 10_000;
/// How often hosts are members of groups, all in all.
const MAX_MEMBERS: usize = 1_000_000;
const COMMON: &str = "ansible_ssh_common_args";
const EXTRA: &str = "ansible_ssh_extra_args";

/// `_meta`, or a group.
#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    hostvars: BTreeMap<String, Vars>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    children: Vec<String>,
    #[serde(default)]
    vars: Vars,
}

/// A group of an old script is the list of its hosts alone.
struct Part(Entry);

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Part, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Part;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a group")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Part, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                Entry::deserialize(map).map(Part)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Part, A::Error> {
                let list = serde::de::value::SeqAccessDeserializer::new(list);
                let hosts = Vec::deserialize(list)?;
                Ok(Part(Entry {
                    hosts,
                    ..Entry::default()
                }))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// How a host is reached, as far as it is told.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names are Ansible's")]
struct Vars {
    ansible_host: Loose,
    ansible_ssh_host: Loose,
    ansible_port: Loose,
    ansible_ssh_port: Loose,
    ansible_user: Loose,
    ansible_ssh_user: Loose,
    ansible_ssh_private_key_file: Loose,
    ansible_ssh_common_args: Loose,
    ansible_ssh_extra_args: Loose,
    ansible_connection: Loose,
}

impl Vars {
    /// Lays others over these.
    fn lay(&mut self, over: &Vars) {
        let pairs = [
            (&mut self.ansible_host, &over.ansible_host),
            (&mut self.ansible_ssh_host, &over.ansible_ssh_host),
            (&mut self.ansible_port, &over.ansible_port),
            (&mut self.ansible_ssh_port, &over.ansible_ssh_port),
            (&mut self.ansible_user, &over.ansible_user),
            (&mut self.ansible_ssh_user, &over.ansible_ssh_user),
            (
                &mut self.ansible_ssh_private_key_file,
                &over.ansible_ssh_private_key_file,
            ),
            (
                &mut self.ansible_ssh_common_args,
                &over.ansible_ssh_common_args,
            ),
            (
                &mut self.ansible_ssh_extra_args,
                &over.ansible_ssh_extra_args,
            ),
            (&mut self.ansible_connection, &over.ansible_connection),
        ];
        for (own, over) in pairs {
            if !matches!(over, Loose::Absent) {
                own.clone_from(over);
            }
        }
    }
}

/// A value whose type is not fixed.
#[derive(Clone, Default)]
enum Loose {
    #[default]
    Absent,
    Text(String),
    /// A mapping such as a text that a vault protects, a list, or a boolean.
    Odd,
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Loose, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Loose;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Loose, E> {
                Ok(Loose::Absent)
            }

            fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
                Ok(if text.is_empty() {
                    Loose::Absent
                } else {
                    Loose::Text(text.to_owned())
                })
            }

            fn visit_u64<E>(self, number: u64) -> Result<Loose, E> {
                Ok(Loose::Text(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Loose, E> {
                Ok(Loose::Text(number.to_string()))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Loose, E> {
                Ok(Loose::Odd)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Loose, E> {
                Ok(Loose::Odd)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Loose::Odd)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Loose, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Loose::Odd)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

pub(crate) fn read(text: &[u8], home: Option<&Path>) -> Result<Inventory, Error> {
    let parts: Result<BTreeMap<String, Part>, _> = serde_json::from_slice(text);
    let mut parts = parts.map_err(|error| Error::NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    let meta = parts.remove("_meta").map(|part| part.0.hostvars);
    let too_many = |most, what| Error::TooMany { most, what };
    if parts.len() > MAX_GROUPS {
        return Err(too_many(MAX_GROUPS, "groups"));
    }
    let mut groups = BTreeMap::new();
    let mut members_in_all = 0;
    for group in parts.keys() {
        name(group, "group")?;
        let members = members(group, &parts);
        members_in_all += members.len();
        if members_in_all > MAX_MEMBERS {
            return Err(too_many(MAX_MEMBERS, "members of groups"));
        }
        groups.insert(group.clone(), members);
    }
    let mut all: BTreeSet<&str> = groups.values().flatten().map(String::as_str).collect();
    all.extend(meta.iter().flat_map(BTreeMap::keys).map(String::as_str));
    if all.len() > MAX_HOSTS {
        return Err(too_many(MAX_HOSTS, "hosts"));
    }
    let order = match &meta {
        // Ansible has laid them over one another.
        Some(_) => Vec::new(),
        None => order(&parts, &groups),
    };
    let mut hosts = BTreeMap::new();
    for host in all {
        name(host, "host")?;
        let mut vars = Vars::default();
        for group in order.iter().filter(|group| groups[**group].contains(host)) {
            vars.lay(&parts[*group].0.vars);
        }
        if let Some(own) = meta.as_ref().and_then(|meta| meta.get(host)) {
            vars.lay(own);
        }
        if let Some(reached) = reached(host, &vars, home)? {
            hosts.insert(host.to_owned(), reached);
        }
    }
    // A way through a host of the inventory is by its name, so that its own way counts.
    let names: BTreeSet<String> = hosts.keys().cloned().collect();
    for (own, host) in &mut hosts {
        let plain =
            |jump: &Host| jump.user.is_none() && jump.port.is_none() && jump.jump_host.is_none();
        let by_name = |jump: &mut Arc<Host>| plain(jump) && names.contains(&jump.address);
        if let Some(jump) = host.jump_host.take_if(by_name)
            && jump.address != *own
        {
            host.jump = Some(jump.address.clone());
        }
    }
    // `all` means every host already, also those under `hosts:`.
    groups.remove("all");
    groups.retain(|group, _| !hosts.contains_key(group));
    for members in groups.values_mut() {
        members.retain(|member| hosts.contains_key(member));
    }
    Ok(Inventory { hosts, groups })
}

/// The hosts of a group and of all groups below it.
fn members(group: &str, parts: &BTreeMap<String, Part>) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::from([group]), vec![group]);
    let mut found = BTreeSet::new();
    while let Some(group) = open.pop() {
        let Some(Part(part)) = parts.get(group) else {
            continue;
        };
        found.extend(part.hosts.iter().cloned());
        open.extend(
            part.children
                .iter()
                .map(String::as_str)
                .filter(|child| seen.insert(child)),
        );
    }
    found
}

/// The groups in the order in which Ansible lays their variables over one another: a larger one that
/// holds another comes first, then by name.
fn order<'p>(
    parts: &'p BTreeMap<String, Part>,
    groups: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<&'p str> {
    let mut order: Vec<&str> = parts.keys().map(String::as_str).collect();
    order.sort_by_key(|group| {
        (
            *group != "all",
            std::cmp::Reverse(groups[*group].len()),
            *group,
        )
    });
    order
}

/// How a host is reached; `None` where that is not by SSH.
fn reached(host: &str, vars: &Vars, home: Option<&Path>) -> Result<Option<Host>, Error> {
    let text = |value: &Loose, key: &'static str| match value {
        Loose::Absent => Ok(None),
        Loose::Text(text) if text.contains("{{") => Err(Error::Template {
            host: host.to_owned(),
            key,
        }),
        Loose::Text(text) => Ok(Some(text.clone())),
        Loose::Odd => Err(Error::Value {
            host: host.to_owned(),
            key,
            wanted: "a text",
        }),
    };
    let either =
        |new: (&Loose, &'static str), old: (&Loose, &'static str)| match text(new.0, new.1)? {
            Some(found) => Ok(Some(found)),
            None => text(old.0, old.1),
        };
    let connection = text(&vars.ansible_connection, "ansible_connection")?;
    let by_ssh = ["ssh", "smart", "paramiko", "paramiko_ssh", "libssh"];
    let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    if connection.is_some_and(|name| !by_ssh.contains(&short(&name).as_str())) {
        return Ok(None);
    }
    let address = either(
        (&vars.ansible_host, "ansible_host"),
        (&vars.ansible_ssh_host, "ansible_ssh_host"),
    )?;
    let port = either(
        (&vars.ansible_port, "ansible_port"),
        (&vars.ansible_ssh_port, "ansible_ssh_port"),
    )?;
    let port = port.map(|port| port.trim().parse().ok().filter(|port| *port != 0));
    if port == Some(None) {
        return Err(Error::Value {
            host: host.to_owned(),
            key: "ansible_port",
            wanted: "a port",
        });
    }
    let user = either(
        (&vars.ansible_user, "ansible_user"),
        (&vars.ansible_ssh_user, "ansible_ssh_user"),
    )?;
    let key = text(
        &vars.ansible_ssh_private_key_file,
        "ansible_ssh_private_key_file",
    )?;
    let mut reached = Host {
        address: address.unwrap_or_else(|| host.to_owned()),
        port: port.flatten(),
        user,
        key_file: key.map(|path| at_home(&path, home)),
        ..Host::default()
    };
    for (value, key) in [
        (&vars.ansible_ssh_common_args, COMMON),
        (&vars.ansible_ssh_extra_args, EXTRA),
    ] {
        let Some(words) = text(value, key)? else {
            continue;
        };
        let host = host.to_owned();
        let told = arguments::read(&words).ok_or(Error::Way { host, key })?;
        if let Some(path) = &told.known_hosts {
            reached.known_hosts = Some(at_home(path, home));
        }
        if reached.jump_host.is_none() {
            reached.jump_host = told.through(&reached);
        }
    }
    Ok(Some(reached))
}

fn at_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

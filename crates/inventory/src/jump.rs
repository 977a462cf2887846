//! Hosts that are reached through others.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::host::Host;

/// More hosts in a row than any network has.
const MAX_JUMPS: usize = 8;

/// Why a host cannot be reached by way of its `jump`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JumpError {
    #[error("no host `{jump}` under `hosts:`")]
    Unknown { host: String, jump: String },
    #[error("the jump hosts lead in a circle: {}", chain.join(" → "))]
    Circle { host: String, chain: Vec<String> },
    #[error("more than {MAX_JUMPS} jump hosts in a row")]
    TooMany { host: String },
}

impl JumpError {
    /// The host whose `jump` is wrong.
    pub fn host(&self) -> &str {
        match self {
            JumpError::Unknown { host, .. }
            | JumpError::Circle { host, .. }
            | JumpError::TooMany { host } => host,
        }
    }

    pub fn hint(&self) -> String {
        match self {
            JumpError::Unknown { jump, .. } => {
                format!("add `hosts: {{ {jump}: {{ address: … }} }}`, or correct the name")
            }
            JumpError::Circle { chain, .. } => format!(
                "one of them must be reached directly: remove `jump` from `{}`",
                chain.last().map_or("one of them", String::as_str)
            ),
            JumpError::TooMany { .. } => "reach one of them directly".to_owned(),
        }
    }
}

/// Gives each host the one that its `jump` names, and that one its own.
pub fn link_jumps(hosts: &mut BTreeMap<String, Host>) -> Result<(), JumpError> {
    let mut linked: BTreeMap<String, Arc<Host>> = BTreeMap::new();
    let names: Vec<String> = hosts
        .iter()
        .filter(|(_, host)| host.jump.is_some())
        .map(|(name, _)| name.clone())
        .collect();
    for name in names {
        let mut chain = Vec::new();
        let jump = jump_of(&name, hosts, &mut linked, &mut chain)?;
        let jumps = std::iter::successors(jump.as_ref(), |host| host.jump_host.as_ref());
        if jumps.count() > MAX_JUMPS {
            return Err(JumpError::TooMany { host: name });
        }
        if let Some(host) = hosts.get_mut(&name) {
            host.jump_host = jump;
        }
    }
    Ok(())
}

fn jump_of(
    name: &str,
    hosts: &BTreeMap<String, Host>,
    linked: &mut BTreeMap<String, Arc<Host>>,
    chain: &mut Vec<String>,
) -> Result<Option<Arc<Host>>, JumpError> {
    let Some(host) = hosts.get(name) else {
        return Ok(None);
    };
    let Some(jump) = &host.jump else {
        return Ok(host.jump_host.clone());
    };
    let again = chain.iter().any(|one| one == name);
    chain.push(name.to_owned());
    if again {
        let from = chain.iter().position(|one| one == name).unwrap_or_default();
        return Err(JumpError::Circle {
            host: name.to_owned(),
            chain: chain.split_off(from),
        });
    }
    if chain.len() > MAX_JUMPS {
        return Err(JumpError::TooMany {
            host: chain[0].clone(),
        });
    }
    if let Some(linked) = linked.get(jump) {
        return Ok(Some(Arc::clone(linked)));
    }
    let Some(through) = hosts.get(jump) else {
        return Err(JumpError::Unknown {
            host: name.to_owned(),
            jump: jump.clone(),
        });
    };
    let beyond = jump_of(jump, hosts, linked, chain)?;
    let through = Arc::new(Host {
        jump_host: beyond,
        ..through.clone()
    });
    linked.insert(jump.clone(), Arc::clone(&through));
    Ok(Some(through))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hosts(pairs: &[(&str, &str)]) -> BTreeMap<String, Host> {
        let host = |(name, jump): &(&str, &str)| {
            let host = Host {
                address: format!("{name}.test"),
                jump: (!jump.is_empty()).then(|| (*jump).to_owned()),
                ..Host::default()
            };
            ((*name).to_owned(), host)
        };
        pairs.iter().map(host).collect()
    }

    #[test]
    fn a_chain_is_followed_and_hosts_share_the_one_before_them() {
        let mut all = hosts(&[
            ("a", "edge"),
            ("b", "edge"),
            ("edge", "outer"),
            ("outer", ""),
        ]);
        link_jumps(&mut all).unwrap();
        let edge = all["a"].jump_host.clone().unwrap();
        assert_eq!(edge.address, "edge.test");
        assert_eq!(edge.jump_host.as_ref().unwrap().address, "outer.test");
        assert!(Arc::ptr_eq(&edge, all["b"].jump_host.as_ref().unwrap()));
    }

    #[test]
    fn circles_unknown_names_and_endless_chains_are_refused() {
        let refused =
            |pairs: &[(&str, &str)]| link_jumps(&mut hosts(pairs)).unwrap_err().to_string();
        assert_eq!(
            refused(&[("a", "a")]),
            "the jump hosts lead in a circle: a → a"
        );
        assert_eq!(
            refused(&[("a", "b"), ("b", "c"), ("c", "b")]),
            "the jump hosts lead in a circle: b → c → b"
        );
        assert_eq!(refused(&[("a", "edge")]), "no host `edge` under `hosts:`");
        let names: Vec<String> = (10..30).map(|n| format!("h{n}")).collect();
        let mut chain: Vec<(&str, &str)> = names.windows(2).map(|w| (&*w[0], &*w[1])).collect();
        chain.push(("h29", ""));
        assert_eq!(refused(&chain), "more than 8 jump hosts in a row");
        let mut chain: Vec<(&str, &str)> = names.windows(2).map(|w| (&*w[1], &*w[0])).collect();
        chain.push(("h10", ""));
        assert_eq!(refused(&chain), "more than 8 jump hosts in a row");
    }
}

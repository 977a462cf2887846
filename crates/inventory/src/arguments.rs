//! The options for the `ssh` program that an inventory has, as far as they tell the way to a host.

use std::sync::Arc;

use openssh::{Hop, HostRoute, Options, Program};

use crate::host::Host;

/// What the options tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SshOptions {
    pub(crate) known_hosts: Option<String>,
    jumps: Vec<Jump>,
}

/// One jump host.
#[derive(Debug, PartialEq, Eq)]
struct Jump {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    key: Option<String>,
}

impl SshOptions {
    /// The way to a host: the jump host next to it, with the way to that one. What is not told of a jump
    /// host is as for the host itself.
    pub(crate) fn through(&self, host: &Host) -> Option<Arc<Host>> {
        self.jumps.iter().fold(None, |before, jump| {
            Some(Arc::new(Host {
                address: jump.host.clone(),
                port: jump.port,
                user: jump.user.clone(),
                key_file: jump
                    .key
                    .clone()
                    .map(Into::into)
                    .or_else(|| host.key_file.clone()),
                known_hosts: host.known_hosts.clone(),
                jump_host: before,
                ..Host::default()
            }))
        })
    }
}

/// `None` where the way is told in a form that is not known; other options change nothing here.
pub(crate) fn read(text: &str) -> Option<SshOptions> {
    let mut options = Options::default();
    options.read_all(&openssh::words(text)?, Program::Ssh)?;
    let hops = match options.way {
        None => Vec::new(),
        Some(HostRoute::Through(hops)) => hops,
        Some(HostRoute::Command(_)) => return None,
    };
    let jumps: Option<Vec<Jump>> = hops.into_iter().map(jump).collect();
    Some(SshOptions {
        known_hosts: options.known_hosts,
        jumps: jumps?,
    })
}

fn jump(hop: Hop) -> Option<Jump> {
    let good = |c: char| c.is_alphanumeric() || "-_.:%".contains(c);
    if !hop.host.chars().all(good) {
        return None;
    }
    let port = match hop.port {
        Some(port) => Some(port.parse().ok()?),
        None => None,
    };
    Some(Jump {
        user: hop.user,
        host: hop.host,
        port,
        key: hop.key,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn way(text: &str) -> Option<String> {
        let told = read(text)?;
        let jumps = told.jumps.iter().map(|jump| {
            let user = jump.user.as_ref().map(|user| format!("{user}@"));
            let port = jump.port.map(|port| format!(":{port}"));
            format!(
                "{}{}{}",
                user.unwrap_or_default(),
                jump.host,
                port.unwrap_or_default()
            )
        });
        Some(jumps.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn ways_through_other_hosts_are_understood_or_refused() {
        for (text, expected) in [
            ("", Some("")),
            ("-o StrictHostKeyChecking=no -C", Some("")),
            ("-o ProxyJump=bastion", Some("bastion")),
            ("-oProxyJump=a@b:2222,c", Some("a@b:2222,c")),
            ("-J ssh://a@[::1]:22", Some("a@::1:22")),
            ("-o 'ProxyJump none'", Some("")),
            (
                "-o ProxyCommand=\"ssh -W %h:%p -q -p 2222 jump@bastion.test\"",
                Some("jump@bastion.test:2222"),
            ),
            (
                "-o 'ProxyCommand=ssh -o StrictHostKeyChecking=no -i key -l me -W [%h]:%p bastion'",
                Some("me@bastion"),
            ),
            ("-o ProxyCommand='nc -x proxy:1080 %h %p'", None),
            ("-o ProxyCommand='ssh bastion nc %h %p'", None),
            ("-o ProxyCommand='ssh -W other:22 bastion'", None),
            ("-o ProxyJump=a:port", None),
            ("-o ProxyJump=-oProxyCommand=x", None),
            ("-o 'ProxyJump=a", None),
        ] {
            assert_eq!(way(text).as_deref(), expected, "{text}");
        }
        let told = read("-o UserKnownHostsFile=~/known -o UserKnownHostsFile=/dev/null").unwrap();
        assert_eq!(told.known_hosts.as_deref(), Some("~/known"));
    }
}

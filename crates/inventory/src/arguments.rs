//! The options for the `ssh` program that an inventory has, as far as they tell the way to a host.

use std::sync::Arc;

use crate::host::Host;

/// What the options tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
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

impl Told {
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
pub(crate) fn read(text: &str) -> Option<Told> {
    let mut told = Told::default();
    let mut words = words(text)?.into_iter();
    while let Some(word) = words.next() {
        let option = match word.strip_prefix("-o") {
            Some("") => words.next()?,
            Some(option) => option.to_owned(),
            None if word == "-J" => format!("ProxyJump={}", words.next()?),
            None => continue,
        };
        let (key, value) = option.split_once(['=', ' '])?;
        let value = value.trim_start_matches(['=', ' ']).trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "proxyjump" | "proxycommand" if value.eq_ignore_ascii_case("none") => {
                told.jumps.clear();
            }
            "proxyjump" => {
                let jumps: Option<Vec<Jump>> = value.split(',').map(jump).collect();
                told.jumps = jumps?;
            }
            "proxycommand" => told.jumps = vec![command(value)?],
            // Which is how checks are turned off.
            "userknownhostsfile" if value != "/dev/null" && value != "none" => {
                told.known_hosts = Some(value.to_owned());
            }
            _ => {}
        }
    }
    Some(told)
}

/// `user@host:port`, or the same as an `ssh://` URL.
fn jump(text: &str) -> Option<Jump> {
    let text = text.trim();
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, text),
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok()?),
        None => None,
    };
    Some(Jump {
        user,
        host: a_host(host)?,
        port,
        key: None,
    })
}

fn a_host(text: &str) -> Option<String> {
    let good = |c: char| c.is_alphanumeric() || "-_.:%".contains(c);
    (!text.is_empty() && !text.starts_with('-') && text.chars().all(good)).then(|| text.to_owned())
}

/// `ssh -W %h:%p user@host`, with options that tell of that host alone.
fn command(text: &str) -> Option<Jump> {
    let words = words(text)?;
    let (program, rest) = words.split_first()?;
    if program != "ssh" && !program.ends_with("/ssh") {
        return None;
    }
    let mut rest = rest.iter();
    let (mut found, mut forwards): (Option<Jump>, bool) = (None, false);
    let (mut port, mut user, mut key) = (None, None, None);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-W" => forwards = matches!(rest.next()?.as_str(), "%h:%p" | "[%h]:%p"),
            "-p" => port = Some(rest.next()?.parse().ok()?),
            "-l" => user = Some(rest.next()?.clone()),
            "-i" => key = Some(rest.next()?.clone()),
            // How it checks and asks is ours.
            "-o" => drop(rest.next()?),
            "-q" | "-T" | "-4" | "-6" | "-C" => {}
            word if word.starts_with("-o") => {}
            word if word.starts_with('-') => return None,
            word if found.is_none() => found = Some(jump(word)?),
            _ => return None,
        }
    }
    let found = found?;
    forwards.then_some(Jump {
        user: user.or(found.user),
        port: port.or(found.port),
        key,
        ..found
    })
}

/// The words of a command line, with quotes as a shell has them.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(chars.next()?),
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
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

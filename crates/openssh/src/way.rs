//! The hosts on the way to another one.

use crate::text::places;

/// How a host is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRoute {
    /// By way of other hosts, the first of them reached first; directly where there is none.
    Through(Vec<Hop>),
    /// By a program that only the `ssh` program starts.
    Command(String),
}

/// A host on the way to another one, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    pub user: Option<String>,
    /// An address of IPv6 without its brackets.
    pub host: String,
    pub port: Option<String>,
    /// A file with the private key.
    pub key: Option<String>,
}

impl HostRoute {
    /// What `ProxyJump` and `-J` say: `a@b:2222,c`. `None` where it is no list of hosts.
    pub fn jump(text: &str) -> Option<HostRoute> {
        if text.trim().eq_ignore_ascii_case("none") {
            return Some(HostRoute::Through(Vec::new()));
        }
        let ends = places(text, ',').chain([text.len()]);
        let mut from = 0;
        let hops = ends.map(|end| {
            let hop = Hop::of(&text[from..end]);
            from = end + 1;
            hop
        });
        hops.collect::<Option<Vec<Hop>>>().map(HostRoute::Through)
    }
}

impl Hop {
    /// `user@host:port`, or the same as an `ssh://` URL.
    pub fn of(text: &str) -> Option<Hop> {
        let text = text.trim();
        let text = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, place) = match places(text, '@').next_back() {
            Some(at) => (Some(text[..at].to_owned()), &text[at + 1..]),
            None => (None, text),
        };
        let (host, port) = match places(place, ':').next() {
            Some(at) => (&place[..at], Some(place[at + 1..].to_owned())),
            None => (place, None),
        };
        let inside = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let host = inside.unwrap_or(host);
        (!host.is_empty() && !host.starts_with('-')).then(|| Hop {
            user,
            host: host.to_owned(),
            port,
            key: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(way: Option<HostRoute>) -> String {
        let Some(HostRoute::Through(hops)) = way else {
            return "not known".to_owned();
        };
        let word = |text: &Option<String>| text.clone().unwrap_or("None".to_owned());
        let each = hops.iter().map(|hop| {
            let (user, port, key) = (word(&hop.user), word(&hop.port), word(&hop.key));
            format!("{user} {} {port} {key};", hop.host)
        });
        each.collect::<Vec<_>>().concat()
    }

    #[test]
    fn jumps_are_a_list_of_hosts() {
        for (text, expected) in [
            ("none", ""),
            ("a@b:2222,c", "a b 2222 None;None c None None;"),
            ("ssh://a@[::1]:22", "a ::1 22 None;"),
            (
                "${{ secrets.U || 'a@b' }}@${{ secrets.H }}:${{ vars.P || 22 }}",
                "${{ secrets.U || 'a@b' }} ${{ secrets.H }} ${{ vars.P || 22 }} None;",
            ),
            ("-oProxyCommand=x", "not known"),
            ("a,,b", "not known"),
            ("", "not known"),
            ("::1", "not known"),
        ] {
            assert_eq!(told(HostRoute::jump(text)), expected, "{text}");
        }
    }
}

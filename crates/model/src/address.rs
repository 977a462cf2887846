//! The parts of a URL, as written. A text that is not a URL, or one with variables, has the same
//! parts.

/// The parts of `scheme://user@host:port/path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    pub scheme: Option<&'a str>,
    /// A user name, with a password or without, or a token: a secret.
    pub user: Option<&'a str>,
    /// With the port.
    pub host: &'a str,
    /// Without the query and the fragment.
    pub path: &'a str,
}

impl<'a> Address<'a> {
    pub fn of(text: &'a str) -> Self {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, text),
        };
        let rest = rest.split(['?', '#']).next().unwrap_or(rest);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        Address {
            scheme,
            user,
            host,
            path,
        }
    }

    pub fn password(&self) -> Option<&'a str> {
        Some(self.user?.split_once(':')?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_found_as_it_is_written() {
        for (text, scheme, user, host, path) in [
            ("http://h", Some("http"), None, "h", ""),
            (
                "https://u:p@q@h:8/a@b?x=c@d#e/f",
                Some("https"),
                Some("u:p@q"),
                "h:8",
                "/a@b",
            ),
            ("http://h?x=a@b", Some("http"), None, "h", ""),
            ("t@h/a", None, Some("t"), "h", "/a"),
            ("[::1]:80", None, None, "[::1]:80", ""),
            ("", None, None, "", ""),
        ] {
            let parts = Address {
                scheme,
                user,
                host,
                path,
            };
            assert_eq!(Address::of(text), parts, "{text}");
        }
        assert_eq!(Address::of("http://u:p:q@h").password(), Some("p:q"));
        assert_eq!(Address::of("http://u@h").password(), None);
    }
}

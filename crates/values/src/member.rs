//! One of many endpoints, and the places in a text that it fills.

/// One endpoint of a probe; it fills in `{target}`, `{host}` and `{address}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The line of the `targets-file`, or the host's name.
    pub target: String,
    /// The line without its scheme, port and path, or the host's name.
    pub host: String,
    /// The same of a line; of a host its `address`.
    pub address: String,
}

impl Member {
    /// One of a `targets-file`.
    pub fn of_line(line: &str) -> Member {
        let rest = model::Address::of(line).host;
        let host = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, _)) => host,
            None if rest.matches(':').count() == 1 => rest.split(':').next().unwrap_or(rest),
            None => rest,
        };
        Member {
            target: line.to_owned(),
            host: host.to_owned(),
            address: host.to_owned(),
        }
    }

    /// One of `hosts:`.
    pub fn of_host(name: &str, address: &str) -> Member {
        Member {
            target: name.to_owned(),
            host: name.to_owned(),
            address: address.to_owned(),
        }
    }

    /// With the brackets that a URL wants around an IPv6 address.
    pub fn in_url(&self) -> Member {
        let bracketed = |host: &String| match host.parse::<std::net::Ipv6Addr>() {
            Ok(ip) => format!("[{ip}]"),
            Err(_) => host.clone(),
        };
        Member {
            target: self.target.clone(),
            host: bracketed(&self.host),
            address: bracketed(&self.address),
        }
    }

    /// A text with this member in the place of the words in braces.
    pub fn fill(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + self.target.len());
        let mut rest = text;
        // One pass: what is put in is not looked at again.
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let words = [
                ("{target}", &self.target),
                ("{host}", &self.host),
                ("{address}", &self.address),
            ];
            let word = words.iter().find(|(word, _)| rest.starts_with(word));
            let (word, value) = word.map_or(("{", "{"), |(word, value)| (*word, value.as_str()));
            out.push_str(value);
            rest = &rest[word.len()..];
        }
        out.push_str(rest);
        out
    }
}

/// Whether a text has a place for a member.
pub fn has_place(text: &str) -> bool {
    ["{target}", "{host}", "{address}"]
        .iter()
        .any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_host_with_or_without_scheme_port_and_path() {
        for (line, host) in [
            ("web-01", "web-01"),
            ("web-01:8000", "web-01"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("http://web-01:8000/health", "web-01"),
            ("https://a@web-01/x?y#z", "web-01"),
            ("[::1]:80", "::1"),
            ("::1", "::1"),
        ] {
            assert_eq!(Member::of_line(line).host, host, "{line}");
        }
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let member = Member::of_line("{host}.example:80");
        assert_eq!(
            member.fill("http://{target}/{x}{"),
            "http://{host}.example:80/{x}{"
        );
        assert_eq!(
            Member::of_line("a:1").fill("{host} {address} {target}"),
            "a a a:1"
        );
    }
}

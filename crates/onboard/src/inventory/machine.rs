//! What is put on machines: nginx's upstreams and systemd's units.

use regex::Regex;

/// A file of nginx with two servers that could be two colours.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) path: String,
    /// The upstream's name, where it is a plain word.
    pub(crate) name: String,
    pub(crate) blue: String,
    pub(crate) green: String,
}

/// A unit that runs a service.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) path: String,
    pub(crate) name: String,
    /// The folder whose link leads to the release that runs, such as `/srv/shop`.
    pub(crate) home: Option<String>,
}

/// The first upstream with two servers; one that is commented out waits for its turn.
pub(super) fn upstream(path: String, text: &str) -> Option<Upstream> {
    let block = Regex::new(r"(?m)^\s*upstream\s+([A-Za-z0-9_.-]+)\s*\{([^}]*)\}").ok()?;
    let server = Regex::new(r"(?m)^[\s#]*server\s+([A-Za-z0-9_.:\[\]-]+:[0-9]{1,5})\b").ok()?;
    let found = block.captures(text)?;
    let mut servers: Vec<&str> = Vec::new();
    for found in server.captures_iter(&found[2]) {
        let address = found.get(1)?.as_str();
        if !servers.contains(&address) {
            servers.push(address);
        }
    }
    let [blue, green] = servers[..] else {
        return None;
    };
    Some(Upstream {
        path,
        name: found[1].to_owned(),
        blue: blue.to_owned(),
        green: green.to_owned(),
    })
}

pub(super) fn unit(path: String, name: &str, text: &str) -> Option<Unit> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if name.starts_with('-') || !name.chars().all(good) || name.contains("@.") {
        return None;
    }
    let value = |key: &str| {
        let lines = text.lines().map(str::trim);
        lines
            .filter_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='))
            .next_back()
    };
    let program = value("ExecStart")?.trim_start_matches(['-', '+', '!', '@', ':', ' ']);
    let folder = [
        program,
        value("WorkingDirectory").unwrap_or_default().trim(),
    ]
    .into_iter()
    .find_map(|path| path.find("/current").map(|at| &path[..at]));
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let home =
        folder.filter(|home| home.len() > 1 && home.starts_with('/') && home.chars().all(plain));
    Some(Unit {
        path,
        name: name.to_owned(),
        home: home.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_are_two_colours() {
        let text = "upstream shop {\n  server 127.0.0.1:8001;\n  # server 127.0.0.1:8002;\n}\n";
        let seen = upstream("a.conf".to_owned(), text).unwrap();
        assert_eq!(
            (seen.blue.as_str(), seen.green.as_str()),
            ("127.0.0.1:8001", "127.0.0.1:8002")
        );
        assert!(upstream("a.conf".to_owned(), "upstream shop { server a:1; }").is_none());
        assert!(
            upstream(
                "a.conf".to_owned(),
                "upstream x {\nserver a:1;\nserver b:1;\nserver c:1;\n}"
            )
            .is_none()
        );
    }

    #[test]
    fn a_unit_runs_what_is_behind_a_link() {
        let text = "[Service]\nExecStart=/srv/shop/current/bin/shop --port 80\n";
        let seen = unit("shop.service".to_owned(), "shop.service", text).unwrap();
        assert_eq!(seen.home.as_deref(), Some("/srv/shop"));
        assert!(unit("x".to_owned(), "shop.service", "[Service]\nType=oneshot\n").is_none());
    }
}

//! The files of nginx.

use regex::Regex;
use repository::{Repository, ends_in};
use workflow::Line;

/// The only name that a server has, and whether its file speaks TLS.
pub fn only_server(repository: &Repository) -> Option<(String, bool, Line)> {
    let name = Regex::new(r"^\s*server_name\s+([A-Za-z0-9.-]+\.[A-Za-z]{2,})\s*;").ok()?;
    let mut found: Vec<(String, bool, Line)> = Vec::new();
    for path in repository
        .files
        .iter()
        .filter(|path| ends_in(path, &["conf"]))
    {
        let Some(text) = repository.text(path) else {
            continue;
        };
        let tls = text.contains("listen 443");
        for (at, line) in text.lines().enumerate() {
            if let Some(host) = name.captures(line).map(|host| host[1].to_owned())
                && !found.iter().any(|(known, _, _)| *known == host)
            {
                found.push((host, tls, Line::new(path, at + 1)));
            }
        }
    }
    (found.len() == 1).then(|| found.remove(0))
}

//! nginx's own files, where nothing else tells an address.

use regex::Regex;

use crate::deployment::{Health, HealthSource};
use repository::{Repository, ends_in};
use tools::Tool;
use workflow::Value;
use workflow::{Fact, Line};

/// The only name that a server of the repository's nginx has. Whether it answers there is a guess.
pub(crate) fn health(
    repository: &Repository,
    tool: &Tool,
    path: Option<&Fact<String>>,
) -> Option<Health> {
    if !matches!(
        tool,
        Tool::Script { .. } | Tool::Compose(_) | Tool::Systemd { .. } | Tool::Container { .. }
    ) {
        return None;
    }
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
    let [(host, tls, at)] = &found[..] else {
        return None;
    };
    let scheme = if *tls { "https" } else { "http" };
    Some(Health {
        url: Value::new(format!(
            "{scheme}://{host}{}",
            path.map_or("", |path| &path.value)
        )),
        at: [at.clone()]
            .into_iter()
            .chain(path.map(|path| path.at.clone()))
            .collect(),
        from: HealthSource::Guess,
        on_host: false,
        row: std::collections::BTreeMap::new(),
    })
}

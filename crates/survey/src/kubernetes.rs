//! Manifests and charts: the host of an ingress, and the path of a readiness probe.

use regex::Regex;
use yaml::Node;

use crate::deployment::{Environment, Health, HealthSource};
use crate::repository::{Repository, ends_in};
use crate::tool::Tool;
use workflow::Lines;
use workflow::Value;
use workflow::{Fact, Line};

/// An address that is put together from two places: a guess, and said to be one.
pub(crate) fn health(
    repository: &Repository,
    tool: &Tool,
    environment: Option<&Environment>,
) -> Option<Health> {
    let host = match tool {
        Tool::Helm(call) => call.values.iter().rev().find_map(|file| {
            let file = file.literal()?.trim_start_matches("./");
            host_of_values(repository, file)
        }),
        _ => None,
    };
    let host = host.or_else(|| host_of_ingress(repository));
    let of_environment = || {
        let url = environment?.url.as_ref()?;
        Some(Fact::new(
            url.value.literal()?.trim_end_matches('/').to_owned(),
            url.at.clone(),
        ))
    };
    let host = of_environment().or(host)?;
    let path = readiness(repository)?;
    let base = if host.value.contains("://") {
        host.value.clone()
    } else {
        format!("https://{}", host.value)
    };
    // An address that has a path already is more than a host.
    if base
        .split("://")
        .nth(1)
        .is_some_and(|rest| rest.contains('/'))
    {
        return None;
    }
    Some(Health {
        url: Value::new(format!("{base}{}", path.value)),
        at: vec![host.at, path.at],
        from: HealthSource::Guess,
        on_host: false,
    })
}

fn is_name(host: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    host.contains('.') && !host.starts_with('*') && host.chars().all(good)
}

/// `host:` of a chart's values, at the top or below `ingress:`.
fn host_of_values(repository: &Repository, file: &str) -> Option<Fact<String>> {
    let (text, tree) = (repository.text(file)?, repository.tree(file)?);
    let lines = Lines::of(&text);
    let found = |node: &Node| {
        let host = node.get("host").or_else(|| node.get("hostname"))?;
        let name = host.text().filter(|name| is_name(name))?;
        Some(Fact::new(
            name.to_owned(),
            Line::new(file, lines.at(host.place.start)),
        ))
    };
    let ingress = || {
        let ingress = tree.get("ingress")?;
        found(ingress).or_else(|| {
            let first = ingress.get("hosts")?.items().first()?;
            let text = first
                .text()
                .or_else(|| first.get("host")?.text())
                .filter(|name| is_name(name))?;
            Some(Fact::new(
                text.to_owned(),
                Line::new(file, lines.at(first.place.start)),
            ))
        })
    };
    found(&tree).or_else(ingress)
}

/// The host of the only ingress; of two, neither is known to be the one.
fn host_of_ingress(repository: &Repository) -> Option<Fact<String>> {
    let pattern = Regex::new(r#"^\s*-?\s*host:\s*["']?([A-Za-z0-9.-]+)["']?\s*$"#).ok()?;
    let mut found: Vec<Fact<String>> = Vec::new();
    for (path, text) in manifests(repository) {
        if !text.contains("kind: Ingress") {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            if let Some(host) = pattern.captures(line).map(|host| host[1].to_owned())
                && is_name(&host)
                && !found.iter().any(|known| known.value == host)
            {
                found.push(Fact::new(host, Line::new(&path, at + 1)));
            }
        }
    }
    (found.len() == 1).then(|| found.remove(0))
}

/// The path of the only readiness probe. A chart's template is not YAML, so it is read by its lines.
fn readiness(repository: &Repository) -> Option<Fact<String>> {
    let pattern = Regex::new(r#"path:\s*["']?(/[A-Za-z0-9._~/-]*)"#).ok()?;
    let mut found: Vec<Fact<String>> = Vec::new();
    for (path, text) in manifests(repository) {
        let lines: Vec<&str> = text.lines().collect();
        for (at, _) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains("readinessProbe:"))
        {
            let near = lines.iter().enumerate().skip(at).take(5);
            let mut near =
                near.filter_map(|(nth, line)| Some((nth, pattern.captures(line)?[1].to_owned())));
            if let Some((nth, value)) = near.next()
                && !found.iter().any(|known| known.value == value)
            {
                found.push(Fact::new(value, Line::new(&path, nth + 1)));
            }
        }
    }
    (found.len() == 1).then(|| found.remove(0))
}

fn manifests(repository: &Repository) -> impl Iterator<Item = (String, String)> {
    let is_yaml = |path: &&String| ends_in(path, &["yaml", "yml"]) && !path.starts_with(".github/");
    (repository.files.iter().filter(is_yaml).take(500))
        .filter_map(|path| Some((path.clone(), repository.text(path)?)))
        .filter(|(_, text)| text.contains("apiVersion:"))
}

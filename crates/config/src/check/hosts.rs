//! Rules for the checks that speak of hosts, commands and disks.

use std::collections::BTreeMap;
use std::path::Path;

use super::rules::{fault, http_url, known_host};
use crate::file::{Config, HostCheck, Preflight};
use crate::value::Span;
use yaml::Fault;
use yaml::Node;

pub(super) fn preflight(section: &Preflight, config: &Config, tree: &Node) -> Result<(), Fault> {
    let mut asked: BTreeMap<&str, &str> = BTreeMap::new();
    for (at, check) in section.hosts.iter().enumerate() {
        let at = at.to_string();
        let path = ["preflight", "hosts", &at];
        let place = [path[0], path[1], path[2], "host"];
        for name in named(tree, &place, &check.host, config)? {
            if let Some(other) = asked.insert(name, &check.host) {
                return Err(fault(
                    tree,
                    &place,
                    format!("`{name}` is already asked by `host: {other}`"),
                )
                .hint("outcomes are told apart by the host's name"));
            }
        }
        facts(tree, path, check)?;
    }
    for (at, check) in section.command.iter().enumerate() {
        let at = at.to_string();
        let path = ["preflight", "command", &at];
        if let Some(host) = &check.host {
            named(tree, &[path[0], path[1], path[2], "host"], host, config)?;
        }
        if check.status.is_empty() {
            return Err(fault(
                tree,
                &[path[0], path[1], path[2], "status"],
                "no exit status would be good",
            ));
        }
        some_time(tree, path, check.timeout)?;
    }
    for (at, check) in section.disk.iter().enumerate() {
        absolute(
            tree,
            &["preflight", "disk", &at.to_string(), "path"],
            &check.path,
        )?;
    }
    Ok(())
}

fn facts(tree: &Node, path: [&str; 3], check: &HostCheck) -> Result<(), Fault> {
    for (nth, rule) in check.disk.iter().enumerate() {
        let nth = nth.to_string();
        let place = [path[0], path[1], path[2], "disk", &nth, "path"];
        absolute(tree, &place, &rule.path)?;
        if check
            .disk
            .iter()
            .filter(|other| other.path == rule.path)
            .count()
            > 1
        {
            let twice = format!("`{}` stands here twice", rule.path.display());
            return Err(fault(tree, &place, twice));
        }
    }
    for (nth, command) in check.commands.iter().enumerate() {
        let nth = nth.to_string();
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if command.is_empty() || command.starts_with('-') || command.contains(odd) {
            return Err(fault(
                tree,
                &[path[0], path[1], path[2], "commands", &nth],
                "not the name of a program",
            ));
        }
    }
    for (nth, url) in check.egress.iter().enumerate() {
        let nth = nth.to_string();
        let place = [path[0], path[1], path[2], "egress", &nth];
        http_url(tree, &place, url)?;
        let parsed = url::Url::parse(url).ok();
        if parsed.is_some_and(|url| !url.username().is_empty() || url.password().is_some()) {
            return Err(
                fault(tree, &place, "a user or password would be seen on the host")
                    .hint("name a URL that answers without credentials"),
            );
        }
        if check.egress.iter().filter(|other| *other == url).count() > 1 {
            return Err(fault(tree, &place, format!("`{url}` stands here twice")));
        }
    }
    if check
        .max_load
        .is_some_and(|load| !load.is_finite() || load <= 0.0)
    {
        return Err(fault(
            tree,
            &[path[0], path[1], path[2], "max-load"],
            "must be a number above zero",
        ));
    }
    some_time(tree, path, check.timeout)
}

/// The hosts that a selector names; a name or a pattern that fits none is a mistake.
fn named<'c>(
    tree: &Node,
    path: &[&str],
    selector: &str,
    config: &'c Config,
) -> Result<Vec<&'c str>, Fault> {
    let names = config.hosts_named(selector);
    if !names.is_empty() {
        return Ok(names);
    }
    if selector == "all" || selector.contains(['*', '?']) {
        return Err(fault(
            tree,
            path,
            format!("`{selector}` fits no host under `hosts:`"),
        )
        .hint("add the hosts, or correct the pattern"));
    }
    known_host(tree, path, selector, config).map(|()| names)
}

fn absolute(tree: &Node, path: &[&str], file: &Path) -> Result<(), Fault> {
    if file.is_absolute() {
        return Ok(());
    }
    Err(fault(tree, path, "not an absolute path").hint("begin it with `/`"))
}

fn some_time(tree: &Node, path: [&str; 3], timeout: Option<Span>) -> Result<(), Fault> {
    if timeout.is_some_and(|timeout| timeout.get().is_zero()) {
        let place = [path[0], path[1], path[2], "timeout"];
        return Err(fault(tree, &place, "must be more than zero"));
    }
    Ok(())
}

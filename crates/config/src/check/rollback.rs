//! Rules for the ways back.

use std::path::Path;

use super::rules::{fault, known_host, unique};
use crate::file::{
    ComposeTarget, Config, EcsTarget, HaproxyTarget, Hook, HostList, NginxTarget, Rollback,
    SystemdTarget, WayIn, WorkflowTarget,
};
use crate::value::{Span, StateAddress};
use yaml::Fault;
use yaml::Node;

pub(super) fn section(section: &Rollback, config: &Config, tree: &Node) -> Result<(), Fault> {
    let kinds = [
        ("command", section.command.is_some()),
        ("nginx", section.nginx.is_some()),
        ("haproxy", section.haproxy.is_some()),
        ("compose", section.compose.is_some()),
        ("systemd", section.systemd.is_some()),
        ("ecs", section.ecs.is_some()),
        ("workflow", section.workflow.is_some()),
    ];
    let mut given = kinds.iter().filter(|(_, given)| *given);
    let Some((first, _)) = given.next() else {
        let names: Vec<String> = kinds.iter().map(|(name, _)| format!("`{name}:`")).collect();
        return Err(fault(tree, &["rollback"], "no target is given")
            .hint(format!("add one of {}", names.join(", "))));
    };
    if let Some((second, _)) = given.next() {
        let message = format!("`{first}` and `{second}` exclude each other");
        let fault = fault(tree, &["rollback", second], message);
        return Err(fault.hint("a service has one target"));
    }
    if let StateAddress::Host { host, path: _ } = &section.state {
        known_host(tree, &["rollback", "state"], host, config)?;
    }
    if let Some(target) = &section.nginx {
        nginx(target, config, tree)?;
    }
    if let Some(command) = &section.command {
        for (nth, host) in command.hosts.iter().enumerate() {
            let at = nth.to_string();
            let path = ["rollback", "command", "hosts", &at];
            known_host(tree, &path, host, config)?;
            // Two steps of one name, side by side on one host, could not be told apart.
            if command.hosts[..nth].contains(host) {
                return Err(fault(tree, &path, format!("`{host}` is named twice")));
            }
        }
    }
    for (key, all) in [
        ("backup", &section.backup),
        ("after", &section.after),
        ("capture", &section.capture),
    ] {
        hooks(&["rollback", key], all, tree)?;
    }
    ways_in(&section.decide, config, tree)?;
    if let Some(target) = &section.haproxy {
        haproxy(target, config, tree)?;
    }
    if let Some(target) = &section.compose {
        compose(target, config, tree)?;
    }
    if let Some(target) = &section.systemd {
        systemd(target, config, tree)?;
    }
    if let Some(target) = &section.ecs {
        ecs(target, tree)?;
    }
    if let Some(target) = &section.workflow {
        workflow(target, tree)?;
    }
    Ok(())
}

fn ecs(target: &EcsTarget, tree: &Node) -> Result<(), Fault> {
    for (key, name) in [("cluster", &target.cluster), ("service", &target.service)] {
        a_word(tree, &["rollback", "ecs", key], name)?;
    }
    pause(tree, &["rollback", "ecs", "interval"], target.interval)
}

fn workflow(target: &WorkflowTarget, tree: &Node) -> Result<(), Fault> {
    let at = |key: &'static str| ["rollback", "workflow", key];
    plain(tree, &at("workflow"), &target.workflow, "_-. ")?;
    if let Some(name) = &target.repository
        && name.split('/').filter(|part| !part.is_empty()).count() != 2
    {
        let fault = fault(
            tree,
            &at("repository"),
            format!("`{name}` is no repository"),
        );
        return Err(fault.hint("write it as `OWNER/NAME`"));
    }
    if let Some(name) = &target.r#ref {
        a_word(tree, &at("ref"), name)?;
    }
    if !target
        .inputs
        .values()
        .any(|text| text.contains("{release}"))
    {
        let fault = fault(tree, &at("inputs"), "no input names the release");
        return Err(fault.hint("such as `version: \"{release}\"`"));
    }
    for name in target.inputs.keys().chain(&target.correlation_input) {
        plain(tree, &at("inputs"), name, "_-")?;
    }
    if let Some(name) = &target.correlation_input
        && target.inputs.contains_key(name)
    {
        let message = format!("the input `{name}` has a value already");
        return Err(fault(tree, &at("correlation-input"), message));
    }
    pause(tree, &at("interval"), target.interval)
}

/// Whoever looks without a pause is soon refused.
fn pause(tree: &Node, path: &[&str], pause: Span) -> Result<(), Fault> {
    if pause.get().is_zero() {
        return Err(fault(tree, path, "there is no pause between two looks"));
    }
    Ok(())
}

fn ways_in(ways: &[WayIn], config: &Config, tree: &Node) -> Result<(), Fault> {
    for (nth, way) in ways.iter().enumerate() {
        let at = nth.to_string();
        let path = ["rollback", "decide", at.as_str()];
        if way.release.url.is_none() {
            let message = "which URL to ask is not named";
            return Err(fault(tree, &path, message).hint("add `release: { url: … }`"));
        }
        if ways[..nth].iter().any(|other| other.name == way.name) {
            let message = format!("`{}` is named twice", way.name);
            return Err(fault(tree, &[&path[..], &["name"]].concat(), message));
        }
        if let Some(host) = &way.via {
            known_host(tree, &[&path[..], &["via"]].concat(), host, config)?;
        }
    }
    if !ways.is_empty() && !ways.iter().any(|way| way.traffic) {
        let message = "users come none of these ways, so nothing is decided";
        return Err(fault(tree, &["rollback", "decide"], message)
            .hint("add `traffic: true` to the way that users come"));
    }
    Ok(())
}

/// A hook is known by its name, and one that does nothing is no backup.
pub(super) fn hooks(path: &[&str], all: &[Hook], tree: &Node) -> Result<(), Fault> {
    unique(tree, path, "name")?;
    for (nth, hook) in all.iter().enumerate() {
        let at = nth.to_string();
        for (word, text) in [("name", &hook.name), ("run", &hook.run)] {
            if text.trim().is_empty() {
                let path = [path, &[&at, word]].concat();
                return Err(fault(tree, &path, format!("`{word}` is empty")));
            }
        }
    }
    Ok(())
}

fn systemd(target: &SystemdTarget, config: &Config, tree: &Node) -> Result<(), Fault> {
    // A pattern would restart other units too.
    plain(
        tree,
        &["rollback", "systemd", "unit"],
        &target.unit,
        "_-.:@\\",
    )?;
    absolute(tree, &["rollback", "systemd", "releases"], &target.releases)?;
    let link = target.link();
    absolute(tree, &["rollback", "systemd", "link"], &link)?;
    if link.starts_with(&target.releases) {
        let message = "the link lies among the releases: it would be taken for one";
        return Err(fault(tree, &["rollback", "systemd", "link"], message));
    }
    hosts(
        tree,
        &["rollback", "systemd", "hosts"],
        target.hosts.as_ref(),
        config,
    )
}

fn nginx(target: &NginxTarget, config: &Config, tree: &Node) -> Result<(), Fault> {
    let at = |key: &'static str| ["rollback", "nginx", key];
    // They are written into nginx's configuration as they are.
    for (key, address) in [("blue", &target.blue), ("green", &target.green)] {
        plain(tree, &at(key), address, "_-.:[]/")?;
    }
    if target.blue == target.green {
        return Err(fault(
            tree,
            &at("green"),
            "both colours have the same address",
        ));
    }
    if target.hosts.is_some() {
        absolute(tree, &at("upstream-file"), &target.upstream_file)?;
    }
    hosts(tree, &at("hosts"), target.hosts.as_ref(), config)
}

fn haproxy(target: &HaproxyTarget, config: &Config, tree: &Node) -> Result<(), Fault> {
    let at = |key: &'static str| ["rollback", "haproxy", key];
    // They go into commands of the runtime socket, which has no quotes.
    for (key, name) in [
        ("backend", &target.backend),
        ("blue", &target.blue),
        ("green", &target.green),
    ] {
        plain(tree, &at(key), name, "_-.:")?;
    }
    if target.blue == target.green {
        return Err(fault(
            tree,
            &at("green"),
            "both colours are the same server",
        ));
    }
    absolute(tree, &at("socket"), &target.socket)?;
    // Others mean something to `socat`.
    plain(
        tree,
        &at("socket"),
        &target.socket.display().to_string(),
        "_-./@+",
    )?;
    if let Some(file) = &target.state_file {
        absolute(tree, &at("state-file"), file)?;
    }
    hosts(tree, &at("hosts"), target.hosts.as_ref(), config)
}

fn compose(target: &ComposeTarget, config: &Config, tree: &Node) -> Result<(), Fault> {
    let at = |key: &'static str| ["rollback", "compose", key];
    if target.hosts.is_some() {
        absolute(tree, &at("folder"), &target.folder)?;
    }
    for file in target.files.iter().chain([&target.override_file]) {
        let text = file.display().to_string();
        if text.is_empty() || text.starts_with('-') {
            return Err(fault(
                tree,
                &at("files"),
                format!("`{text}` is no file's name"),
            ));
        }
    }
    for file in &target.env_files {
        let text = file.display().to_string();
        if text.is_empty() || text.starts_with('-') || text.contains(',') {
            let message = format!("`{text}` is no file's name");
            return Err(fault(tree, &at("env-files"), message));
        }
    }
    for name in target.env.keys() {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.starts_with(|c: char| good(c) && !c.is_ascii_digit()) || !name.chars().all(good) {
            let message = format!("`{name}` is no variable's name");
            return Err(fault(tree, &["rollback", "compose", "env", name], message));
        }
    }
    if target.files.contains(&target.override_file) {
        let message = "our file is one of yours, and it would be written over";
        return Err(fault(tree, &at("override-file"), message));
    }
    if let Some(label) = &target.release_label {
        plain(tree, &at("release-label"), label, "_-./")?;
    }
    if let Some(project) = &target.project {
        a_word(tree, &at("project"), project)?;
    }
    if target.services.is_empty() {
        return Err(fault(tree, &at("services"), "no service is named"));
    }
    for service in &target.completed {
        if !target.services.contains_key(service) {
            let message = format!("`{service}` is not under `services`");
            return Err(fault(tree, &at("completed"), message));
        }
    }
    for (service, image) in &target.services {
        plain(tree, &at("services"), service, "_-.")?;
        if image.matches("{release}").count() + image.matches("{digest}").count() != 1 {
            let message =
                format!("`{image}` does not have `{{release}}` or `{{digest}}` in one place");
            return Err(
                fault(tree, &["rollback", "compose", "services", service], message)
                    .hint("write it as `ghcr.io/acme/shop:{release}`"),
            );
        }
    }
    hosts(tree, &at("hosts"), target.hosts.as_ref(), config)
}

/// Letters, digits and a few others, and no dash at the front.
fn plain(tree: &Node, path: &[&str], text: &str, others: &str) -> Result<(), Fault> {
    let good = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    if text.is_empty() || text.starts_with('-') || !text.chars().all(good) {
        return Err(fault(tree, path, format!("`{text}` is no name")));
    }
    Ok(())
}

/// A selector that fits no machine would be a rollback of nothing.
fn hosts(
    tree: &Node,
    path: &[&str],
    list: Option<&HostList>,
    config: &Config,
) -> Result<(), Fault> {
    let Some(list) = list else { return Ok(()) };
    for selector in list.selectors() {
        if config.hosts_named(selector).is_empty() {
            if selector == "all" || selector.contains(['*', '?']) {
                let message = format!("no machine under `hosts:` fits `{selector}`");
                return Err(fault(tree, path, message));
            }
            known_host(tree, path, selector, config)?;
        }
    }
    if list.selectors().next().is_none() {
        return Err(fault(tree, path, "no machine is named"));
    }
    Ok(())
}

/// Scripts that run in nobody knows which folder need whole paths.
fn absolute(tree: &Node, path: &[&str], value: &Path) -> Result<(), Fault> {
    if value.is_absolute() {
        return Ok(());
    }
    let message = format!("`{}` is no absolute path", value.display());
    Err(fault(tree, path, message).hint("write it from the root: `/srv/…`"))
}

/// What a program would take for an option, or for two words, is no name.
fn a_word(tree: &Node, path: &[&str], text: &str) -> Result<(), Fault> {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if text.is_empty() || text.starts_with('-') || text.contains(odd) {
        return Err(fault(tree, path, format!("`{text}` is no name")));
    }
    Ok(())
}

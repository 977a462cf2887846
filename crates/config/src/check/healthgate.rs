//! Rules about probes and their policies.

use super::rules::{at, exclusive, fault, http_url, known_host, unique};
use super::smoke::smoke;
use crate::file::{
    Config, EcsProbe, Healthgate, HostList, HttpProbe, Impossible, Policy, PolicyOverlay,
    PrometheusAccess, PrometheusProbe, Slo, Template, has_place,
};
use crate::value::Portion;
use yaml::Fault;
use yaml::Node;

pub(super) fn section(section: &Healthgate, config: &Config, tree: &Node) -> Result<(), Fault> {
    let Healthgate {
        policy: stage,
        release_identity: _,
        http: pages,
        tcp: ports,
        tls: servers,
        dns: names,
        postgres: databases,
        redis: caches,
        command: commands,
        systemd: units,
        docker: containers,
        compose: projects,
        grpc: services,
        smoke: flows,
        prometheus: queries,
        slo: objectives,
        ecs: tasks,
    } = section;
    policy(stage, tree, &["healthgate", "policy"])?;
    let own = |kind: &str, overlays: Vec<Option<&PolicyOverlay>>| {
        unique(tree, &["healthgate", kind], "name")?;
        for (at, overlay) in overlays.into_iter().enumerate() {
            let path = ["healthgate", kind, &at.to_string(), "policy"];
            policy(&stage.with(overlay), tree, &path)?;
        }
        Ok(())
    };
    macro_rules! lists {
        ($($kind:literal: $list:ident),*) => {$(
            own($kind, $list.iter().map(|one| one.policy.as_ref()).collect())?;
        )*};
    }
    lists!("http": pages, "tcp": ports, "tls": servers, "dns": names, "grpc": services);
    lists!("postgres": databases, "redis": caches, "smoke": flows, "ecs": tasks);
    lists!("command": commands, "systemd": units, "docker": containers, "compose": projects);
    lists!("prometheus": queries);
    groups("http", pages, config, tree)?;
    groups("tcp", ports, config, tree)?;
    groups("tls", servers, config, tree)?;
    groups("dns", names, config, tree)?;
    groups("postgres", databases, config, tree)?;
    groups("redis", caches, config, tree)?;
    groups("command", commands, config, tree)?;
    groups("systemd", units, config, tree)?;
    groups("docker", containers, config, tree)?;
    groups("compose", projects, config, tree)?;
    groups("grpc", services, config, tree)?;
    groups("prometheus", queries, config, tree)?;
    for (at, probe) in pages.iter().enumerate() {
        http(probe, tree, &at.to_string())?;
    }
    for (at, probe) in ports.iter().enumerate() {
        if probe.address.port().is_none() && !is_group(probe) {
            let path = ["healthgate", "tcp", &at.to_string(), "address"];
            return Err(fault(tree, &path, "no port is given").hint("write it as `host:port`"));
        }
    }
    for (at, probe) in services.iter().enumerate() {
        if probe.address.port().is_none() && !is_group(probe) {
            let path = ["healthgate", "grpc", &at.to_string(), "address"];
            return Err(fault(tree, &path, "no port is given").hint("write it as `host:port`"));
        }
    }
    for (at, probe) in flows.iter().enumerate() {
        smoke(probe, tree, &at.to_string())?;
    }
    for (at, probe) in tasks.iter().enumerate() {
        ecs(probe, tree, &at.to_string())?;
    }
    if let Some(objectives) = objectives {
        policy(
            &stage.with(objectives.policy.as_ref()),
            tree,
            &["healthgate", "slo", "policy"],
        )?;
        slo(objectives, queries.is_empty(), tree)?;
    }
    for (at, probe) in queries.iter().enumerate() {
        prometheus(probe, tree, &at.to_string())?;
    }
    tunnels(config, tree)
}

/// Every `via` is a host's name, and there is one way to a server.
fn tunnels(config: &Config, tree: &Node) -> Result<(), Fault> {
    let kinds = at(tree, &["healthgate"])
        .map(Node::entries)
        .unwrap_or_default();
    for (kind, list) in kinds {
        for (nth, probe) in list.items().iter().enumerate() {
            let Some(host) = probe.get("via").and_then(Node::text) else {
                continue;
            };
            let nth = nth.to_string();
            let path = ["healthgate", kind.name.as_str(), nth.as_str(), "via"];
            // In a group each member has its own.
            if !has_place(host) {
                known_host(tree, &path, host, config)?;
            }
            for key in ["resolve", "proxy"] {
                if probe.get(key).is_some() {
                    let message = format!("`{key}` and `via` exclude each other");
                    return Err(fault(tree, &path, message));
                }
            }
        }
    }
    Ok(())
}

fn is_group(probe: &impl Template) -> bool {
    probe.group().is_some_and(|group| group.is_meant())
}

/// Rules about probes that stand for many endpoints.
fn groups<T: Template>(
    kind: &str,
    probes: &[T],
    config: &Config,
    tree: &Node,
) -> Result<(), Fault> {
    for (at, probe) in probes.iter().enumerate() {
        let at = at.to_string();
        let wrong =
            |key: &str, message: &str| Err(fault(tree, &["healthgate", kind, &at, key], message));
        let Some(group) = probe.group() else { continue };
        match group.require {
            Some(_) if !group.is_meant() => {
                return wrong("require", "`require` is for `targets-file` or `hosts`");
            }
            Some(Portion::Count(0)) => return wrong("require", "at least one must pass"),
            Some(Portion::Percent(percent)) if percent <= 0.0 => {
                return wrong("require", "at least one must pass");
            }
            _ => {}
        }
        if !group.is_meant() {
            // A command's braces are its own.
            let is_address = !["command", "systemd", "docker", "compose"].contains(&kind);
            if is_address && probe.has_place() {
                let message = "nothing is put in the place of `{target}`, `{host}` or `{address}`";
                return Err(fault(tree, &["healthgate", kind, &at], message)
                    .hint("say what is: `hosts: all` or `targets-file: endpoints.txt`"));
            }
            continue;
        }
        if group.targets_file.is_some() && group.hosts.is_some() {
            return wrong("hosts", "`targets-file` and `hosts` exclude each other");
        }
        if !probe.has_place() {
            let message = "every endpoint would be asked the same: there is no `{target}`, `{host}` or `{address}`";
            return Err(fault(tree, &["healthgate", kind, &at], message)
                .hint("write the place of each as `http://{target}/health` or `{address}:5432`"));
        }
        for selector in group.hosts.into_iter().flat_map(HostList::selectors) {
            if config.hosts_named(selector).is_empty() {
                let message = format!("no host `{selector}` under `hosts:`");
                return wrong("hosts", &message);
            }
        }
    }
    Ok(())
}

fn policy(policy: &Policy, tree: &Node, path: &[&str]) -> Result<(), Fault> {
    for (key, zero) in [
        ("success-threshold", policy.success_threshold == 0),
        ("interval", policy.interval.get().is_zero()),
        ("timeout", policy.timeout.get().is_zero()),
        ("deadline", policy.deadline.get().is_zero()),
    ] {
        if zero {
            let path = [path, &[key]].concat();
            return Err(fault(tree, &path, "must be more than zero"));
        }
    }
    let Some(Impossible { message, hint }) = policy.impossible() else {
        return Ok(());
    };
    // Where the probe changes none of the keys, the stage's own policy was refused before it.
    let keys = Impossible::KEYS.iter();
    let mut keys = keys.map(|key| [path, &[*key]].concat());
    let given = keys.find(|path| at(tree, path).is_some());
    Err(fault(tree, given.as_deref().unwrap_or(path), message).hint(hint))
}

fn http(probe: &HttpProbe, tree: &Node, at: &str) -> Result<(), Fault> {
    let path = |keys: &[&'static str]| [&["healthgate", "http", at], keys].concat();
    // What stands for many is no URL before it is filled.
    if !is_group(probe) {
        http_url(tree, &path(&["url"]), &probe.url)?;
    }
    let bodies = [
        ("body", probe.body.is_some()),
        ("body-file", probe.body_file.is_some()),
        ("json", probe.json.is_some()),
        ("form", !probe.form.is_empty()),
    ];
    exclusive(&bodies).map_err(|(key, message)| fault(tree, &path(&[key]), message))?;
    if !probe.url.starts_with("https:") && !probe.url.starts_with("{target}") {
        for (key, given) in [
            ("ca-file", probe.ca_file.is_some()),
            ("client-certificate", probe.client_certificate.is_some()),
            ("server-name", probe.server_name.is_some()),
            ("min-days", probe.min_days.is_some()),
        ] {
            if given && probe.max_redirects == 0 {
                let message = format!("`{key}` is for an `https://` URL");
                return Err(fault(tree, &path(&[key]), message));
            }
        }
    }
    if !probe.resolve.is_empty() && probe.proxy.as_ref().is_some_and(|it| it.url().is_some()) {
        let message = "`resolve` and `proxy` exclude each other: the proxy connects";
        return Err(fault(tree, &path(&["resolve"]), message));
    }
    if let Some(release) = &probe.release {
        if release.header.is_some() && release.jq.is_some() {
            let message = "`header` and `jq` exclude each other";
            return Err(fault(tree, &path(&["release"]), message));
        }
        if let Some(url) = &release.url
            && !is_group(probe)
        {
            http_url(tree, &path(&["release", "url"]), url)?;
        }
    }
    Ok(())
}

fn prometheus(probe: &PrometheusProbe, tree: &Node, at: &str) -> Result<(), Fault> {
    let path = ["healthgate", "prometheus", at];
    http_url(tree, &[path[0], path[1], path[2], "server"], &probe.server)?;
    if probe.min.is_none() && probe.max.is_none() {
        return Err(fault(tree, &path, "neither `min` nor `max` is given"));
    }
    if let (Some(min), Some(max)) = (probe.min, probe.max)
        && min.get() > max.get()
    {
        let path = [path[0], path[1], path[2], "min"];
        return Err(fault(
            tree,
            &path,
            "`min` is more than `max`: no value passes",
        ));
    }
    access(probe.access.as_ref(), tree, &path)
}

fn access(access: Option<&PrometheusAccess>, tree: &Node, path: &[&str]) -> Result<(), Fault> {
    let Some(access) = access else { return Ok(()) };
    let wrong =
        |key: &str, message: &str| Err(fault(tree, &[path, &["access", key]].concat(), message));
    if access.username.is_some() && access.token_env.is_some() {
        return wrong("username", "`username` and `token-env` exclude each other");
    }
    if access.password_env.is_some() && access.username.is_none() {
        return wrong("password-env", "`password-env` needs `username`");
    }
    Ok(())
}

fn slo(slo: &Slo, alone: bool, tree: &Node) -> Result<(), Fault> {
    let at = ["healthgate", "slo"];
    let path = |keys: &[&'static str]| [&at[..], keys].concat();
    match &slo.server {
        Some(server) => http_url(tree, &path(&["server"]), server)?,
        None if alone => {
            return Err(fault(tree, &at, "no `server` is given")
                .hint("add `server: http://prometheus.internal:9090`"));
        }
        None if slo.access.is_some() => {
            return Err(fault(tree, &path(&["access"]), "`access` needs `server`"));
        }
        None => {}
    }
    access(slo.access.as_ref(), tree, &at)?;
    if slo.error_rate.is_none() && slo.p95.is_none() && slo.availability.is_none() {
        return Err(fault(tree, &at, "no objective is given")
            .hint("add `error-rate: 5%`, `p95: 3s` or `availability: 95%`"));
    }
    if slo.window.get().is_zero() {
        return Err(fault(tree, &path(&["window"]), "must be more than zero"));
    }
    for (key, share) in [
        ("error-rate", slo.error_rate),
        ("availability", slo.availability),
    ] {
        if share.is_some_and(|share| !(0.0..=1.0).contains(&share.get())) {
            return Err(fault(tree, &path(&[key]), "a share is from 0% to 100%"));
        }
    }
    // They become part of a query.
    let metrics = &slo.metrics;
    for (key, name) in [
        ("requests", &metrics.requests),
        ("duration", &metrics.duration),
        ("up", &metrics.up),
        ("status-label", &metrics.status_label),
    ] {
        if !is_metric(name) {
            let message = format!("`{name}` is no metric's name");
            return Err(fault(tree, &path(&["metrics", key]), message));
        }
    }
    if let Some(name) = slo.labels.keys().find(|name| !is_metric(name)) {
        let message = format!("`{name}` is no label's name");
        return Err(fault(tree, &path(&["labels"]), message));
    }
    Ok(())
}

fn is_metric(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.chars().all(good) && name.starts_with(|c: char| !c.is_ascii_digit())
}

fn ecs(probe: &EcsProbe, tree: &Node, at: &str) -> Result<(), Fault> {
    for (key, text) in [("cluster", &probe.cluster), ("service", &probe.service)] {
        if text.trim().is_empty() {
            let path = ["healthgate", "ecs", at, key];
            return Err(fault(tree, &path, "must not be empty"));
        }
    }
    if let Some(id) = &probe.deployment_id
        && !id.starts_with("ecs-svc/")
    {
        let path = ["healthgate", "ecs", at, "deployment-id"];
        return Err(fault(tree, &path, format!("`{id}` is no deployment's id"))
            .hint("it looks like `ecs-svc/1234567890123456789`; `update-service` answers it"));
    }
    Ok(())
}

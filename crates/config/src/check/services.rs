//! Rules for the probes that ask where a service runs.

use super::rules::{fault, known_host};
use crate::file::{
    CommandProbe, ComposeProbe, Config, DockerProbe, Healthgate, HostList, PostgresProbe,
    PostgresTls, SystemdProbe,
};
use yaml::Fault;
use yaml::Node;

pub(super) fn section(section: &Healthgate, config: &Config, tree: &Node) -> Result<(), Fault> {
    for (
        at,
        CommandProbe {
            run,
            host,
            hosts,
            status,
            ..
        },
    ) in section.command.iter().enumerate()
    {
        let path = ["healthgate", "command", &at.to_string()];
        place(tree, path, host.as_deref(), hosts.as_ref(), config)?;
        some_text(tree, path, "run", run)?;
        if status.is_empty() {
            let path = [path[0], path[1], path[2], "status"];
            return Err(fault(tree, &path, "no exit status would be good"));
        }
    }
    for (
        at,
        SystemdProbe {
            unit, host, hosts, ..
        },
    ) in section.systemd.iter().enumerate()
    {
        let path = ["healthgate", "systemd", &at.to_string()];
        place(tree, path, host.as_deref(), hosts.as_ref(), config)?;
        a_word(tree, path, "unit", unit)?;
        if unit.contains(['*', '?', '[']) {
            let path = [path[0], path[1], path[2], "unit"];
            return Err(fault(tree, &path, format!("`{unit}` is a pattern"))
                .hint("of several units one would hide another: name each in a probe of its own"));
        }
    }
    for (
        at,
        DockerProbe {
            container,
            host,
            hosts,
            ..
        },
    ) in section.docker.iter().enumerate()
    {
        let path = ["healthgate", "docker", &at.to_string()];
        place(tree, path, host.as_deref(), hosts.as_ref(), config)?;
        a_word(tree, path, "container", container)?;
    }
    for (at, probe) in section.compose.iter().enumerate() {
        let path = ["healthgate", "compose", &at.to_string()];
        compose(tree, path, probe)?;
        let (host, hosts) = (probe.host.as_deref(), probe.hosts.as_ref());
        place(tree, path, host, hosts, config)?;
    }
    for (at, probe) in section.postgres.iter().enumerate() {
        postgres(tree, ["healthgate", "postgres", &at.to_string()], probe)?;
    }
    for (at, probe) in section.redis.iter().enumerate() {
        let path = ["healthgate", "redis", &at.to_string(), "user"];
        if probe.user.is_some() && probe.password_env.is_none() {
            return Err(fault(tree, &path, "`user` needs `password-env`"));
        }
        // Else the password would go to whoever listens, and in clear.
        for (key, given) in [
            ("ca-file", probe.ca_file.is_some()),
            ("server-name", probe.server_name.is_some()),
        ] {
            if given && !probe.tls {
                let path = [path[0], path[1], path[2], key];
                return Err(fault(tree, &path, format!("`{key}` needs `tls: true`")));
            }
        }
    }
    Ok(())
}

fn postgres(tree: &Node, path: [&str; 3], probe: &PostgresProbe) -> Result<(), Fault> {
    let judges = [
        ("equals", probe.equals.is_some()),
        ("matches", probe.matches.is_some()),
        ("min", probe.min.is_some()),
        ("max", probe.max.is_some()),
    ];
    let needs = |key: &str, other: &str| {
        let path = [path[0], path[1], path[2], key];
        Err(fault(tree, &path, format!("`{key}` needs `{other}`")))
    };
    if let Some((key, _)) = judges.iter().find(|(_, given)| *given)
        && probe.query.is_none()
    {
        return needs(key, "query");
    }
    for (key, given) in [
        ("query", probe.query.is_some()),
        ("password-env", probe.password_env.is_some()),
    ] {
        if given && probe.user.is_none() {
            return needs(key, "user");
        }
    }
    let full = probe.tls == PostgresTls::VerifyFull;
    if probe.server_name.is_some() && !full {
        return needs("server-name", "tls: verify-full");
    }
    if probe.ca_file.is_some() && !full && probe.tls != PostgresTls::VerifyCa {
        return needs("ca-file", "tls: verify-full");
    }
    Ok(())
}

fn compose(tree: &Node, path: [&str; 3], probe: &ComposeProbe) -> Result<(), Fault> {
    for file in &probe.env_files {
        let text = file.display().to_string();
        if text.is_empty() || text.starts_with('-') || text.contains(',') {
            let path = [path[0], path[1], path[2], "env-files"];
            return Err(fault(tree, &path, format!("`{text}` is no file's name")));
        }
    }
    for (key, services) in [
        ("services", &probe.services),
        ("completed", &probe.completed),
    ] {
        for service in services {
            a_word(tree, path, key, service)?;
        }
    }
    let both = |service: &&String| probe.completed.contains(service);
    if let Some(service) = probe.services.iter().find(both) {
        let path = [path[0], path[1], path[2], "completed"];
        let message = format!("`{service}` cannot both run and have ended");
        return Err(fault(tree, &path, message));
    }
    Ok(())
}

fn place(
    tree: &Node,
    path: [&str; 3],
    host: Option<&str>,
    hosts: Option<&HostList>,
    config: &Config,
) -> Result<(), Fault> {
    if host.is_some() && hosts.is_some() {
        let path = [path[0], path[1], path[2], "hosts"];
        return Err(fault(tree, &path, "`host` and `hosts` exclude each other"));
    }
    let path = [path[0], path[1], path[2], "host"];
    host.map_or(Ok(()), |name| known_host(tree, &path, name, config))
}

fn some_text(tree: &Node, path: [&str; 3], key: &str, text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Err(fault(
            tree,
            &[path[0], path[1], path[2], key],
            "it is empty",
        ));
    }
    Ok(())
}

/// What a program would take for an option, or a shell for two words, is no name.
fn a_word(tree: &Node, path: [&str; 3], key: &str, text: &str) -> Result<(), Fault> {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if text.is_empty() || text.starts_with('-') || text.contains(odd) {
        let path = [path[0], path[1], path[2], key];
        return Err(fault(tree, &path, format!("`{text}` is no name")));
    }
    Ok(())
}

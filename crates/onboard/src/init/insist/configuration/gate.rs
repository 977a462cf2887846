//! `healthgate:`.

use std::fmt::Write as _;

use super::names::{compose_folder, ecs_names};
use crate::init::insist::plan::{DeployMethod, Plan, TODO};
use yaml_edit::text::{literal, scalar};

pub(super) fn write(plan: &Plan, text: &mut String) {
    text.push_str(if matches!(plan.way, DeployMethod::Ecs(_)) {
        "\n# After: whether it is healthy. A rollout takes minutes; one that has failed ends this at once.\n\
         healthgate:\n  policy: { interval: 5s, timeout: 5s, success-threshold: 3, deadline: 15m }\n"
    } else {
        "\n# After: whether it is healthy. Three good answers in a row; more than three failures once it has started, and it is taken back.\n\
         healthgate:\n  policy: { interval: 2s, timeout: 5s, success-threshold: 3, failure-limit: 3, startup: 30s, deadline: 3m }\n"
    });
    let proven = matches!(plan.way, DeployMethod::Ecs(_) | DeployMethod::Nginx);
    if !proven {
        text.push_str(
            "  # Who answers is compared with the release where an answer names it: a header such as X-Version, or\n  \
             # {\"version\": …}. Once yours does, `required` makes sure that it was the new release that answered.\n  \
             release-identity: optional\n",
        );
    }
    endpoints(plan, text);
    kinds(plan, text);
}

/// What is asked over the network.
fn endpoints(plan: &Plan, text: &mut String) {
    let via = plan
        .machines
        .first()
        .map_or(String::new(), |machine| format!(", via: {}", machine.name));
    let local = |url: &str| url.contains("//127.0.0.1") || url.contains("//localhost");
    let more = match plan.way {
        // Proves who answers, which nginx's switch is verified by.
        DeployMethod::Nginx => ", release: {}",
        // Until the rollout is over the tasks of before answer too.
        DeployMethod::Ecs(_) => ", policy: { failure-limit: 3, startup: 5m }",
        _ => "",
    };
    let mut http = Vec::new();
    let mut tcp = Vec::new();
    if let Some(url) = &plan.url {
        let via = if local(url) { via.as_str() } else { "" };
        http.push(format!(
            "    - {{ name: ready, url: {}{via}{more} }}\n",
            literal(url)
        ));
    } else if matches!(plan.way, DeployMethod::Nginx | DeployMethod::Command) {
        http.push(format!(
            "    # What answers 200 to 299 when all is well.\n    - {{ name: ready, url: \"https://{TODO}/\"{more} }}\n"
        ));
    }
    if let DeployMethod::Compose(project) = &plan.way {
        for (service, port, path) in &project.answers {
            let address = format!("127.0.0.1:{port}");
            match path {
                Some(path) if plan.url.as_deref() != Some(&format!("http://{address}{path}")) => {
                    http.push(format!(
                        "    - {{ name: {}, url: \"http://{address}{path}\"{via} }}\n",
                        scalar(service)
                    ));
                }
                None if !plan
                    .url
                    .as_deref()
                    .is_some_and(|url| url.contains(&address)) =>
                {
                    tcp.push(format!(
                        "    - {{ name: {}, address: \"{address}\"{via} }}\n",
                        scalar(service)
                    ));
                }
                _ => {}
            }
        }
    }
    if http.is_empty() && !matches!(plan.way, DeployMethod::Ecs(_)) {
        text.push_str("  # An open port shows little: name what answers when all is well.\n  # http:\n  #   - { name: ready, url: http://127.0.0.1:8080/health, jq: '.status == \"ok\"' }\n");
    }
    for (kind, probes) in [("http", http), ("tcp", tcp)] {
        if !probes.is_empty() {
            let _ = writeln!(text, "  {kind}:\n{}", probes.concat().trim_end());
        }
    }
}

/// The probes of the platform that runs the release.
fn kinds(plan: &Plan, text: &mut String) {
    let everywhere = if plan.machines.is_empty() {
        ""
    } else {
        ", hosts: all"
    };
    match &plan.way {
        DeployMethod::Compose(project) => {
            let _ = writeln!(
                text,
                "  # Every container runs, is healthy where it has a health check, and is not started again.\n  compose:\n    - name: containers\n      policy: {{ timeout: 30s }} # Compose takes its time on a busy machine"
            );
            let folder = compose_folder(plan, project);
            if folder != "." {
                let _ = writeln!(text, "      folder: {}", literal(&folder));
            }
            let _ = writeln!(
                text,
                "      files: [{}{}]\n      project: {}",
                literal(&project.file),
                // Only our own command writes it.
                if plan.is_local() {
                    ", docker-compose.deploy-guard.yml"
                } else {
                    ""
                },
                scalar(&project.name)
            );
            let services: Vec<String> = project
                .images
                .keys()
                .map(|service| scalar(service))
                .collect();
            let _ = writeln!(text, "      services: [{}]", services.join(", "));
            if !project.ends.is_empty() {
                let ends: Vec<String> =
                    project.ends.iter().map(|service| scalar(service)).collect();
                let _ = writeln!(text, "      completed: [{}]", ends.join(", "));
            }
            if !plan.machines.is_empty() {
                text.push_str("      hosts: all\n");
            }
        }
        DeployMethod::Systemd { unit, releases: _ } => {
            let _ = writeln!(
                text,
                "  systemd:\n    - {{ name: unit, unit: {}{everywhere} }}",
                scalar(unit)
            );
        }
        DeployMethod::Ecs(cluster) => {
            let _ = writeln!(
                text,
                "  # Its PRIMARY deployment is ours: the image's tag is the release.\n  ecs:"
            );
            let container = cluster
                .task
                .as_ref()
                .map_or(String::new(), |(_, container, _)| {
                    format!(", container: {}", scalar(container))
                });
            let (of, service) = ecs_names(cluster);
            let _ = writeln!(
                text,
                "    - {{ name: service, cluster: {of}, service: {service}{container} }}"
            );
        }
        DeployMethod::Nginx | DeployMethod::Command => {}
    }
}

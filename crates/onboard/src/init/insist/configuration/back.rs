//! `rollback:`.

use std::fmt::Write as _;

use super::names::{compose_folder, ecs_names};
use crate::init::insist::plan::{Colours, DeployMethod, Plan};
use proposal::text::{literal, scalar};

pub(super) fn write(plan: &Plan, text: &mut String) {
    text.push_str("\n# Back: to the newest release that passed its gate.\nrollback:\n");
    let environment = plan.environment.replace('/', "-");
    let state = match (&plan.way, plan.machines.first()) {
        (DeployMethod::Ecs(_), _) => {
            format!("s3://${{STATE_BUCKET}}/{}/{environment}.json", plan.service)
        }
        (_, Some(machine)) => {
            text.push_str("  # The user must be able to write there.\n");
            format!(
                "ssh://{}/var/lib/{}/{environment}-state.json",
                machine.name, plan.service
            )
        }
        (_, None) => {
            text.push_str("  # Outside the checkout, which each run cleans.\n");
            format!(
                "${{HOME}}/.local/state/deploy-guard/{}/{environment}.json",
                plan.service
            )
        }
    };
    let _ = writeln!(text, "  state: \"{state}\"");
    let everywhere = if plan.machines.is_empty() {
        ""
    } else {
        "    hosts: all\n"
    };
    match &plan.way {
        DeployMethod::Compose(project) => {
            let _ = writeln!(text, "  compose:");
            let folder = compose_folder(plan, project);
            if folder != "." {
                let _ = writeln!(text, "    folder: {}", literal(&folder));
            }
            let _ = writeln!(
                text,
                "    files: [{}]\n    project: {}",
                literal(&project.file),
                scalar(&project.name)
            );
            text.push_str(
                "    # Only these are recreated: a database stays as it is.\n    services:\n",
            );
            for (service, image) in &project.images {
                let _ = writeln!(text, "      {}: \"{image}\"", scalar(service));
            }
            text.push_str(everywhere);
        }
        DeployMethod::Nginx(colours) => nginx(colours.as_ref(), everywhere, text),
        DeployMethod::Systemd { unit, home } => {
            let _ = writeln!(
                text,
                "  # {home}/releases/v1.2.3, and {home}/current that points to the one that runs.\n  systemd:\n    unit: {}\n    releases: {home}/releases",
                scalar(unit)
            );
            text.push_str(everywhere);
            text.push_str("    # sudoers: deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart -- UNIT, /usr/bin/systemctl reset-failed -- UNIT\n    # sudo: true\n");
        }
        DeployMethod::Ecs(cluster) => {
            let (of, service) = ecs_names(cluster);
            let _ = writeln!(
                text,
                "  deadline: 20m\n  ecs: {{ cluster: {of}, service: {service} }}"
            );
        }
        DeployMethod::Command => {
            let (command, _) = plan.deploys();
            let _ = writeln!(
                text,
                "  command:\n    # Makes $RELEASE live, also an old one.\n    run: {}\n    # Prints the release that is live.\n    current: sh ./live.sh",
                scalar(&command)
            );
        }
    }
}

/// `traffic:`, where the repository has both colours: the same router as `rollback:`, with the same state.
pub(super) fn shares(plan: &Plan, text: &mut String) {
    let DeployMethod::Nginx(Some(colours)) = &plan.way else {
        return;
    };
    text.push_str("\n# Shares: `traffic switch` gives the other colour all requests, `traffic ramp` a share after another.\ntraffic:\n");
    let everywhere = if plan.machines.is_empty() {
        ""
    } else {
        "    hosts: all\n"
    };
    nginx(Some(colours), everywhere, text);
}

fn nginx(colours: Option<&Colours>, everywhere: &str, text: &mut String) {
    let (file, blue, green) = match colours {
        Some(colours) => (
            colours.file.as_str(),
            colours.blue.as_str(),
            colours.green.as_str(),
        ),
        None => ("upstream.conf", "127.0.0.1:8001", "127.0.0.1:8002"),
    };
    let _ = writeln!(
        text,
        "  nginx:\n    # On the machine: the file with the `upstream` block.\n    upstream-file: {}\n    blue: {}\n    green: {}\n    # sudoers: deploy ALL=(root) NOPASSWD: /usr/sbin/nginx -t, /usr/sbin/nginx -s reload\n    # test: sudo -n nginx -t\n    # reload: sudo -n nginx -s reload",
        literal(&format!("/etc/nginx/conf.d/{file}")),
        scalar(blue),
        scalar(green)
    );
    text.push_str(everywhere);
}

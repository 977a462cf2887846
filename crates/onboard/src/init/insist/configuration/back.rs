//! `rollback:`.

use std::fmt::Write as _;

use super::names::{compose_folder, ecs_names};
use crate::init::insist::plan::{DeployMethod, Plan, TODO};
use yaml_edit::text::{literal, scalar};

pub(super) fn write(plan: &Plan, text: &mut String) {
    text.push_str("\n# Back: to the newest release that passed its gate.\nrollback:\n");
    let name = plan.state_name();
    let state = match (&plan.way, plan.machines.first()) {
        (DeployMethod::Ecs(_), _) => {
            format!("s3://${{STATE_BUCKET}}/{}/{name}.json", plan.service)
        }
        (_, Some(machine)) => {
            text.push_str("  # A proposal: on the machine, where each runner finds it.\n");
            format!(
                "ssh://{}/~/.deploy-guard/{}-{name}.json",
                machine.name, plan.service
            )
        }
        (_, None) if plan.is_local() => {
            text.push_str("  # A proposal: on the runner, outside the checkout.\n");
            format!(
                "${{HOME}}/.local/state/deploy-guard/{}/{name}.json",
                plan.service
            )
        }
        (_, None) => {
            text.push_str("  # What outlives the job: ssh://HOST/PATH, s3://BUCKET/KEY.\n");
            TODO.to_owned()
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
        DeployMethod::Nginx => {
            let _ = writeln!(
                text,
                "  nginx:\n    # On the machine: the file with the `upstream` block, such as /etc/nginx/conf.d/shop.conf.\n    upstream-file: /{TODO}\n    blue: \"{TODO}:1\"\n    green: \"{TODO}:2\"\n    # sudoers: deploy ALL=(root) NOPASSWD: /usr/sbin/nginx -t, /usr/sbin/nginx -s reload\n    # test: sudo -n nginx -t\n    # reload: sudo -n nginx -s reload"
            );
            text.push_str(everywhere);
        }
        DeployMethod::Systemd { unit, releases } => {
            let releases = releases.clone().unwrap_or_else(|| format!("/{TODO}"));
            let _ = writeln!(
                text,
                "  # A folder a release, such as releases/v1.2.3; `current` beside them points to the one that runs.\n  systemd:\n    unit: {}\n    releases: {releases}",
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
            let _ = writeln!(
                text,
                "  command:\n    # Makes $RELEASE live, also an old one.\n    run: {TODO}\n    # Prints the release that is live.\n    current: {TODO}"
            );
        }
    }
}

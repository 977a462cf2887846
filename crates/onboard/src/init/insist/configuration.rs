//! The text of `.github/deploy-guard.yml`.

mod back;
mod gate;
mod names;

use std::fmt::Write as _;

use config::SCHEMA_URL;

use super::plan::{Cluster, DeployMethod, KEY, Plan, Project, TODO};
use yaml_edit::text::{indented, line, literal, scalar};

/// Writes the release's images into our own file, which a rollback writes too, and starts them.
const COMPOSE: &str = r#"case $RELEASE in *[!A-Za-z0-9._-]*) echo "no image's tag: $RELEASE" >&2; exit 1 ;; esac
@CD@cat >docker-compose.deploy-guard.yml <<END
services:
@IMAGES@END
if docker compose version >/dev/null 2>&1; then compose='docker compose'; else compose=docker-compose; fi
$compose -p @PROJECT@ -f @FILE@ -f docker-compose.deploy-guard.yml up -d@BUILD@
"#;

/// Registers the task definition with the release's image, and lets the service run it. What AWS prints of a definition
/// and does not take, and what is null, is left out.
const ECS: &str = r#"set -e
definition=$(jq --arg image @IMAGE@:"$RELEASE" --arg name @CONTAINER@ \
  'del(.taskDefinitionArn, .revision, .status, .requiresAttributes, .compatibilities, .registeredAt, .registeredBy,
      .deregisteredAt) | del(.. | nulls)
   | (.containerDefinitions[] | select(.name == $name)).image = $image' @FILE@)
arn=$(aws ecs register-task-definition --cli-input-json "$definition" \
  --query taskDefinition.taskDefinitionArn --output text)
aws ecs update-service --cluster @CLUSTER@ --service @SERVICE@ \
  --task-definition "$arn" --query service.status --output text
"#;

pub(super) fn text(plan: &Plan) -> String {
    let mut text = format!(
        "# yaml-language-server: $schema={SCHEMA_URL}\n\
         # How the deployment of {service} is guarded. Written by `deploy-guard init`, yours to change.\n\
         # Every key: `deploy-guard schema`. What preflight would check: `deploy-guard preflight list`.\n\
         version: 1\n\
         service: {scalar}\n",
        service = plan.service,
        scalar = scalar(&plan.service)
    );
    hosts(plan, &mut text);
    let mut after = String::new();
    deploy(plan, &mut after);
    gate::write(plan, &mut after);
    back::write(plan, &mut after);
    let has_gaps = text.contains(TODO) || after.contains(TODO);
    preflight(plan, has_gaps, &mut text);
    text + &after
}

fn hosts(plan: &Plan, text: &mut String) {
    if plan.machines.is_empty() {
        return;
    }
    text.push_str("\n# Reached by SSH; their keys must stand in the known_hosts file.\nhosts:\n");
    for machine in &plan.machines {
        let (address, user) = (scalar(&machine.address), scalar(&machine.user));
        let port = machine
            .port
            .map_or(String::new(), |port| format!(", port: {port}"));
        let _ = writeln!(
            text,
            "  {}: {{ address: {address}, user: {user}{port}, key-env: {KEY}, known-hosts: .github/known_hosts }}",
            machine.name
        );
    }
}

fn preflight(plan: &Plan, has_gaps: bool, text: &mut String) {
    text.push_str("\n# Before: where this does not pass, nothing is touched.\npreflight:\n");
    let mut all = String::new();
    let names: Vec<&str> = plan
        .machines
        .iter()
        .map(|machine| machine.name.as_str())
        .collect();
    if let Some(key) = plan.key() {
        let _ = writeln!(
            all,
            "  # Handed to the step by the workflow.\n  secrets:\n    - {{ name: {key}, kind: ssh-private-key, hosts: [{}] }}",
            names.join(", ")
        );
    }
    let variables = plan.variables();
    if !variables.is_empty() {
        all.push_str("  # Settings of the repository: `gh variable set NAME`.\n  variables:\n");
    }
    for name in variables {
        let _ = writeln!(all, "    - {{ name: {name} }}");
    }
    if !names.is_empty() {
        all.push_str("  hosts:\n");
        for name in &names {
            let _ = writeln!(all, "    - {{ host: {name} }}");
        }
    }
    if let DeployMethod::Compose(project) = &plan.way {
        images(project, &mut all);
    }
    commands(plan, has_gaps, &mut all);
    if plan.is_local() && !matches!(plan.way, DeployMethod::Ecs(_)) {
        all.push_str("  disk:\n    - { path: /, min-free: 1GiB, min-inodes: 1% }\n");
    }
    text.push_str(&all);
    text.push_str("  # What CI reports of the commit; the step needs `github-token`, the job `checks: read`, `statuses: read`, `contents: read` and `actions: read`.\n");
    text.push_str("  # checks:\n  #   - { name: ci }\n");
    if let Some(path) = &plan.migrations {
        let _ = writeln!(
            text,
            "  # {} holds migrations: a release that cannot go back over one needs a backup, see `backup:`.",
            line(path)
        );
    }
}

fn images(project: &Project, all: &mut String) {
    if project.pulled.is_empty() {
        return;
    }
    all.push_str("  # The release's images are in their registry.\n  images:\n");
    for (name, image) in &project.pulled {
        let image = image.replace("{release}", "${RELEASE}");
        let _ = writeln!(
            all,
            "    - {{ name: {}, image: \"{image}\" }}",
            scalar(name)
        );
    }
}

fn commands(plan: &Plan, has_gaps: bool, all: &mut String) {
    let mut each = Vec::new();
    if has_gaps {
        // It must not find itself.
        let file = remote::quote(&plan.config);
        each.push((
            "filled-in",
            format!("test -r {file} && ! grep -n 'TOD[O]' {file} >&2"),
        ));
    }
    match &plan.way {
        DeployMethod::Compose(project) if plan.is_local() => {
            let file = if project.folder.is_empty() {
                project.file.clone()
            } else {
                format!("{}/{}", project.folder, project.file)
            };
            each.push(("docker", "docker version >/dev/null".to_owned()));
            each.push((
                "compose-file",
                format!("if docker compose version >/dev/null 2>&1; then docker compose -f {0} config -q; else docker-compose -f {0} config -q; fi", remote::quote(&file)),
            ));
        }
        DeployMethod::Ecs(_) if plan.deploys_itself() => {
            each.push(("tools", "command -v jq && command -v aws".to_owned()));
        }
        _ => {}
    }
    if each.is_empty() {
        return;
    }
    all.push_str("  command:\n");
    for (name, run) in each {
        let _ = writeln!(all, "    - {{ name: {name}, run: {} }}", literal(&run));
    }
}

fn deploy(plan: &Plan, text: &mut String) {
    text.push_str("\ndeploy:\n");
    match &plan.way {
        DeployMethod::Compose(project) if plan.is_local() => {
            text.push_str("  # Writes the release's images into a file of its own, which a rollback writes too, and starts them.\n  command: |\n");
            let images = project.images.iter().map(|(service, image)| {
                format!(
                    "  {}: {{ image: \"{}\" }}\n",
                    scalar(service),
                    image.replace("{release}", "$RELEASE")
                )
            });
            let cd = if project.folder.is_empty() {
                String::new()
            } else {
                format!("cd -- {} || exit 1\n", remote::quote(&project.folder))
            };
            let script = COMPOSE
                .replace("@IMAGES@", &images.collect::<String>())
                .replace("@CD@", &cd)
                .replace("@PROJECT@", &remote::quote(&project.name))
                .replace("@FILE@", &remote::quote(&project.file))
                .replace("@BUILD@", if project.builds { " --build" } else { "" });
            text.push_str(&indented(&script, 4));
        }
        DeployMethod::Ecs(Cluster {
            task: Some((path, container, image)),
            of,
            service,
        }) => {
            let or = |name: &str, variable: &str| {
                if name.is_empty() {
                    format!("\"${variable}\"")
                } else {
                    remote::quote(name)
                }
            };
            let script = ECS
                .replace("@IMAGE@", &remote::quote(image))
                .replace("@CONTAINER@", &remote::quote(container))
                .replace("@FILE@", &remote::quote(path))
                .replace("@CLUSTER@", &or(of, "ECS_CLUSTER"))
                .replace("@SERVICE@", &or(service, "ECS_SERVICE"));
            text.push_str("  # Registers the task definition with the release's image, and lets the service run it.\n  command: |\n");
            text.push_str(&indented(&script, 4));
        }
        _ => {
            let there = plan.script.as_ref();
            let there = there.map_or(String::new(), |script| {
                format!("; {} is there", line(script))
            });
            let _ = writeln!(
                text,
                "  # What makes $RELEASE live, and is safe to run twice{there}.\n  command: {TODO}"
            );
        }
    }
}

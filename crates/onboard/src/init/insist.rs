//! A configuration and a workflow of a kind that a person insists on, whatever the workflows do.

mod configuration;
pub(super) mod plan;
mod workflow;

use std::fmt::Write as _;
use std::path::PathBuf;

use model::{Env, ExitCode};

use super::ask::Prompter;
use super::output::{self, tell};
use super::problem::InitError;
use super::wishes::InitFlags;
use super::write::{NewFile, Places, holds};
use crate::inventory::RepositoryFacts;
use plan::Plan;
use yaml_edit::text;

/// Where the workflow goes, unless a flag says.
const WORKFLOW: &str = ".github/workflows/deploy-guard.yml";

/// Looks at the files, asks, and writes both.
pub(super) fn run(
    seen: &RepositoryFacts,
    wishes: &InitFlags,
    dry_run: bool,
    ask: &mut Prompter,
    env: &Env,
) -> Result<(), InitError> {
    let workflow = wishes.workflow.clone().unwrap_or_else(|| WORKFLOW.into());
    tell(&told(seen))?;
    // Before anything is asked: an answer that comes to nothing is a nuisance.
    let places = Places::new(&seen.root, &[&wishes.config, &workflow])?;
    if !dry_run {
        places.are_free()?;
    }
    let plan = Plan::make(seen, wishes, workflow.display().to_string(), ask)?;
    let files = [
        NewFile {
            path: wishes.config.clone(),
            text: configuration::text(&plan),
        },
        NewFile {
            path: workflow,
            text: workflow::text(&plan),
        },
    ];
    holds(&files[0].text, &seen.root, &[], env)?;
    yaml::read(&files[1].text).map_err(|fault| InitError {
        code: ExitCode::Error,
        what: format!("the workflow would not be one: {}", fault.message),
        hint: "open an issue with what the repository has".to_owned(),
    })?;
    tell(&decided(&plan))?;
    if dry_run {
        return output::files(&files);
    }
    output::agree(ask)?;
    places.write(&files)?;
    tell(&next(&plan))
}
/// What was seen, for a person.
fn told(seen: &RepositoryFacts) -> String {
    let mut text = format!(
        "Looked at {}\n",
        seen.root
            .join(&seen.below)
            .components()
            .collect::<PathBuf>()
            .display()
    );
    if !seen.git {
        text.push_str(
            "  no Git repository: GitHub runs the workflow once this is one (`git init`)\n",
        );
    }
    let mut line = |what: &str, which: String| {
        let _ = writeln!(text, "  {what:<16} {}", text::line(&which));
    };
    for workflow in &seen.workflows {
        let secrets: Vec<&str> = workflow.secrets.iter().map(String::as_str).collect();
        let mut more = Vec::new();
        if workflow.deploys {
            more.push("called a deployment".to_owned());
        }
        if !secrets.is_empty() {
            more.push(format!("secrets {}", secrets.join(", ")));
        }
        line("workflow", with(&workflow.path, &more));
    }
    for compose in &seen.compose {
        let services: Vec<&str> = compose
            .services
            .iter()
            .map(|service| service.name.as_str())
            .collect();
        line(
            "Compose file",
            with(
                &compose.path,
                &[format!("services {}", services.join(", "))],
            ),
        );
    }
    for (path, health) in &seen.dockerfiles {
        let health = health
            .as_ref()
            .map(|health| format!("healthy at {}", health.path));
        line("Dockerfile", with(path, &Vec::from_iter(health)));
    }
    for unit in &seen.units {
        line("systemd unit", unit.path.clone());
    }
    for task in &seen.tasks {
        line(
            "ECS task",
            with(&task.path, &[format!("family {}", task.family)]),
        );
    }
    for path in &seen.migrations {
        line("migrations", path.clone());
    }
    for script in &seen.scripts {
        line("program", script.clone());
    }
    let composes = seen.compose.iter().flat_map(|compose| &compose.passed_over);
    for note in seen.passed_over.iter().chain(composes) {
        line("passed over", note.clone());
    }
    if seen.is_empty() {
        text.push_str("  nothing that shows how it is deployed\n");
    }
    text
}

fn with(path: &str, more: &[String]) -> String {
    if more.is_empty() {
        return path.to_owned();
    }
    format!("{path} ({})", more.join("; "))
}

/// What will be written, and why.
fn decided(plan: &Plan) -> String {
    let mut text = format!(
        "\nNo workflow deploys {} by {}, as far as they can be read: what is written is a form, with a TODO for what is not known\n",
        plan.service,
        plan.way.describe()
    );
    for note in &plan.notes {
        let _ = writeln!(text, "  {}", text::line(note));
    }
    let _ = writeln!(text, "  configuration    {}", plan.config);
    let _ = writeln!(text, "  workflow         {}", plan.workflow);
    text
}

fn next(plan: &Plan) -> String {
    let mut text = String::from("\nWritten. Next:\n");
    for step in plan.left_to_do() {
        let _ = writeln!(text, "  - {step}");
    }
    text
}

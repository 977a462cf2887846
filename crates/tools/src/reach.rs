//! What a step can do elsewhere: what it was handed, and what an earlier step of its job left.

use crate::deed::With;
use crate::harmless::is_harmless_action;
use workflow::{Job, Step, Text, Value, Workflow};

/// Whether a step has what lets it into something: a secret, an identity, or what an earlier step of the job left.
pub fn reach(workflow: &Workflow, job: &Job, step: usize) -> bool {
    let is_secret = |text: &Text| {
        text.value
            .secrets()
            .iter()
            .any(|name| name != "GITHUB_TOKEN")
    };
    let of_job = workflow.env.iter().chain(&job.env);
    let has = |step: &Step| {
        let mut texts = step
            .with
            .iter()
            .chain(&step.env)
            .map(|(_, text)| text)
            .chain(&step.run);
        texts.any(is_secret)
    };
    let leaves = |step: &Step| {
        let name = step.uses.as_ref().map_or("", |uses| uses.value.text());
        let name = name
            .split('@')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let logs_in = ["auth", "agent", "key", "kube", "credentials", "azure/login"];
        let keeps_none = !logs_in.iter().any(|word| name.contains(word))
            && is_harmless_action(&name, &With::new());
        has(step) && !keeps_none
    };
    of_job.into_iter().any(|(_, text)| is_secret(text))
        || takes_identity(workflow, job)
        || job.steps.get(step).is_some_and(has)
        || job.steps.iter().take(step).any(leaves)
}

/// Whether the job may show a cloud who it is.
pub fn takes_identity(workflow: &Workflow, job: &Job) -> bool {
    let permissions = job.permissions.as_ref().or(workflow.permissions.as_ref());
    permissions.is_some_and(|node| {
        let identity = node.get("id-token").and_then(|node| node.text());
        identity == Some("write") || node.text() == Some("write-all")
    })
}

/// The program of a step that is not read: one in another language, or one that a person types who starts the workflow.
pub fn unread_program<'j>(step: &'j Step, job: &'j Job) -> Option<&'j str> {
    const READ: [&str; 4] = ["bash", "sh", "pwsh", "powershell"];
    let run = &step.run.as_ref()?.value;
    if run.text().trim().starts_with("${{") && Value::new(run.text().trim()).expression().is_some()
    {
        return Some(run.text().trim());
    }
    let shell = step.shell.as_ref().or(job.defaults_shell.as_ref())?;
    (!READ.iter().any(|known| shell.starts_with(known))).then_some(shell.as_str())
}

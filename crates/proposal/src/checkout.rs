//! What a job has checked out.

use survey::{Job, Workflow};
use workflow::is_checkout;

/// Whether the whole of the repository is checked out before a step.
pub(crate) fn has_checkout(job: &Job, before: usize) -> bool {
    job.steps.iter().take(before).any(|step| {
        let input = |wanted: &str| step.with.iter().find(|(name, _)| name == wanted);
        let sparse = input("sparse-checkout");
        let has_ours = sparse.is_none_or(|(_, folders)| folders.value.text().contains(".github"));
        is_checkout(step) && input("path").is_none() && input("repository").is_none() && has_ours
    })
}

/// Whether the job's token may read the repository, as a checkout of a private one needs.
pub(crate) fn reads_repository(workflow: &Workflow, job: &Job) -> bool {
    let Some(named) = job.permissions.as_ref().or(workflow.permissions.as_ref()) else {
        return true;
    };
    let all = matches!(named.text(), Some("read-all" | "write-all"));
    let contents = named.get("contents").and_then(yaml::Node::text);
    all || matches!(contents, Some("read" | "write"))
}

/// Whether another checkout replaces what is in the folder.
pub(crate) fn has_other_checkout(job: &Job) -> bool {
    job.steps
        .iter()
        .any(|step| is_checkout(step) && !step.with.iter().any(|(name, _)| name == "path"))
}

//! What a job has checked out.

use survey::Job;

/// Whether the whole of the repository is checked out before a step.
pub(crate) fn has_checkout(job: &Job, before: usize) -> bool {
    job.steps.iter().take(before).any(|step| {
        let input = |wanted: &str| step.with.iter().find(|(name, _)| name == wanted);
        let sparse = input("sparse-checkout");
        let has_ours = sparse.is_none_or(|(_, folders)| folders.value.text().contains(".github"));
        is_checkout(step) && input("path").is_none() && input("repository").is_none() && has_ours
    })
}

/// Whether another checkout replaces what is in the folder.
pub(crate) fn has_other_checkout(job: &Job) -> bool {
    job.steps
        .iter()
        .any(|step| is_checkout(step) && !step.with.iter().any(|(name, _)| name == "path"))
}

fn is_checkout(step: &survey::Step) -> bool {
    let uses = step.uses.as_ref().map(|uses| uses.value.text());
    uses.is_some_and(|uses| uses.starts_with("actions/checkout@"))
}

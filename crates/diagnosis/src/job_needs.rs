//! What a workflow's file says of its jobs, by the names that GitHub shows: which need which, and which may fail.

use std::collections::{BTreeMap, BTreeSet};

use workflow::Workflow;

use crate::names::without_parentheses;

/// What a run needs to go well, as far as that is known; all by [`base`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// Of each job the jobs that it needs.
    pub jobs: BTreeMap<String, Vec<String>>,
    /// The jobs whose failure the run does not count: `continue-on-error: true`.
    pub may_fail: BTreeSet<String>,
}

impl Needed {
    /// From the workflow's file. A job whose name is made of expressions alone is not among them.
    pub fn of(workflow: &Workflow) -> Needed {
        let shown = |id: &str| {
            let job = workflow.jobs.iter().find(|job| job.id == id)?;
            let name = base(job.name.as_deref().unwrap_or(id));
            (!name.is_empty() && !name.contains("${{")).then_some(name)
        };
        let mut needed = Needed::default();
        for job in &workflow.jobs {
            let Some(name) = shown(&job.id) else { continue };
            if job.may_fail {
                needed.may_fail.insert(name.clone());
            }
            let needs = job.needs.iter().filter_map(|id| shown(id)).collect();
            needed.jobs.insert(name, needs);
        }
        needed
    }
}

/// The name of a job in its workflow: without its matrix, and of one in a workflow that it calls, the
/// name of the caller.
pub(crate) fn base(name: &str) -> String {
    let plain = without_parentheses(name);
    plain
        .split(" / ")
        .next()
        .unwrap_or(&plain)
        .trim()
        .to_owned()
}

/// What a step runs: the action that it uses, or the commands of its shell; by the names that GitHub shows. `None` where
/// the workflow's file has no such step.
pub fn runs(workflow: &Workflow, job: &str, step: &str) -> Option<String> {
    let wanted = base(job);
    let is_wanted = |job: &&workflow::Job| base(job.name.as_deref().unwrap_or(&job.id)) == wanted;
    let job = workflow.jobs.iter().find(is_wanted)?;
    job.steps.iter().find_map(|one| {
        let (does, shown) = match (&one.uses, &one.run) {
            (Some(uses), _) => (uses.value.text(), uses.value.text()),
            (None, Some(run)) => {
                let run = run.value.text();
                (run, run.lines().next().unwrap_or_default())
            }
            (None, None) => return None,
        };
        let is_it = match &one.name {
            Some(name) => name.trim() == step,
            None => step.strip_prefix("Run ") == Some(shown.trim()),
        };
        // Of our own Action, the stage is an input.
        let inputs = one
            .with
            .iter()
            .map(|(key, text)| format!("\n{key}: {}", text.value.text()));
        is_it.then(|| does.to_owned() + &inputs.collect::<String>())
    })
}

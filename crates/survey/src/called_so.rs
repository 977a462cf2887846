//! What is called a deployment, though nothing that is known to be one is in it.

use std::collections::BTreeSet;

use crate::deployment::{Deployment, JobId};
use crate::record::Assembly;
use tools::Tool;
use workflow::{Fact, Job, Step, Workflow};

/// A step, a job or a workflow of such a name.
#[derive(Clone, Debug)]
pub struct Called {
    pub name: Fact<String>,
    /// As a deployment by a tool that is not known, in case a person says that it is one; `None` for a workflow.
    pub deployment: Option<Box<Deployment>>,
}

const MAX_NAMED: usize = 5;

/// Without the jobs of starters that nobody has filled in.
pub(crate) fn all(assembly: &Assembly<'_>, unfilled: &BTreeSet<JobId>) -> Vec<Called> {
    let mut all = Vec::new();
    for (nth, workflow) in assembly.workflows.iter().enumerate() {
        let before = all.len();
        for (job_nth, job) in workflow.jobs.iter().enumerate() {
            let id = JobId {
                workflow: nth,
                job: job_nth,
            };
            let Some((name, line, step)) = in_job(job).filter(|_| !unfilled.contains(&id)) else {
                continue;
            };
            let name = Fact::new(name.to_owned(), workflow.line(line));
            let deployment = deployment(assembly, id, &name, step).map(Box::new);
            all.push(Called { name, deployment });
        }
        let name = workflow.name.as_ref().filter(|name| says(name));
        if let Some(name) =
            name.filter(|_| all.len() == before && unfilled.iter().all(|id| id.workflow != nth))
        {
            all.push(Called {
                name: Fact::new(name.clone(), workflow.line(1)),
                deployment: None,
            });
        }
    }
    all.truncate(MAX_NAMED);
    all
}

/// The name, its line, and the step; the step tells more than the job that it is in.
fn in_job(job: &Job) -> Option<(&String, usize, Option<usize>)> {
    let mut steps = job.steps.iter().enumerate().filter_map(|(nth, step)| {
        let name = step.name.as_ref().filter(|name| says(name))?;
        (!only_tells(step, name)).then_some((name, step.line, Some(nth)))
    });
    let names = [Some(&job.id), job.name.as_ref()];
    let of_job = || names.into_iter().flatten().find(|name| says(name));
    steps
        .next_back()
        .or_else(|| Some((of_job()?, job.line, None)))
}

fn says(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| matches!(word, "deploy" | "deployment" | "deploys"))
}

/// Whether a step runs whatever has happened, or only speaks of the deployment.
fn only_tells(step: &Step, name: &str) -> bool {
    const WORDS: [&str; 6] = [
        "notif", "summary", "status", "announce", "report", "complete",
    ];
    let condition = step.condition.as_deref().unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    condition.contains("always()")
        || condition.contains("failure()")
        || WORDS.iter().any(|word| lower.contains(word))
}

/// The job's steps as a deployment: live after the step of that name, else after its last that runs where all is well.
fn deployment(
    assembly: &Assembly<'_>,
    id: JobId,
    name: &Fact<String>,
    step: Option<usize>,
) -> Option<Deployment> {
    let run = assembly.runs.iter().find(|run| run.id == id)?;
    let workflow: &Workflow = &assembly.workflows[id.workflow];
    let job = &workflow.jobs[id.job];
    let well = |step: &Step| {
        let condition = step.condition.as_deref().unwrap_or_default();
        !condition.contains("always()") && !condition.contains("failure()")
    };
    let step = step.or_else(|| job.steps.iter().rposition(well))?;
    let environment = assembly.environment(run, job);
    Some(Deployment {
        choice: assembly.choice(run, job, environment.as_ref()),
        tool: Tool::Called {
            name: name.value.clone(),
        },
        at: name.at.clone(),
        by: run.by.clone(),
        job: id,
        steps: vec![step],
        last_step: step,
        environment,
        login: None,
        folder: None,
        release: assembly.checked_out(run, step),
        images: Vec::new(),
        health: Vec::new(),
        script: None,
        migration: None,
        release_variables: Vec::new(),
        takes_branch: false,
        env: Vec::new(),
    })
}

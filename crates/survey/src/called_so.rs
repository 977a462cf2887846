//! What is called a deployment, though nothing that is known to be one is in it.

use std::collections::BTreeSet;

use crate::deployment::{Deployment, JobId};
use crate::event::EventDetail;
use crate::record::Assembly;
use tools::Tool;
use workflow::{Fact, Job, Step, Value, Workflow};

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
            if unfilled.contains(&id) {
                continue;
            }
            let named = in_job(job)
                .map(|(name, line, step)| (Fact::new(name.to_owned(), workflow.line(line)), step));
            let Some((name, step)) = named.or_else(|| in_commands(assembly, id)) else {
                continue;
            };
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

/// A command that says it, by its program or by what it is told to do: `make deploy`, `bin/deploy production`.
fn in_commands(assembly: &Assembly<'_>, id: JobId) -> Option<(Fact<String>, Option<usize>)> {
    // They speak of a deployment, or handle files that are called so.
    const OTHERS: [&str; 22] = [
        "curl",
        "wget",
        "gh",
        "git",
        "cat",
        "ls",
        "cp",
        "mv",
        "rm",
        "grep",
        "sed",
        "jq",
        "tar",
        "zip",
        "unzip",
        "ssh-keygen",
        "ssh-keyscan",
        "docker",
        "mvn",
        "mvnw",
        "test",
        "find",
    ];
    let run = assembly.runs.iter().find(|run| run.id == id)?;
    let job = &assembly.workflows[id.workflow].jobs[id.job];
    let mut told = run.events.iter().filter_map(|event| {
        let words: Vec<&str> = match &event.what {
            EventDetail::Command { words, .. } => words.iter().map(String::as_str).collect(),
            EventDetail::Script {
                path, arguments, ..
            } => {
                let arguments = arguments.iter().map(Value::text);
                path.split(' ').chain(arguments).collect()
            }
            EventDetail::Action { .. } | EventDetail::Writes { .. } => return None,
        };
        let (program, rest) = words.split_first()?;
        let base = program.rsplit('/').next().unwrap_or_default();
        let operands = rest
            .iter()
            .take(3)
            .filter(|word| !word.starts_with('-') && !word.contains('/'));
        let is_said = says(base) || operands.into_iter().any(|word| says(word));
        let step = job.steps.get(event.step)?;
        let counts = is_said && !OTHERS.contains(&base) && !only_tells(step, "");
        let shown: Vec<&str> = words.iter().take(4).copied().collect();
        counts.then(|| {
            (
                Fact::new(shown.join(" "), event.at.clone()),
                Some(event.step),
            )
        })
    });
    told.next_back()
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
        besides: Vec::new(),
        own_back: None,
        passed_over: None,
        returns_early: false,
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
        links: None,
        migration: None,
        release_variables: Vec::new(),
        takes_branch: false,
        env: Vec::new(),
    })
}

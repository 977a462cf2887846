//! What is called a deployment, though nothing that is known to be one is in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::deployment::{Deployment, JobId, Origin};
use crate::event::EventDetail;
use crate::record::Assembly;
use tools::{Ends, Tool};
use workflow::rank::{Rank, rank_of, rank_of_job, rank_of_step};
use workflow::{Fact, Job, Known, Step, Value, Workflow};

/// A step, a job or a workflow of such a name.
#[derive(Clone, Debug)]
pub struct Called {
    pub name: Fact<String>,
    /// As a deployment by a tool that is not known, in case a person says that it is one; `None` for a workflow.
    pub deployment: Option<Box<Deployment>>,
}

const MAX_NAMED: usize = 5;

/// Without the jobs of starters that nobody has filled in; those for production first.
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
            let mut found = steps_in(workflow, job);
            if found.is_empty() {
                let names = [Some(&job.id), job.name.as_ref()];
                let name = names.into_iter().flatten().find(|name| says(name));
                let of_job = name.map(|name| Named {
                    name: Fact::new(name.clone(), workflow.line(job.line)),
                    steps: Vec::new(),
                    rank: Rank::Unknown,
                });
                found.extend(of_job.or_else(|| in_commands(assembly, id)));
            }
            for mut one in found {
                if one.rank == Rank::Unknown {
                    one.rank = rank_of_job(workflow, job);
                }
                let deployment = deployment(assembly, id, &one).map(Box::new);
                let name = one.name;
                all.push((one.rank, Called { name, deployment }));
            }
        }
        let name = workflow.name.as_ref().filter(|name| says(name));
        if let Some(name) =
            name.filter(|_| all.len() == before && unfilled.iter().all(|id| id.workflow != nth))
        {
            let called = Called {
                name: Fact::new(name.clone(), workflow.line(1)),
                deployment: None,
            };
            all.push((rank_of(name), called));
        }
    }
    all.sort_by_key(|(rank, _)| *rank);
    let all = all.into_iter().map(|(_, called)| called);
    all.take(MAX_NAMED).collect()
}

/// What is called so in a job.
struct Named {
    name: Fact<String>,
    /// The steps of that name, where it is not the job's: the last is live with it.
    steps: Vec<usize>,
    rank: Rank,
}

/// The steps that are called so, those for one place together: a step tells more than the job that it is in.
fn steps_in(workflow: &Workflow, job: &Job) -> Vec<Named> {
    let is_one = |step: &Step| {
        let name = step.name.as_deref().filter(|name| says(name));
        name.is_some_and(|name| !only_tells(step, name) && !only_prepares(name))
    };
    let steps = job.steps.iter().enumerate();
    let mut found: Vec<Named> = Vec::new();
    for (nth, step) in steps.filter(|(_, step)| is_one(step)) {
        let rank = rank_of_step(step);
        let name = step.name.clone().unwrap_or_default();
        let name = Fact::new(name, workflow.line(step.line));
        match found.iter_mut().find(|other| other.rank == rank) {
            Some(other) => {
                other.name = name;
                other.steps.push(nth);
            }
            None => found.push(Named {
                name,
                steps: vec![nth],
                rank,
            }),
        }
    }
    found
}

fn says(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| matches!(word, "deploy" | "deployment" | "deploys" | "deployer"))
}

/// Whether a name is of what comes before a deployment: "Set up deploy", "Install the deployer".
fn only_prepares(name: &str) -> bool {
    const BEGINS: [&str; 12] = [
        "set up",
        "setup",
        "set-up",
        "prepare",
        "install",
        "configure",
        "check",
        "verify",
        "validate",
        "wait",
        "log in",
        "login",
    ];
    let lower = name.to_ascii_lowercase();
    let lower = lower.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let does_more = [" and ", "&", "+", ","]
        .iter()
        .any(|word| lower.contains(word));
    !does_more && BEGINS.iter().any(|word| lower.starts_with(word))
}

/// A command that says it, by its program or by what it is told to do: `make deploy`, `bin/deploy production`.
fn in_commands(assembly: &Assembly<'_>, id: JobId) -> Option<Named> {
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
    const INTERPRETERS: [&str; 6] = ["python", "python3", "node", "ruby", "perl", "tsx"];
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
        let mut base = program.rsplit('/').next().unwrap_or_default();
        let mut rest = rest.iter().skip_while(|word| word.starts_with('-'));
        // `python3 scripts/deploy.py`: the program is the file.
        if INTERPRETERS.contains(&base) {
            base = rest.next()?.rsplit('/').next().unwrap_or_default();
        }
        let operands = rest
            .take(3)
            .filter(|word| !word.starts_with('-') && !word.contains('/'));
        let is_said = says(base) || operands.into_iter().any(|word| says(word));
        let step = job.steps.get(event.step)?;
        let counts = is_said && !OTHERS.contains(&base) && !only_tells(step, "");
        let shown: Vec<&str> = words.iter().take(4).copied().collect();
        counts.then(|| Named {
            name: Fact::new(shown.join(" "), event.at.clone()),
            steps: vec![event.step],
            rank: Rank::Unknown,
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

/// Whether a step that is called a deployment waits for it: of one that only starts a workflow elsewhere it is known.
fn waits(step: &Step) -> Known {
    let uses = step.uses.as_ref().map_or("", |uses| uses.value.text());
    let (name, _) = uses.split_once('@').unwrap_or((uses, ""));
    match tools::action_ends(&name.to_ascii_lowercase(), &BTreeMap::new()) {
        Ends::Early => Known::No,
        Ends::Running | Ends::Unknown => Known::NotSeen(None),
    }
}

/// The job's steps as a deployment: live after the step of that name, else after its last that runs where all is well.
fn deployment(assembly: &Assembly<'_>, id: JobId, named: &Named) -> Option<Deployment> {
    let job = &assembly.workflows[id.workflow].jobs[id.job];
    let well = |step: &Step| {
        let condition = step.condition.as_deref().unwrap_or_default();
        !condition.contains("always()") && !condition.contains("failure()")
    };
    let last = named.steps.last().copied();
    let step = last.or_else(|| job.steps.iter().rposition(well))?;
    at_step(assembly, id, &named.name, step)
}

/// A step as a deployment by something that is not known.
pub(crate) fn at_step(
    assembly: &Assembly<'_>,
    id: JobId,
    name: &Fact<String>,
    step: usize,
) -> Option<Deployment> {
    let run = assembly.runs.iter().find(|run| run.id == id)?;
    let job = &assembly.workflows[id.workflow].jobs[id.job];
    let environment = assembly.environment(run, job);
    Some(Deployment {
        besides: Vec::new(),
        own_back: None,
        copies: None,
        passed_over: None,
        waits: waits(job.steps.get(step)?),
        choice: assembly.choice(run, job, environment.as_ref()),
        tool: Tool::Called {
            name: name.value.clone(),
        },
        at: name.at.clone(),
        by: run.by.clone(),
        job: id,
        steps: vec![step],
        live_step: step,
        last_step: step,
        environment,
        login: None,
        folder: None,
        release: None,
        images: Vec::new(),
        health: Vec::new(),
        script: None,
        links: None,
        migration: None,
        release_variables: Vec::new(),
        origin: Origin::NotKnown,
        env: Vec::new(),
    })
}

//! Which stage of a deployment a failed step is.
//!
//! A step of a Dockerfile that failed is a build, wherever it was built: in a step that publishes an image, runs tests or
//! deploys. Else, a person who names a step says what it is for, so the name comes first; then what it runs, what its
//! log says, and the name of its job. A deployment is the exception: much happens within it, and what
//! its log says of a migration, an image or a health check is more than its name.

use crate::log::StepLog;
use crate::{commands, evidence, names};
use model::failed_run::Stage;

/// What is known of the step that failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The job's name, as GitHub shows it: `caller / deploy (eu)`.
    pub job: &'a str,
    /// The step's name; `None` where no step failed.
    pub step: Option<&'a str>,
    /// What the step runs, where that is known without its log.
    pub runs: Option<&'a str>,
    pub log: Option<&'a StepLog>,
}

/// The names that the runner gives to steps of its own.
const OF_THE_RUNNER: &[&str] = &[
    "set up job",
    "set up runner",
    "complete job",
    "initialize containers",
    "stop containers",
];

/// The stage; [`Stage::Unknown`] where nothing says it.
pub fn classify(facts: &Facts<'_>) -> Stage {
    if facts.log.is_some_and(evidence::has_failed_instruction) {
        return Stage::Build;
    }
    let said = facts.log.and_then(evidence::stage);
    let runs = facts
        .runs
        .or_else(|| facts.log.and_then(|log| log.runs.as_deref()));
    let (named, default) = facts.step.map(of_step).unwrap_or_default();
    let run = runs.or(default).map(commands::stages).unwrap_or_default();
    for mentioned in [named, run] {
        if let Some(stage) = one_of(&mentioned, said) {
            return stage;
        }
    }
    let of_job = names::of_job(facts.job);
    if let Some(stage) = said.or_else(|| one_of(&of_job, None)) {
        return stage;
    }
    if runs.or(default).is_some_and(commands::prepares) {
        return Stage::Build;
    }
    Stage::Unknown
}

/// What a step's name says, or what it runs where it has no name: GitHub calls it `Run npm ci`.
fn of_step(name: &str) -> (Vec<Stage>, Option<&str>) {
    let lower = name.to_lowercase();
    if OF_THE_RUNNER.contains(&lower.as_str()) {
        return (Vec::new(), None);
    }
    let name = name.strip_prefix("Post ").unwrap_or(name);
    match name.strip_prefix("Run ") {
        // `Run tests` may be a name as well as what is run.
        Some(rest) if names::stages(rest).is_empty() || is_command(rest) => {
            (Vec::new(), Some(name))
        }
        _ => (names::stages(name), None),
    }
}

/// Whether it looks like something that a shell or a runner runs, and not like words.
fn is_command(text: &str) -> bool {
    text.contains(['@', '/', '$', '=', '|', '&', ':', '"', '\''])
        || text.contains(" -")
        || !commands::stages(text).is_empty()
}

/// Of the stages that are mentioned, the one that the log speaks of, else the first.
fn one_of(mentioned: &[Stage], said: Option<Stage>) -> Option<Stage> {
    let first = *mentioned.first()?;
    let is_wide = mentioned.contains(&Stage::Deploy);
    match said {
        // What a way back does, migrations among it, is a way back.
        _ if first == Stage::Rollback => Some(first),
        // An image is pushed at the end of the step that builds it, and pulled at the start of others.
        Some(said) if is_wide || mentioned.contains(&said) => Some(said),
        // Gradle, Maven and many a script build and test in one.
        Some(said @ (Stage::Image | Stage::Test)) if first == Stage::Build => Some(said),
        _ => Some(first),
    }
}

//! Which commit a job has, and whether its steps name it.

use crate::document::{Job, Step, Text, Workflow};
use crate::expression::inners;
use crate::value::Value;

/// Which commit a job has when its run is made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// That of its run.
    Run,
    /// The one that this input names.
    Input(String),
    /// The newest of a branch, whichever commit the run is for.
    Branch,
    /// It checks nothing out.
    Nothing,
}

/// By the first checkout of the whole repository.
fn own_source(workflow: &Workflow, job: &Job) -> Source {
    let is_whole = |step: &&Step| {
        is_checkout(step)
            && !step
                .with
                .iter()
                .any(|(name, _)| name == "path" || name == "repository")
    };
    let Some(step) = job.steps.iter().find(is_whole) else {
        return Source::Nothing;
    };
    let named = step.with.iter().find(|(name, _)| name == "ref");
    let Some(value) = named
        .map(|(_, text)| &text.value)
        .filter(|value| !value.is_empty())
    else {
        return Source::Run;
    };
    if let Some(name) = value.expression().and_then(input_of) {
        return Source::Input(name.to_owned());
    }
    if is_branch(value, workflow.is_of_tags()) {
        Source::Branch
    } else {
        Source::Run
    }
}

/// Whether a `ref` is a branch's name, whose newest commit is taken: one that stands there is, unless it reads as a
/// version or as a commit.
fn is_branch(value: &Value, of_tags: bool) -> bool {
    match (value.literal(), value.expression()) {
        (Some(name), _) => {
            let digits = name
                .trim_start_matches("refs/tags/")
                .trim_start_matches('v');
            let is_commit = name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit());
            let is_version = digits.starts_with(|c: char| c.is_ascii_digit());
            !(name.starts_with("refs/tags/") || is_version || is_commit)
        }
        (None, Some(expression)) => match expression.rsplit("||").next().map(str::trim) {
            Some("github.ref" | "github.ref_name") => !of_tags,
            Some(
                "github.head_ref" | "github.base_ref" | "github.event.repository.default_branch",
            ) => true,
            _ => false,
        },
        (None, None) => false,
    }
}

/// The input that an expression is, where a person gives one: `inputs.version || github.sha`.
pub fn input_of(expression: &str) -> Option<&str> {
    let first = expression.split("||").next()?.trim();
    let name = first.strip_prefix("github.event.").unwrap_or(first);
    let name = name.strip_prefix("inputs.")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    name.chars().all(plain).then_some(name)
}

/// Whether it gets what a job has made: that of the same run, or of another one.
pub fn gets_artifacts(job: &Job) -> bool {
    job.steps.iter().any(is_download)
}

/// Whether what it gets was made in the same run.
pub fn gets_own_artifacts(job: &Job) -> bool {
    let has_run = |step: &Step| step.with.iter().any(|(name, _)| name == "run-id");
    // Pages takes that of its run by itself.
    let is_pages = |step: &Step| {
        let uses = step.uses.as_ref();
        uses.is_some_and(|uses| uses.value.text().starts_with("actions/deploy-pages@"))
    };
    job.steps
        .iter()
        .any(|step| is_pages(step) || is_download(step) && !has_run(step))
}

fn is_download(step: &Step) -> bool {
    let uses = step.uses.as_ref().map(|uses| uses.value.text());
    uses.is_some_and(|uses| uses.starts_with("actions/download-artifact@"))
}

/// `actions/checkout`.
pub fn is_checkout(step: &Step) -> bool {
    let uses = step.uses.as_ref().map(|uses| uses.value.text());
    uses.is_some_and(|uses| uses.starts_with("actions/checkout@"))
}

/// Whether a deploying step names the commit, the tag or the number of its run.
pub fn names_its_run(workflow: &Workflow, job: &Job, steps: &[usize]) -> bool {
    let of_tags = workflow.is_of_tags();
    let is_name = |inner: &str| {
        ["github.sha", "github.run_number", "github.run_id"]
            .iter()
            .any(|name| inner.contains(name))
            || of_tags && inner.contains("github.ref_name")
    };
    let names = |text: &Text| inners(text.value.text()).any(is_name);
    let mut steps = steps.iter().filter_map(|nth| job.steps.get(*nth));
    let is_one = |step: &Step| {
        let texts = step.env.iter().chain(&step.with).map(|(_, text)| text);
        texts.chain(&step.run).any(names)
    };
    steps.any(is_one) || job.env.iter().any(|(_, text)| names(text))
}

/// What the job deploys, by the checkout that it, or one before it, makes.
pub fn source(workflow: &Workflow, job: &Job) -> Source {
    match own_source(workflow, job) {
        Source::Nothing if gets_own_artifacts(job) => {
            let before = needed(workflow, job).into_iter();
            let found = before.map(|job| own_source(workflow, job));
            found.fold(Source::Nothing, |known, one| match known {
                Source::Nothing => one,
                known => known,
            })
        }
        known => known,
    }
}

/// The jobs that come before, the nearest first.
fn needed<'w>(workflow: &'w Workflow, job: &'w Job) -> Vec<&'w Job> {
    let mut all: Vec<&Job> = vec![job];
    let mut at = 0;
    while let Some(job) = all.get(at) {
        at += 1;
        let before = workflow
            .jobs
            .iter()
            .filter(|one| job.needs.contains(&one.id));
        let new: Vec<&Job> = before
            .filter(|one| !all.iter().any(|there| there.id == one.id))
            .collect();
        all.extend(new);
    }
    all.split_off(1)
}

/// What a variable or an input of a deploying step names the release by, where that is not the run's own commit.
pub fn named_otherwise(workflow: &Workflow, job: &Job, steps: &[usize]) -> Option<Value> {
    const OTHERS: [&str; 3] = ["client_payload.", "pull_request.labels", "vars."];
    let steps = || steps.iter().filter_map(|nth| job.steps.get(*nth));
    let of_steps = steps().flat_map(|step| step.env.iter().chain(&step.with));
    let mut all = of_steps.chain(&job.env).chain(&workflow.env);
    let found = all.find(|(name, text)| {
        let name = name.to_ascii_uppercase();
        let mut parts = name.split(['_', '-']);
        let is_name = parts.any(|part| matches!(part, "TAG" | "LABEL" | "RELEASE" | "REVISION"));
        let text = text.value.text();
        is_name && inners(text).any(|inner| OTHERS.iter().any(|one| inner.contains(one)))
    });
    let described = || {
        let mut runs = job.steps.iter().filter_map(|step| step.run.as_ref());
        let found = runs.any(|run| run.value.text().contains("git describe"));
        found.then(|| Value::new("$(git describe)"))
    };
    found.map(|(_, text)| text.value.clone()).or_else(described)
}

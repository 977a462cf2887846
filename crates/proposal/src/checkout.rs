//! What a job has checked out.

use survey::{Job, Value, Workflow};

/// Which commit a job has when its run is made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
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
pub(crate) fn source(workflow: &Workflow, job: &Job) -> Source {
    let is_whole = |step: &&survey::Step| {
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
pub(crate) fn input_of(expression: &str) -> Option<&str> {
    let first = expression.split("||").next()?.trim();
    let name = first.strip_prefix("github.event.").unwrap_or(first);
    let name = name.strip_prefix("inputs.")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    name.chars().all(plain).then_some(name)
}

/// Whether it gets what a job has made: that of the same run, or of another one.
pub(crate) fn gets_artifacts(job: &Job) -> bool {
    job.steps.iter().any(is_download)
}

/// Whether what it gets was made in the same run.
pub(crate) fn gets_own_artifacts(job: &Job) -> bool {
    let has_run = |step: &survey::Step| step.with.iter().any(|(name, _)| name == "run-id");
    // Pages takes that of its run by itself.
    let is_pages = |step: &survey::Step| {
        let uses = step.uses.as_ref();
        uses.is_some_and(|uses| uses.value.text().starts_with("actions/deploy-pages@"))
    };
    job.steps
        .iter()
        .any(|step| is_pages(step) || is_download(step) && !has_run(step))
}

fn is_download(step: &survey::Step) -> bool {
    let uses = step.uses.as_ref().map(|uses| uses.value.text());
    uses.is_some_and(|uses| uses.starts_with("actions/download-artifact@"))
}

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

fn is_checkout(step: &survey::Step) -> bool {
    let uses = step.uses.as_ref().map(|uses| uses.value.text());
    uses.is_some_and(|uses| uses.starts_with("actions/checkout@"))
}

//! How the same workflow deploys an earlier release, as a person starts it.

use std::fmt;

use survey::{Fetched, Origin, Survey, Workflow};
use yaml::Node;

use crate::group::Group;
use workflow::{Source, input_of, source};

/// What a person does so that the same workflow deploys an earlier release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// What is deployed is what a branch has then, whichever commit the run is for; whether a push to one starts it.
    Revert { by_push: bool },
    /// A request starts it that names no commit.
    Unnamed,
    /// Nothing of a run is seen to say which release it deploys.
    Unseen,
    /// Its own rollback, with the inputs that ask for it.
    Rollback { file: String, inputs: Inputs },
    /// A run that is given the release in an input.
    Release { file: String, inputs: Inputs },
    /// A run on a tag: a dispatch takes no commit.
    Tag { file: String, inputs: Inputs },
    /// The run of then once more, with its commit and its inputs.
    Run { file: String, is_of_commit: bool },
    /// The same of a workflow that calls this one and is not in the repository.
    Caller,
}

/// Inputs and their values as a person gives them: ` -f version=EARLIER`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inputs(Vec<(String, String)>);

impl fmt::Display for Inputs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            write!(out, " -f {name}={}", shown(value))?;
        }
        Ok(())
    }
}

/// A value that is still to be given stands for itself.
fn shown(value: &str) -> String {
    if value == GIVEN {
        value.to_owned()
    } else {
        remote::quote(value)
    }
}

/// What a person fills in.
const GIVEN: &str = "…";

impl fmt::Display for Again {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Again::Revert { by_push: true } => {
                out.write_str("a revert on its branch, which the same workflow deploys")
            }
            Again::Revert { by_push: false } => {
                out.write_str("a revert on its branch, then a run of the same workflow")
            }
            Again::Unnamed => out.write_str(
                "a revert on its branch: the request names no commit, so an earlier run that is made again may start the newest one",
            ),
            Again::Unseen => out.write_str(
                "an earlier release started there by hand: an earlier run that is made again may start the newest one",
            ),
            Again::Rollback { file, inputs } => {
                write!(out, "its own rollback (`gh workflow run {file}{inputs}`)")
            }
            Again::Release { file, inputs } => write!(
                out,
                "the same workflow for the earlier release (`gh workflow run {file}{inputs}`)"
            ),
            Again::Tag { file, inputs } => write!(
                out,
                "the same workflow for the earlier tag (`gh workflow run {file} --ref EARLIER{inputs}`)"
            ),
            Again::Caller => out.write_str("the calling workflow's run of the earlier release, made again"),
            Again::Run { file, is_of_commit } => write!(
                out,
                "the same workflow's run of the earlier {}, made again (`gh run list -w {file}`, then `gh run rerun ID`)",
                if *is_of_commit { "commit" } else { "release" }
            ),
        }
    }
}

/// The workflow that has runs of its own: one that is called has none.
pub(crate) fn started<'s>(
    survey: &'s Survey,
    workflow: &'s Workflow,
    group: &Group<'_>,
) -> &'s Workflow {
    let caller = group.lead.by.first();
    let caller = caller.and_then(|line| survey.workflows.iter().find(|one| one.path == line.path));
    caller.unwrap_or(workflow)
}

/// How `workflow`, which is the one that has runs, deploys an earlier release.
pub(crate) fn again(survey: &Survey, workflow: &Workflow, group: &Group<'_>) -> Again {
    let file = workflow
        .path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let lead = group.lead;
    let own = survey.workflows.get(lead.job.workflow);
    let job = own.and_then(|own| Some((own, own.jobs.get(lead.job.job)?)));
    let source = job.map_or(Source::Run, |(own, job)| source(own, job));
    match &lead.origin {
        Origin::FetchedNewest(Fetched::Branch) => {
            return Again::Revert {
                by_push: workflow.is_of_branches(),
            };
        }
        Origin::FetchedNewest(Fetched::ByRequest) => return Again::Unnamed,
        Origin::FetchedNewest(Fetched::Elsewhere) | Origin::NotKnown => return Again::Unseen,
        // A setting has another value then.
        Origin::Named(name) if name.text().contains("vars.") => return Again::Unseen,
        Origin::Carried | Origin::Named(_) => {}
    }
    let is_of_commit = lead.origin == Origin::Carried;
    let of_release = (lead.release.as_ref()).and_then(|it| input_of(it.value.expression()?));
    if matches!(&workflow.triggers[..], [only] if only == "workflow_call") {
        return Again::Caller;
    }
    let is_dispatched = workflow.triggers.iter().any(|it| it == "workflow_dispatch");
    let chosen = chosen(workflow, group);
    let (true, Some(chosen)) = (is_dispatched, chosen) else {
        return Again::Run { file, is_of_commit };
    };
    let whole = |first: Option<(String, String)>| {
        let mut inputs = Inputs(first.into_iter().collect());
        for (name, value) in chosen.iter().cloned().chain(insisted(workflow)) {
            if !inputs.0.iter().any(|(there, _)| *there == name) {
                inputs.0.push((name, value));
            }
        }
        inputs
    };
    if let Some(choice) = rollback_input(workflow) {
        return Again::Rollback {
            file,
            inputs: whole(Some(choice)),
        };
    }
    let of_checkout = match &source {
        Source::Input(name) => Some(name.as_str()),
        Source::Run | Source::Branch | Source::Nothing => None,
    };
    let named = of_release.into_iter().chain(of_checkout);
    if let Some(name) = named.into_iter().find(|name| has_input(workflow, name)) {
        let first = (name.to_owned(), "EARLIER".to_owned());
        return Again::Release {
            file,
            inputs: whole(Some(first)),
        };
    }
    if workflow.is_of_tags() {
        return Again::Tag {
            file,
            inputs: whole(None),
        };
    }
    Again::Run { file, is_of_commit }
}

fn inputs(workflow: &Workflow) -> &[(yaml::Key, Node)] {
    (workflow.on.as_ref())
        .and_then(|on| on.get("workflow_dispatch")?.get("inputs"))
        .map_or(&[][..], Node::entries)
}

fn has_input(workflow: &Workflow, name: &str) -> bool {
    inputs(workflow).iter().any(|(key, _)| key.name == name)
}

/// The inputs that lead into the group's environment, with their values; `None` where inputs choose it in a way that is
/// not known.
pub(crate) fn chosen(workflow: &Workflow, group: &Group<'_>) -> Option<Vec<(String, String)>> {
    let lead = group.lead;
    let environment = lead.environment.as_ref();
    let choice =
        (lead.choice.as_ref()).map(|one| (one.expression.value.as_str(), one.value.as_str()));
    let written =
        environment.and_then(|it| Some((it.written.expression()?, it.name.value.as_str())));
    let mut found: Vec<(String, String)> = Vec::new();
    for (expression, value) in choice.into_iter().chain(written) {
        match input_of(expression).filter(|name| has_input(workflow, name)) {
            Some(name) if found.iter().any(|(there, _)| there == name) => {}
            Some(name) => found.push((name.to_owned(), value.to_owned())),
            None if expression.contains("inputs.") => return None,
            None => {}
        }
    }
    // A workflow that is called has its own names for what a person chooses.
    let value = choice
        .map(|(_, value)| value)
        .or(environment.map(|it| it.name.value.as_str()));
    if found.is_empty()
        && let Some(value) = value
    {
        let has = |input: &Node| {
            let options = input.get("options").map_or(&[][..], Node::items);
            options
                .iter()
                .filter_map(Node::text)
                .any(|one| one == value)
        };
        let named = inputs(workflow).iter().filter(|(_, input)| has(input));
        found.extend(named.map(|(key, _)| (key.name.clone(), value.to_owned())));
    }
    Some(found)
}

/// The inputs that a person must give: nothing says their values.
fn insisted(workflow: &Workflow) -> Vec<(String, String)> {
    let insisted = inputs(workflow).iter().filter(|(_, input)| {
        let required = input.get("required").and_then(Node::text);
        required == Some("true") && input.get("default").and_then(Node::text).is_none()
    });
    insisted
        .map(|(key, _)| (key.name.clone(), GIVEN.to_owned()))
        .collect()
}

/// The input by which a workflow goes back itself: `operation: rollback`, `rollback: true`.
fn rollback_input(workflow: &Workflow) -> Option<(String, String)> {
    let says = |text: &str| text.to_ascii_lowercase().replace(['-', '_', ' '], "") == "rollback";
    inputs(workflow).iter().find_map(|(key, input)| {
        let options = input.get("options").map_or(&[][..], Node::items);
        let option = options
            .iter()
            .filter_map(Node::text)
            .find(|option| says(option));
        let is_switch = input.get("type").and_then(Node::text) == Some("boolean");
        let value = option.or((is_switch && says(&key.name)).then_some("true"))?;
        Some((key.name.clone(), value.to_owned()))
    })
}

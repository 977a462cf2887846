//! The inputs of a workflow that a person gives: which one names the release, and which expressions read them.

use std::collections::{BTreeMap, BTreeSet};

use yaml::Node;

use crate::document::{Text, Workflow};
use crate::expression;

/// Inputs that a person gives: whether one for production was taken among several.
pub type Open = BTreeMap<String, bool>;

/// The inputs of a workflow that is called with a person's own.
pub fn handed(open: &Open, with: &[(String, Text)]) -> Open {
    let given = |text: &Text| {
        let mut inners = expression::inners(text.value.text());
        inners.find_map(|inner| reads(open, inner))
    };
    with.iter()
        .filter_map(|(name, text)| Some((name.clone(), given(text)?)))
        .collect()
}

/// Whether an expression reads an open input, and whether one for production was taken for it.
pub fn reads(open: &Open, inner: &str) -> Option<bool> {
    let mut read = open.iter().filter(|(name, _)| {
        ["inputs", "github.event.inputs"]
            .iter()
            .any(|context| expression::reads(inner, &format!("{context}.{name}")))
    });
    let (_, first) = read.next()?;
    Some(*first || read.any(|(_, picked)| *picked))
}

/// What a person calls the input with the release.
const INPUTS: [&str; 14] = [
    "version",
    "release",
    "tag",
    "sha",
    "commit",
    "release_version",
    "release_tag",
    "image_tag",
    "docker_tag",
    "git_sha",
    "commit_sha",
    "deploy_tag",
    "deploy_version",
    "app_version",
];

/// Whether an input's name is one that a person gives to the release.
pub fn is_input_of_release(name: &str) -> bool {
    INPUTS.contains(&name.to_ascii_lowercase().replace('-', "_").as_str())
}

/// The inputs of a workflow that is started by hand: their defaults, else the first choice that sounds like production.
/// And those that a person gives, of all that there are.
pub fn dispatched(workflow: &Workflow) -> (BTreeMap<String, String>, Open) {
    let on = workflow.on.as_ref();
    let (mut found, mut open) = (BTreeMap::new(), Open::new());
    let empty = left_empty(workflow);
    for event in ["workflow_dispatch", "workflow_call"] {
        let inputs = on.and_then(|on| on.get(event)?.get("inputs"));
        for (key, input) in inputs.map_or(&[][..], Node::entries) {
            let mut options = Vec::new();
            if let Some(node) = input.get("options") {
                node.texts(&mut options);
            }
            let production = options
                .iter()
                .find(|one| one.to_ascii_lowercase().starts_with("prod"));
            let default = input.get("default").and_then(Node::text);
            // A person chooses an environment among those of the repository, which no option names.
            let is_environment = input.get("type").and_then(Node::text) == Some("environment");
            let several = production.is_some() && options.len() > 1;
            open.insert(key.name.clone(), several || is_environment);
            let default = default.filter(|_| !empty.contains(key.name.as_str()));
            // What a person chooses for a release is not the default.
            let chosen = options.is_empty() && is_input_of_release(&key.name);
            if let Some(value) = production
                .copied()
                .or(default)
                .filter(|text| !text.is_empty() && !chosen)
            {
                found.insert(key.name.clone(), value.to_owned());
            }
        }
    }
    (found, open)
}

/// The inputs that other events than a person leave empty, and for which expressions then have another value:
/// `inputs.stage || 'production'`.
fn left_empty(workflow: &Workflow) -> BTreeSet<&str> {
    let by_person = |one: &String| matches!(one.as_str(), "workflow_dispatch" | "workflow_call");
    if workflow.triggers.iter().all(by_person) {
        return BTreeSet::new();
    }
    let filled = |inner| {
        let (first, _) = str::split_once(inner, "||")?;
        let first = first.trim();
        let first = first.strip_prefix("github.event.").unwrap_or(first);
        first.strip_prefix("inputs.")
    };
    expression::inners(&workflow.text)
        .filter_map(filled)
        .collect()
}

//! The inputs of a workflow that a person gives: which one names the release, and which expressions read them.

use std::collections::BTreeMap;

use crate::document::Text;
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

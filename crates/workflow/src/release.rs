//! How expressions and variables name a release.

use std::collections::BTreeMap;

use crate::expression;
use crate::fact::{Fact, Line};
use crate::inputs::is_input_of_release;
use crate::value::Value;

const RELEASES: [&str; 5] = [
    "github.sha",
    "github.ref_name",
    "github.run_number",
    "github.event.release.tag_name",
    "github.event.workflow_run.head_sha",
];

/// Whether an expression names the release: `github.sha`, `inputs.version || github.sha`.
pub fn is_release(expression: &str) -> bool {
    expression.split("||").any(|part| is_name(part.trim()))
}

fn is_name(context: &str) -> bool {
    let input = context.strip_prefix("github.event.").unwrap_or(context);
    let input = input.strip_prefix("inputs.");
    RELEASES.contains(&context) || input.is_some_and(is_input_of_release)
}

/// The release as variables that are handed over name it.
pub fn named_release(
    env: &BTreeMap<String, String>,
    scope: &BTreeMap<String, String>,
    at: &Line,
) -> Option<Fact<Value>> {
    let names = |value: &str| {
        (expression::inners(value).any(is_release)
            || RELEASES.iter().any(|name| value.contains(name)))
            && !value.contains("://")
            && !value.chars().any(char::is_control)
            && value.len() < 200
    };
    let whole = |value: &str| Value::new(value).expression().is_some();
    let all = || env.iter().chain(scope).filter(|(_, value)| names(value));
    // The name alone tells more than a path that it is a part of.
    let found = all()
        .find(|(_, value)| whole(value))
        .or_else(|| all().find(|(_, value)| !value.contains('/')));
    found.map(|(_, value)| Fact::new(Value::new(&**value), at.clone()))
}

/// The names of the variables that have the whole release as their value.
pub fn release_variables(
    release: Option<&Fact<Value>>,
    env: &BTreeMap<String, String>,
    scope: &BTreeMap<String, String>,
) -> Vec<String> {
    let Some(release) = release else {
        return Vec::new();
    };
    let mut names: Vec<String> = (env.iter().chain(scope))
        .filter(|(name, value)| {
            **value == release.value.text() && !name.starts_with(|c: char| c.is_ascii_digit())
        })
        .map(|(name, _)| name.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}

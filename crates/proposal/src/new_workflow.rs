//! A workflow of its own: the job that deploys, with our steps in it, for a release that a person names.

use std::sync::LazyLock;

use regex::Regex;
use survey::Workflow;
use yaml::{Key, Node};

use crate::additions::Change;
use crate::proposal::{Part, release};
use yaml_edit::patch::PatchError;
use yaml_edit::text::{indented, scalar};

/// What a person names instead of what the event of before said.
const RELEASE: &str = "${{ inputs.release }}";

/// Why the job cannot be one of its own.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bound {
    #[error("the workflow shows no name of the release that a run could be given")]
    NoRelease,
    #[error("it uses `{0}`, which only its own event, its caller or another job gives")]
    Takes(String),
    #[error("it cannot be read as lines: {0}")]
    Lines(String),
    #[error("it runs on Windows, where deploy-guard has no binary")]
    Windows,
    #[error("it builds, and no commit or tag has the name of the release")]
    NoRef,
}

pub fn text(part: &Part<'_>, change: &Change<'_>, service: &str) -> Result<String, Bound> {
    let patched = change.new.as_ref().map_err(|why| match why {
        PatchError::Windows(_) => Bound::Windows,
        why => Bound::Lines(why.to_string()),
    })?;
    let named = release(&part.group).ok_or(Bound::NoRelease)?;
    let normal = normalized(patched);
    let tree = Node::parse_foreign(&normal).map_err(|fault| Bound::Lines(fault.message))?;
    let job = job(&normal, &tree, &part.job.id).ok_or_else(|| Bound::Lines("braces".to_owned()))?;
    let env = top(&normal, &tree, "env");
    let defaults = top(&normal, &tree, "defaults");
    let body = format!("{env}{defaults}\njobs:\n{job}");
    let released = body.replace(named.text(), RELEASE);
    if let Some(found) = bound(&released) {
        return Err(Bound::Takes(found));
    }
    let released = with_ref(&released, &part.job.id, named.text())?;
    if released == body {
        return Err(Bound::NoRelease);
    }
    let group = part
        .group
        .environment()
        .unwrap_or(service)
        .replace('/', "-");
    Ok(format!(
        "# Deploys a release under guard: the job `{job}` of {path}, for a release that a person names.\n\
         # Written by `deploy-guard init --new-workflow`, yours to change.\n\
         name: deploy under guard\n\
         \n\
         on:\n\
         \x20 workflow_dispatch:\n\
         \x20   inputs:\n\
         \x20     release:\n\
         \x20       description: The release to deploy, as {path} names it\n\
         \x20       required: true\n\
         \n\
         {permissions}\
         \n\
         # Two deployments at once would each measure the other. The second waits; a running one is never\n\
         # cancelled half-way.\n\
         concurrency:\n\
         \x20 group: {group}\n\
         \x20 cancel-in-progress: false\n\
         \n\
         {released}",
        job = part.job.id,
        path = part.workflow.path,
        permissions = permissions(part.workflow, part, &normal, &tree),
        group = scalar(&format!("deploy-{group}")),
        released = released.trim_start_matches('\n'),
    ))
}

/// Each expression in one form: `${{ github.sha }}`.
fn normalized(text: &str) -> String {
    static EXPRESSION: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\$\{\{[ \t]*([^{}\n]*?)[ \t]*\}\}").ok());
    let text = text.replace("\r\n", "\n");
    match &*EXPRESSION {
        Some(expression) => expression.replace_all(&text, "$${{ $1 }}").into_owned(),
        None => text,
    }
}

/// What a run that a person starts does not have.
fn bound(text: &str) -> Option<String> {
    static BOUND: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"needs\.[\w.-]+|github\.event\.[\w.-]+|inputs\.[\w-]+|\$\{?GITHUB_(SHA|REF_NAME|REF)\b").ok()
    });
    let found = BOUND.as_ref()?.find_iter(text);
    found
        .map(|found| found.as_str())
        .find(|found| *found != "inputs.release")
        .map(str::to_owned)
}

/// A key's lines: from its own to the one before the next key of its map.
fn lines_of<'t>(
    text: &'t str,
    entries: &[(Key, Node)],
    nth: usize,
    column: usize,
) -> Option<&'t str> {
    let (key, _) = entries.get(nth)?;
    let start = text[..key.place.start].rfind('\n').map_or(0, |at| at + 1);
    if text[start..key.place.start].trim() != "" || key.place.start - start != column {
        return None;
    }
    let mut end = start;
    let mut at = start;
    for (number, line) in text[start..].split_inclusive('\n').enumerate() {
        at += line.len();
        let indented = line.len() - line.trim_start_matches(' ').len();
        let rest = line.trim();
        let is_list = indented == column && rest.starts_with("- ");
        if number > 0
            && !rest.is_empty()
            && indented <= column
            && !rest.starts_with('#')
            && !is_list
        {
            break;
        }
        if number == 0 || (!rest.is_empty() && (indented > column || is_list)) {
            end = at;
        }
    }
    text.get(start..end)
}

fn column(text: &str, key: &Key) -> usize {
    let start = text[..key.place.start].rfind('\n').map_or(0, |at| at + 1);
    key.place.start - start
}

/// A key of the file's top, with its lines.
fn top(text: &str, tree: &Node, name: &str) -> String {
    let entries = tree.entries();
    let nth = entries.iter().position(|(key, _)| key.name == name);
    nth.and_then(|nth| lines_of(text, entries, nth, 0))
        .map_or(String::new(), closed)
}

fn closed(lines: &str) -> String {
    if lines.ends_with('\n') {
        lines.to_owned()
    } else {
        format!("{lines}\n")
    }
}

/// The job's lines, without what ties it to other jobs.
fn job(text: &str, tree: &Node, id: &str) -> Option<String> {
    let jobs = tree.get("jobs")?.entries();
    let nth = jobs.iter().position(|(key, _)| key.name == id)?;
    let (key, job) = &jobs[nth];
    let outer = column(text, key);
    let mut lines = closed(lines_of(text, jobs, nth, outer)?);
    let keys = job.entries();
    for name in ["needs", "if", "concurrency"] {
        if let Some(nth) = keys.iter().position(|(key, _)| key.name == name) {
            let gone = lines_of(text, keys, nth, column(text, &keys[nth].0))?;
            lines = lines.replacen(gone, "", 1);
        }
    }
    // Below `jobs:` of our own.
    let shifted = lines
        .lines()
        .map(|line| line.get(outer.min(line.len() - line.trim_start_matches(' ').len())..));
    let lines: Option<Vec<&str>> = shifted.collect();
    Some(indented(&lines?.join("\n"), 2))
}

/// Where something is built from a checkout, it is the release's.
fn with_ref(text: &str, job: &str, named: &str) -> Result<String, Bound> {
    let is_ref = [
        "github.sha",
        "github.ref",
        "tag_name",
        "head_sha",
        "inputs.",
    ]
    .iter()
    .any(|name| named.contains(name))
        && named.starts_with("${{");
    let tree = Node::parse_foreign(text).map_err(|fault| Bound::Lines(fault.message))?;
    let steps = tree
        .get("jobs")
        .and_then(|jobs| jobs.get(job)?.get("steps"));
    let steps = steps.map_or(&[][..], Node::items);
    let builds = steps.iter().any(|step| {
        let mut all = Vec::new();
        step.texts(&mut all);
        all.iter().any(|text| text.contains("build"))
    });
    let mut new = text.to_owned();
    for step in steps.iter().rev() {
        let uses = step.get("uses").and_then(Node::text).unwrap_or_default();
        let with = step.get("with");
        let has = |name: &str| with.is_some_and(|with| with.get(name).is_some());
        // Ours has the configuration alone.
        if !uses.starts_with("actions/checkout@")
            || has("ref")
            || has("repository")
            || has("sparse-checkout")
        {
            continue;
        }
        if !is_ref {
            if builds {
                return Err(Bound::NoRef);
            }
            continue;
        }
        // Below the key's own line: a comment there is about what follows.
        let below = |name: &str| {
            let (key, _) = step.entries().iter().find(|(key, _)| key.name == name)?;
            let rest = text[key.place.start..].find('\n');
            Some((key, rest.map_or(text.len(), |at| key.place.start + at + 1)))
        };
        let first = with.and_then(|with| with.entries().first());
        let (at, lines) = if let (Some((input, _)), Some((_, end))) = (first, below("with")) {
            if input.place.start < end {
                return Err(Bound::Lines("a checkout in braces".to_owned()));
            }
            let indent = " ".repeat(column(text, input));
            (end, format!("{indent}ref: {RELEASE}\n"))
        } else if let Some((key, end)) = below("uses") {
            let indent = " ".repeat(column(text, key));
            (end, format!("{indent}with:\n{indent}  ref: {RELEASE}\n"))
        } else {
            continue;
        };
        new.insert_str(at, &lines);
    }
    Node::parse_foreign(&new).map_err(|fault| Bound::Lines(fault.message))?;
    Ok(new)
}

fn permissions(workflow: &Workflow, part: &Part<'_>, text: &str, tree: &Node) -> String {
    if workflow.permissions.is_some() {
        return top(text, tree, "permissions");
    }
    if part.job.permissions.is_some() {
        return "# The job requests the permissions that it needs.\npermissions: {}\n".to_owned();
    }
    // The job had what the repository gives by default.
    "permissions:\n  contents: read\n".to_owned()
}

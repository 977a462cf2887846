//! The part of GitHub's description that concerns us: reading all of it takes three times as long.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::testbed;
use crate::testbed::missing;

/// Where the paths begin that may be asked for. Any other is refused as GitHub refuses what it does
/// not know.
const ASKED: &[&str] = &[
    "/app",
    "/enterprises/{enterprise}/actions/",
    "/enterprises/{enterprise}/installation",
    "/installation/",
    "/orgs/{org}/actions/",
    "/orgs/{org}/installation",
    "/rate_limit",
    "/repos/{owner}/{repo}/actions/",
    "/repos/{owner}/{repo}/branches",
    "/repos/{owner}/{repo}/check-",
    "/repos/{owner}/{repo}/code-scanning/",
    "/repos/{owner}/{repo}/commits",
    "/repos/{owner}/{repo}/compare/",
    "/repos/{owner}/{repo}/deployments",
    "/repos/{owner}/{repo}/environments",
    "/repos/{owner}/{repo}/git/",
    "/repos/{owner}/{repo}/installation",
    "/repos/{owner}/{repo}/statuses",
    "/repos/{owner}/{repo}/tags",
];

/// And these alone.
const ALONE: &[&str] = &[
    "/orgs/{org}",
    "/repos/{owner}/{repo}",
    "/repos/{owner}/{repo}/issues",
    "/repos/{owner}/{repo}/pulls",
    "/user",
];

/// The description's file with nothing in it that is not asked for. It is made once.
pub(super) fn trimmed(name: &str) -> PathBuf {
    let whole = testbed()
        .join("node_modules/@octokit/openapi/generated")
        .join(name);
    let Ok(made) = fs::metadata(&whole).and_then(|file| file.modified()) else {
        missing(&whole)
    };
    // The kept paths are a part of its name, so that another list makes another file.
    let mut kept = DefaultHasher::new();
    (ASKED, ALONE).hash(&mut kept);
    let short = testbed().join(format!("{:016x}-{name}", kept.finish()));
    let current = fs::metadata(&short).and_then(|file| file.modified());
    if current.is_ok_and(|current| current >= made) {
        return short;
    }
    let text = trim(&fs::read(&whole).expect("a description"));
    replace(&short, &text);
    short
}

fn trim(text: &[u8]) -> Vec<u8> {
    let mut whole: Value = serde_json::from_slice(text).expect("a description in JSON");
    let root = whole.as_object_mut().expect("an object");
    root.remove("x-webhooks");
    if let Some(Value::Object(paths)) = root.get_mut("paths") {
        paths.retain(|path, _| {
            ALONE.contains(&path.as_str()) || ASKED.iter().any(|start| path.starts_with(start))
        });
    }
    let needed = needed(root);
    let Some(Value::Object(components)) = root.get_mut("components") else {
        panic!("a description without components")
    };
    for (kind, all) in components {
        if let Value::Object(all) = all {
            all.retain(|name, _| needed.contains(&format!("#/components/{kind}/{name}")));
        }
    }
    serde_json::to_vec(&whole).expect("JSON")
}

/// The components that the paths refer to, and those that these do.
fn needed(root: &Map<String, Value>) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    let mut open: Vec<&Value> = root.get("paths").into_iter().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref")
                    && needed.insert(reference.clone())
                {
                    let parts = reference.split('/').skip(2);
                    let found = parts.fold(root.get("components"), |at, part| at?.get(part));
                    open.extend(found);
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    needed
}

/// Another test may read it, or be about to write it too.
fn replace(path: &Path, text: &[u8]) {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&new, text).expect("the test bed can be written");
    fs::rename(&new, path).expect("the test bed can be written");
}

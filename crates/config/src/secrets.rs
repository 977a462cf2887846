//! Which variables hold secrets, as far as the file tells.
//!
//! Listed under `preflight.secrets`, named by a `*-env` key, or used in a header, a password or
//! a URL's user part. Environments count whether they are selected or not: a variable that is a
//! secret in one is a secret.

use std::collections::BTreeSet;

use crate::interpolate::names;
use crate::node::{Kind, Node};

/// Tokens that the runner itself hands over.
const ALWAYS: &[&str] = &[
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
];

/// Names of variables whose values are redacted.
pub(crate) fn variables(tree: &Node) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
    let environments = tree
        .get("environments")
        .map(Node::entries)
        .unwrap_or_default();
    for part in std::iter::once(tree).chain(environments.iter().map(|(_, part)| part)) {
        let secrets = part
            .get("preflight")
            .and_then(|section| section.get("secrets"));
        for check in secrets.map(Node::items).unwrap_or_default() {
            found.extend(check.get("name").and_then(Node::text).map(str::to_owned));
        }
    }
    walk(tree, false, &mut found);
    found
}

fn walk(node: &Node, secret: bool, found: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| walk(item, secret, found)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                if key.name.ends_with("-env") {
                    found.extend(value.text().map(str::to_owned));
                }
                walk(value, secret || holds_secret(&key.name), found);
            }
        }
        Kind::Scalar(scalar) if secret => found.extend(names(&scalar.text).map(str::to_owned)),
        Kind::Scalar(scalar) => {
            if let Some(user) = user_part(&scalar.text) {
                found.extend(names(user).map(str::to_owned));
            }
        }
    }
}

fn holds_secret(key: &str) -> bool {
    key == "headers"
        || ["password", "token", "secret"]
            .iter()
            .any(|word| key.contains(word))
}

/// What stands before `@` in `scheme://user:password@host`.
fn user_part(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split('/').next()?;
    authority.rsplit_once('@').map(|(user, _)| user)
}

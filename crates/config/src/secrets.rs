//! Which variables hold secrets, as far as the file tells.
//!
//! Listed under `preflight.secrets`, named by a `*-env` key, or used in a header, a password or
//! token by whatever name, or a URL's user part. A smoke test's variable that stands in a header
//! is used there too, and a variable that is called a password or a token is one wherever it stands. Environments count whether they are selected or not: a variable that is a
//! secret in one is a secret.

use std::collections::BTreeSet;

use crate::interpolate::names;
use crate::node::{Kind, Node};
use crate::value::template::{Piece, pieces};

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

/// Names of all variables that the file speaks of, secret or not.
pub(crate) fn used(tree: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut nodes = vec![tree];
    while let Some(node) = nodes.pop() {
        match &node.kind {
            Kind::Scalar(scalar) => found.extend(names(&scalar.text).map(str::to_owned)),
            Kind::List(items) => nodes.extend(items),
            Kind::Map(entries) => nodes.extend(entries.iter().map(|(_, value)| value)),
        }
    }
    // `${RELEASE}` is a flag, the other is filled in by a check.
    found.retain(|name| !matches!(name.as_str(), "RELEASE" | "LAST_KNOWN_GOOD"));
    found.extend(
        variables(tree)
            .into_iter()
            .filter(|name| !ALWAYS.contains(&name.as_str())),
    );
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
                let secret = secret || key.name == "headers" || holds_secret(&key.name);
                walk(value, secret, found);
            }
            in_headers(node, found);
        }
        Kind::Scalar(scalar) if secret => found.extend(names(&scalar.text).map(str::to_owned)),
        Kind::Scalar(scalar) => {
            let user = user_part(&scalar.text);
            for part in user.into_iter().chain(secret_parameters(&scalar.text)) {
                found.extend(names(part).map(str::to_owned));
            }
            // In a command, a body: its own name says what it is.
            let own = names(&scalar.text).filter(|name| holds_secret(name));
            found.extend(own.map(str::to_owned));
        }
    }
}

fn holds_secret(key: &str) -> bool {
    const WORDS: [&str; 8] = [
        "password",
        "passwd",
        "passphrase",
        "token",
        "secret",
        "apikey",
        "credential",
        "authorization",
    ];
    let key = key.to_ascii_lowercase().replace(['-', '_'], "");
    WORDS.iter().any(|word| key.contains(word))
}

/// The values of a URL's parameters that are called as secrets are.
fn secret_parameters(text: &str) -> impl Iterator<Item = &str> {
    let query = text
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('?'));
    let pairs = query.map_or("", |(_, query)| query).split('&');
    let secret = |name: &str| holds_secret(name) || matches!(name, "key" | "sig" | "signature");
    pairs
        .filter_map(|pair| pair.split_once('='))
        .filter(move |(name, _)| secret(name))
        .map(|(_, value)| value)
}

/// What stands under `variables:` beside the requests in whose headers it is used.
fn in_headers(node: &Node, found: &mut BTreeSet<String>) {
    let (Some(variables), Some(requests)) = (node.get("variables"), node.get("requests")) else {
        return;
    };
    let headers = requests.items().iter().filter_map(|one| one.get("headers"));
    let texts: Vec<&str> = headers
        .flat_map(Node::entries)
        .filter_map(|(_, value)| value.text())
        .collect();
    let used = |name: &str| {
        let is = |piece: &Piece<'_>| matches!(piece, Piece::Name(one) if *one == name);
        let mut all = texts.iter().filter_map(|text| pieces(text).ok());
        all.any(|pieces| pieces.iter().any(is))
    };
    for (key, value) in variables.entries() {
        if used(&key.name) {
            walk(value, true, found);
        }
    }
}

/// What stands before `@` in `scheme://user:password@host`.
fn user_part(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split('/').next()?;
    authority.rsplit_once('@').map(|(user, _)| user)
}

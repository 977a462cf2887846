//! What is secret, as far as the file tells.
//!
//! The value of each variable that is listed under `preflight.secrets`, named by a `*-env` key, or used
//! in a header, a password or token by any name, or a URL's user part; and every literal in such
//! a place. A smoke test's variable that is used in a header counts as used there, and a variable that
//! is called a password or a token is one wherever it is used. Environments count whether they are
//! selected or not: a variable that is a secret in one is a secret.

use std::collections::BTreeSet;

use model::{Address, Secret};

use crate::interpolate::names;
use values::template::{Piece, pieces};
use yaml::{Kind, Node};

/// Tokens that the runner itself hands over.
const ALWAYS: &[&str] = &[
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
];

/// What must not be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Names of environment variables.
    pub variables: BTreeSet<String>,
    /// Texts of the file itself.
    pub literals: BTreeSet<Secret>,
}

impl Secrets {
    fn text(&mut self, text: &str) {
        self.variables.extend(names(text).map(str::to_owned));
        // The value of a variable is known by the variable's name.
        if !text.contains("${") && !text.trim().is_empty() {
            self.literals.insert(text.trim().into());
        }
    }

    /// `Bearer TOKEN`: some servers print it without its first word.
    fn header(&mut self, text: &str) {
        self.text(text);
        if let Some((_, token)) = text.trim().rsplit_once(' ') {
            self.text(token);
        }
    }
}

/// What a tree tells.
pub fn of(tree: &Node) -> Secrets {
    let mut found = without_file();
    let environments = tree
        .get("environments")
        .map(Node::entries)
        .unwrap_or_default();
    for part in std::iter::once(tree).chain(environments.iter().map(|(_, part)| part)) {
        let secrets = part
            .get("preflight")
            .and_then(|section| section.get("secrets"));
        for check in secrets.map(Node::items).unwrap_or_default() {
            let name = check.get("name").and_then(Node::text);
            found.variables.extend(name.map(str::to_owned));
        }
    }
    walk(tree, Role::Plain, &mut found);
    found
}

/// The secrets without a file.
pub fn without_file() -> Secrets {
    Secrets {
        variables: ALWAYS.iter().map(|name| (*name).to_owned()).collect(),
        literals: BTreeSet::new(),
    }
}

/// The secrets in text that is not a tree: a command line, or a file that is not YAML, of which the
/// error shows a line.
pub fn in_words(text: &str) -> Secrets {
    let mut found = Secrets::default();
    for line in text.lines() {
        let pair = line.split_once([':', '=']);
        // `token-env: NAME` names a variable, `secrets: [` begins a list.
        let secret = |key: &str| holds_secret(key) && !key.trim_end().ends_with("-env");
        if let Some((_, value)) = pair.filter(|(key, _)| secret(key)) {
            let value = value.split(" #").next().unwrap_or(value).trim();
            if !value.starts_with(['[', '{']) {
                found.header(value.trim_matches(['"', '\'', ',', '}', ']', ' ']));
            }
        }
        let quotes = |c: char| c.is_whitespace() || "\"'<>`".contains(c);
        for word in line.split(quotes) {
            in_url(word, &mut found);
        }
    }
    found
}

/// Names of all variables that the file speaks of, secret or not.
pub fn used(tree: &Node) -> BTreeSet<String> {
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
        of(tree)
            .variables
            .into_iter()
            .filter(|name| !ALWAYS.contains(&name.as_str())),
    );
    found
}

/// What a scalar is there for.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Plain,
    Secret,
    /// Somewhere below a key that is called a secret: a variable is one, a word of ours is not.
    BelowSecret,
    Header,
}

fn walk(node: &Node, role: Role, found: &mut Secrets) {
    let below = match role {
        Role::Secret => Role::BelowSecret,
        role => role,
    };
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| walk(item, below, found)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                if key.name.ends_with("-env") {
                    found.variables.extend(value.text().map(str::to_owned));
                    continue;
                }
                let role = match below {
                    Role::Header if is_public_header(&key.name) => Role::Plain,
                    Role::Plain if key.name == "headers" => Role::Header,
                    Role::Plain | Role::BelowSecret if holds_secret(&key.name) => Role::Secret,
                    role => role,
                };
                walk(value, role, found);
            }
            in_headers(node, found);
        }
        Kind::Scalar(scalar) => match role {
            Role::Secret => found.text(&scalar.text),
            Role::Header => found.header(&scalar.text),
            Role::BelowSecret => found
                .variables
                .extend(names(&scalar.text).map(str::to_owned)),
            Role::Plain => {
                for word in scalar.text.split_whitespace() {
                    in_url(word, found);
                }
                // In a command or a body, the name itself identifies it.
                let own = names(&scalar.text).filter(|name| holds_secret(name));
                found.variables.extend(own.map(str::to_owned));
            }
        },
    }
}

/// A header that describes the request and not its sender: a literal there is not a secret.
fn is_public_header(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "cache-control",
        "connection",
        "content-type",
        "host",
        "origin",
        "range",
        "referer",
        "te",
        "upgrade",
        "user-agent",
        "via",
        "x-request-id",
    ];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || name.starts_with("accept") || name.starts_with("x-forwarded-")
}

/// What is secret in a URL: the user part, and parameters that are called as secrets are.
fn in_url(text: &str, found: &mut Secrets) {
    let Address {
        scheme: Some(scheme),
        user,
        ..
    } = Address::of(text)
    else {
        return;
    };
    if let Some(user) = user {
        let web = scheme.ends_with("http") || scheme.ends_with("https");
        match user.split_once(':') {
            Some((name, password)) => {
                found.variables.extend(names(name).map(str::to_owned));
                found.text(password);
            }
            // A token; elsewhere it is the name of a user.
            None if web => found.text(user),
            None => found.variables.extend(names(user).map(str::to_owned)),
        }
    }
    for value in secret_parameters(text) {
        found.text(value);
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

/// The values under `variables:` beside the requests whose headers use them.
fn in_headers(node: &Node, found: &mut Secrets) {
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
            walk(value, Role::Secret, found);
        }
    }
}

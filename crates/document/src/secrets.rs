//! What is secret, as far as the file tells.
//!
//! The value of each variable that is listed under `preflight.secrets`, named by a `*-env` key, or used
//! in a header, a password or token by any name, or a URL's user part; and every literal in such
//! a place: also in a command, a body or a connection string that says `password=…` or `Bearer …`,
//! everything below a key `secrets` that is no name, and the tokens and private keys that are known by
//! their form. A smoke test's variable that is used in a header counts as used there, and a variable that
//! is called a password or a token is one wherever it is used. Environments count whether they are
//! selected or not: a variable that is a secret in one is a secret.

use std::collections::BTreeSet;

use model::{Address, Secret};

use crate::clear_text::{Clear, secrets_in, tokens_in};
use crate::interpolate::{is_plain, names};
use crate::naming::{ends_as_secrets_do, holds_secret, is_shouted};
use values::is_variable;
use values::template::{Piece, pieces};
use yaml::{Kind, Node, Place};

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

/// The secrets of a text, and where each literal is in it: an error does not draw what is there.
#[derive(Clone, Debug, Default)]
pub struct Located {
    pub secrets: Secrets,
    pub places: Vec<Place>,
}

impl Located {
    pub(crate) fn text(&mut self, text: &str) {
        self.secrets
            .variables
            .extend(names(text).map(str::to_owned));
        if !names_its_source(text) && !text.trim().is_empty() {
            self.secrets.literals.insert(text.trim().into());
        }
    }

    /// `Bearer TOKEN`: some servers print it without its first word.
    fn header(&mut self, text: &str) {
        self.text(text);
        if let Some((_, token)) = text.trim().rsplit_once(' ') {
            self.text(token);
        }
    }

    /// That all of a text is secret, which is at `place`.
    fn whole(&mut self, text: &str, place: Place) {
        if !names_its_source(text) && !text.trim().is_empty() {
            self.places.push(place);
        }
    }

    /// The secrets that a text says in clear, which is at `start`.
    fn clear(&mut self, text: &str, start: usize, of: fn(&str) -> Vec<Clear>) {
        for one in of(text) {
            let secret = &text[one.place.clone()];
            if !one.is_common {
                self.text(secret);
            }
            self.whole(secret, start + one.place.start..start + one.place.end);
        }
    }

    /// That the secrets of a text which is at `start` are where they are in it.
    fn parts(&mut self, text: &str, start: usize) {
        for part in in_url(text).literals {
            let at = start + part.as_ptr().addr() - text.as_ptr().addr();
            self.whole(part, at..at + part.len());
        }
    }
}

/// Whether a secret is the value of a variable, which is known by the variable's name. An expression of a workflow may
/// have the secret itself, as in `${{ secrets.A || 'b' }}`.
pub(crate) fn names_its_source(text: &str) -> bool {
    text.contains("${") && text.split("${{").skip(1).all(is_plain)
}

/// What a tree tells; `text` is what it was read from.
pub fn of(tree: &Node, text: &str) -> Located {
    let mut found = Located {
        secrets: without_file(),
        places: Vec::new(),
    };
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
            let variables = &mut found.secrets.variables;
            variables.extend(name.map(str::to_owned));
        }
    }
    walk(tree, text, Role::Plain, &mut found);
    found.clear(text, 0, tokens_in);
    found
}

/// The secrets without a file.
pub fn without_file() -> Secrets {
    Secrets {
        variables: ALWAYS.iter().map(|name| (*name).to_owned()).collect(),
        literals: BTreeSet::new(),
    }
}

/// The secrets in text that is not a tree: a command line, or a file that is not YAML.
pub fn in_words(text: &str) -> Located {
    let mut found = Located::default();
    // How far the line is indented whose secret is the lines below it.
    let mut block = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim();
        let indent = line.len() - line.trim_start().len();
        if block.is_some_and(|above| indent > above) {
            found.text(content);
            found.whole(content, start + indent..start + indent + content.len());
        } else if !content.is_empty() {
            block = None;
            for value in Values::of(line) {
                if matches!(value.text, "|" | "|-" | "|+" | ">" | ">-" | ">+") {
                    block = Some(indent);
                    continue;
                }
                found.header(value.text);
                found.whole(
                    value.text,
                    start + value.at..start + value.at + value.text.len(),
                );
            }
        }
        let mut at = 0;
        let quotes = |c: char| c.is_whitespace() || "\"'<>`".contains(c);
        for word in line.split_inclusive(quotes) {
            let bare = word.trim_end_matches(quotes);
            let in_word = in_url(bare);
            for literal in in_word.literals {
                found.text(literal);
            }
            found.secrets.variables.extend(
                in_word
                    .variables
                    .map_or_else(Vec::new, |text| names(text).map(str::to_owned).collect()),
            );
            found.parts(bare, start + at);
            at += word.len();
        }
        start += line.len();
    }
    found.clear(text, 0, secrets_in);
    found.clear(text, 0, tokens_in);
    found
}

/// A value whose key is called as secrets are.
struct Value<'l> {
    /// Where it is in the line.
    at: usize,
    text: &'l str,
}

/// Whether the key before a sign is one of a URL's parameters.
fn is_parameter(before: &str, key: &str) -> bool {
    before
        .strip_suffix(key)
        .is_some_and(|rest| rest.ends_with(['?', '&']))
}

/// The values of a line behind `key:` and `key=`.
struct Values<'l> {
    line: &'l str,
    from: usize,
}

impl<'l> Values<'l> {
    fn of(line: &'l str) -> Self {
        Values { line, from: 0 }
    }
}

impl<'l> Iterator for Values<'l> {
    type Item = Value<'l>;

    fn next(&mut self) -> Option<Value<'l>> {
        loop {
            let sign = self.from + self.line.get(self.from..)?.find([':', '='])?;
            let (before, behind) = (&self.line[..sign], &self.line[sign + 1..]);
            self.from = sign + 1;
            let key = before.trim_end_matches([' ', '"', '\'']);
            let word = |c: char| c.is_alphanumeric() || "_-".contains(c);
            let key = &key[key.trim_end_matches(word).len()..];
            // `token-env: NAME` names a variable.
            if !holds_secret(key) || key.ends_with("-env") {
                continue;
            }
            let value = behind.trim_start_matches([' ', '\t']);
            let at = self.line.len() - value.len();
            let end = match value.chars().next() {
                // `secrets: [` begins a list.
                Some('[' | '{') => continue,
                Some(quote @ ('"' | '\'')) => {
                    value[1..].find(quote).map_or(value.len(), |end| end + 1)
                }
                _ if is_parameter(before, key) => {
                    let ends = |c: char| c.is_whitespace() || "&\"'".contains(c);
                    value.find(ends).unwrap_or(value.len())
                }
                _ if before.contains(['[', '{']) => {
                    value.find([',', '}', ']']).unwrap_or(value.len())
                }
                _ => value.find(" #").unwrap_or(value.len()),
            };
            self.from = at + end;
            let text = value[..end].trim_end();
            let bare = text.trim_start_matches(['"', '\'']);
            return Some(Value {
                at: at + text.len() - bare.len(),
                text: bare,
            });
        }
    }
}

/// Names of all variables that the file speaks of, secret or not; `secrets` are those of the same tree.
pub fn used(tree: &Node, secrets: &Secrets) -> BTreeSet<String> {
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
    let secret = secrets.variables.iter();
    found.extend(
        secret
            .filter(|name| !ALWAYS.contains(&name.as_str()))
            .cloned(),
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
    /// A list of secrets by their names, where a value does not belong.
    Secrets,
}

fn walk(node: &Node, text: &str, role: Role, found: &mut Located) {
    let below = match role {
        Role::Secret => Role::BelowSecret,
        role => role,
    };
    match &node.kind {
        Kind::List(items) => {
            for item in items {
                match (role, item.text()) {
                    (Role::Secrets, Some(entry)) => in_entry(item, entry, text, found),
                    // An entry with keys is what is asked of one secret.
                    (Role::Secrets, None) if item.items().is_empty() => {
                        walk(item, text, Role::BelowSecret, found);
                    }
                    _ => walk(item, text, below, found),
                }
            }
        }
        Kind::Map(entries) => {
            for (key, value) in entries {
                if key.name.ends_with("-env") {
                    let Some(name) = value.text() else {
                        walk(value, text, Role::Secrets, found);
                        continue;
                    };
                    found.secrets.variables.insert(name.to_owned());
                    // The secret itself, where its variable is to be named.
                    if !is_variable(name) {
                        found.text(name);
                        found.whole(name, value.place.clone());
                    }
                    continue;
                }
                let role = match below {
                    Role::Header if is_public_header(&key.name) => Role::Plain,
                    Role::Plain if key.name == "headers" => Role::Header,
                    Role::Plain if key.name == "secrets" => Role::Secrets,
                    Role::Secrets if key.name == "name" => Role::BelowSecret,
                    Role::Secrets => Role::Secret,
                    Role::Plain | Role::BelowSecret if names_secret(&key.name, value) => {
                        Role::Secret
                    }
                    role => role,
                };
                walk(value, text, role, found);
            }
            in_headers(node, text, found);
        }
        Kind::Scalar(scalar) => match role {
            Role::Secret | Role::Secrets => {
                found.text(&scalar.text);
                found.whole(&scalar.text, node.place.clone());
            }
            Role::Header => {
                found.header(&scalar.text);
                found.whole(&scalar.text, node.place.clone());
            }
            Role::BelowSecret => found
                .secrets
                .variables
                .extend(names(&scalar.text).map(str::to_owned)),
            Role::Plain => {
                for word in scalar.text.split_whitespace() {
                    let in_word = in_url(word);
                    for literal in in_word.literals {
                        found.text(literal);
                    }
                    let variables = in_word.variables.into_iter().flat_map(names);
                    found.secrets.variables.extend(variables.map(str::to_owned));
                }
                let place = node.place.clone();
                for word in text
                    .get(place.clone())
                    .unwrap_or_default()
                    .split_whitespace()
                {
                    let start = word.as_ptr().addr() - text.as_ptr().addr();
                    let bare = word.trim_start_matches(['"', '\'']);
                    let start = start + word.len() - bare.len();
                    found.parts(bare.trim_end_matches(['"', '\'']), start);
                }
                for one in secrets_in(&scalar.text).iter().filter(|one| !one.is_common) {
                    found.text(&scalar.text[one.place.clone()]);
                }
                for one in secrets_in(text.get(place.clone()).unwrap_or_default()) {
                    let at = place.start + one.place.start..place.start + one.place.end;
                    found.whole(&text[at.clone()], at);
                }
                // In a command or a body, the name itself identifies it.
                let own = names(&scalar.text).filter(|name| holds_secret(name));
                found.secrets.variables.extend(own.map(str::to_owned));
            }
        },
    }
}

/// Whether what stands behind a key is a secret by its name. A score that passes is none.
fn names_secret(key: &str, value: &Node) -> bool {
    let is_score = || {
        let number = value.text().and_then(|text| text.parse::<f64>().ok());
        ends_as_secrets_do(key) && number.is_some_and(|number| number <= 100.0)
    };
    holds_secret(key) && !is_score()
}

/// A text in a list of secrets: their names belong there, `NAME=value` does not.
fn in_entry(item: &Node, entry: &str, text: &str, found: &mut Located) {
    let name = &entry[..entry.find(['=', ':']).unwrap_or(entry.len())];
    let is_name = is_shouted(name);
    if is_name && name.len() == entry.len() {
        return;
    }
    let value = if is_name {
        entry[name.len() + 1..].trim()
    } else {
        entry
    };
    found.text(value);
    let written = text.get(item.place.clone()).unwrap_or_default();
    let start = written.rfind(value).unwrap_or_default();
    let start = if is_name { start } else { 0 };
    found.whole(value, item.place.start + start..item.place.end);
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
#[derive(Default)]
struct InUrl<'u> {
    literals: Vec<&'u str>,
    /// A text whose variables are secrets and whose words are not.
    variables: Option<&'u str>,
}

fn in_url(text: &str) -> InUrl<'_> {
    let mut found = InUrl::default();
    let Address {
        scheme: Some(scheme),
        user,
        ..
    } = Address::of(text)
    else {
        return found;
    };
    if let Some(user) = user {
        let web = scheme.ends_with("http") || scheme.ends_with("https");
        match user.split_once(':') {
            Some((name, password)) => {
                found.variables = Some(name);
                found.literals.push(password);
            }
            // A token; elsewhere it is the name of a user.
            None if web => found.literals.push(user),
            None => found.variables = Some(user),
        }
    }
    found.literals.extend(secret_parameters(text));
    found
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
fn in_headers(node: &Node, text: &str, found: &mut Located) {
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
            walk(value, text, Role::Secret, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with a sign in the place of what is secret in it.
    fn hidden(text: &str, found: Located) -> String {
        let mut out = text.to_owned();
        let mut places = found.places;
        places.sort_by_key(|place| (place.start, std::cmp::Reverse(place.end)));
        // What one place covers is not looked at again.
        let mut end = 0;
        places.retain(|place| {
            let is_free = place.start >= end;
            end = end.max(place.end);
            is_free
        });
        for place in places.into_iter().rev() {
            out.replace_range(place, "#");
        }
        out
    }

    #[test]
    fn a_secret_is_where_it_stands_in_text_that_is_not_a_tree() {
        for (text, expected) in [
            ("--password=two words", "--password=#"),
            ("a: { token: b, c: d }", "a: { token: #, c: d }"),
            (
                "\"token\": \"b\", \"c\": \"d\"",
                "\"token\": \"#\", \"c\": \"d\"",
            ),
            (
                "url: http://u:pw@h/?token=x&page=2",
                "url: http://u:#@h/?token=#&page=2",
            ),
            ("token-env: NAME", "token-env: NAME"),
            ("secrets: [{ name: A }]", "secrets: [{ name: A }]"),
            (
                "token: |\n  one\n  two\nname: c",
                "token: |\n  #\n  #\nname: c",
            ),
            ("password: ${A} # note", "password: ${A} # note"),
            ("- password: 'it is' # note", "- password: '#' # note"),
        ] {
            assert_eq!(hidden(text, in_words(text)), expected);
        }
    }

    #[test]
    fn a_secret_of_a_tree_is_where_its_value_is() {
        for (text, expected) in [
            ("password: abc\nabc: 1", "password: #\nabc: 1"),
            ("url: 'http://u:pw@h/'", "url: 'http://u:#@h/'"),
            (
                "headers: { A: \"Bearer x\", Accept: y }",
                "headers: { A: #, Accept: y }",
            ),
            ("password: ${A}", "password: ${A}"),
            ("url-env: SLACK_WEBHOOK", "url-env: SLACK_WEBHOOK"),
            ("url-env: https://h/services/T0/abc", "url-env: #"),
            ("secrets: [SSH_KEY, 'A=b c']", "secrets: [SSH_KEY, 'A=#]"),
            ("secrets: [abc]", "secrets: [#]"),
            ("secrets: { DB: abc }", "secrets: { DB: # }"),
            (
                "secrets: [{ name: DB, max-age: 90d }]",
                "secrets: [{ name: DB, max-age: 90d }]",
            ),
            ("redis: [{ pass: abc }]", "redis: [{ pass: # }]"),
            ("kayenta: { pass: 95 }", "kayenta: { pass: 95 }"),
            ("body: 'password=abc&x=1'", "body: 'password=#&x=1'"),
            (
                "run: |\n  curl -H 'Authorization: Bearer abc' h\n",
                "run: |\n  curl -H 'Authorization: Bearer #' h\n",
            ),
            ("env: { A: sk_live_0123456789 }", "env: { A: # }"),
        ] {
            let tree = Node::parse(text).unwrap();
            assert_eq!(hidden(text, of(&tree, text)), expected);
        }
    }

    /// A line as long as a file may be is read in one go.
    #[test]
    fn a_long_line_takes_no_long_time() {
        let begun = std::time::Instant::now();
        for pair in [
            "token=a&",
            "token:a,",
            "http://a:b@c ",
            "?token=a&b=c",
            "::==",
            "token: {",
        ] {
            in_words(&pair.repeat((1 << 20) / pair.len()));
        }
        let url = format!("a: http://h/?{}", "token=a&".repeat(1 << 16));
        of(&Node::parse(&url).unwrap(), &url);
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}

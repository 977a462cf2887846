//! What to write instead: where a key belongs, which one is missing, how a value is written.
//!
//! The schema of the file is asked only when something is wrong.

use std::cmp::Reverse;

use serde_json::Value;
use yaml::{ENTRY, Fault, Kind, Node, Place, UnknownKey, listed};

use crate::keys::Part;
use crate::naming::{is_count, is_shouted};

/// The fault with what to write instead, as far as that is known.
pub(crate) fn advised(fault: Fault, tree: Option<&Node>, schema: fn() -> Value) -> Fault {
    let (Some(tree), Some(place)) = (tree, &fault.place) else {
        return fault;
    };
    let Some(path) = tree.path_to(place) else {
        return fault;
    };
    let path = in_section(&path);
    if fault.hint.is_none() && path == ["version"] {
        return fault.hint("write `version: 1`");
    }
    let is_of_form = !fault.misshapen && fault.missing.is_none() && fault.unknown.is_none();
    if is_of_form && fault.hint.is_some() {
        return fault;
    }
    let schema = schema();
    let root = Part::root(&schema);
    if is_of_form {
        let form = root.at(path).and_then(Part::form);
        return match form.and_then(of_form) {
            Some(hint) => fault.hint(hint),
            None => fault,
        };
    }
    if let Some(unknown) = fault.unknown.clone() {
        return unknown_key(fault, &unknown, path, tree, root);
    }
    if let Some(missing) = fault.missing {
        return missing_key(fault, missing, path, tree, root);
    }
    if fault.hint.is_some() {
        return fault;
    }
    match shape(path, tree, place, root) {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// How a value of a form of its own is tried, where the message tells what is wrong in it.
fn of_form(form: &str) -> Option<&'static str> {
    match form {
        "Pattern" => Some(
            "a bracket or a sign that is meant itself has a `\\` before it, such as `\\(`; put the pattern in single quotes",
        ),
        "Filter" => {
            Some("try it on an answer: `curl -s URL | jq 'FILTER'`; a field is written `.name`")
        }
        _ => None,
    }
}

/// A path without the environment that it is in.
fn in_section<'p, 'k>(path: &'p [&'k str]) -> &'p [&'k str] {
    match path {
        ["environments", _, rest @ ..] => rest,
        path => path,
    }
}

fn unknown_key(
    fault: Fault,
    key: &UnknownKey,
    path: &[&str],
    tree: &Node,
    root: Part<'_>,
) -> Fault {
    if let Some(row) = renamed(key) {
        return Fault {
            message: format!("`{}` was renamed to `{}`", row.old, row.new),
            hint: Some(row.hint.to_owned()),
            ..fault
        };
    }
    if let Some((own, hint)) = other_word(key) {
        return match hint {
            Some(hint) => fault.hint(hint),
            None => fault.meant(own),
        };
    }
    if key.written.starts_with("x-") {
        return fault.hint("keys of your own, `x-…`, are allowed at the top level alone");
    }
    let parent = path.split_last().map_or(path, |(_, parent)| parent);
    if let Some((known, value)) = root.at(parent).and_then(|part| part.split(&key.written)) {
        let fault = Fault {
            message: format!("`{known}` has no colon"),
            ..fault
        };
        // Anything else may be a secret.
        let value = if is_count(value) { value } else { "…" };
        return fault.hint(format!("write `{known}: {value}`"));
    }
    if fault.near.is_some() {
        return fault;
    }
    match belongs(&key.written, parent, tree, root) {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// Where a key of this name is known, nearest to where it was written, and in a section that the file has.
fn belongs(written: &str, parent: &[&str], tree: &Node, root: Part<'_>) -> Option<String> {
    const MAX_SUGGESTIONS: usize = 3;
    let key = written.to_ascii_lowercase().replace('_', "-");
    let parent: Vec<&str> = parent.iter().copied().filter(|key| *key != ENTRY).collect();
    let rank = |path: &Vec<&str>| {
        let common = path
            .iter()
            .zip(&parent)
            .take_while(|(one, other)| one == other);
        let is_absent = path
            .first()
            .is_some_and(|section| tree.get(section).is_none());
        (Reverse(common.count()), is_absent, path.len())
    };
    let mut known = root.parents_of(&key);
    let best = known.iter().map(rank).min()?;
    known.retain(|path| rank(path) == best);
    if known.len() > MAX_SUGGESTIONS {
        return None;
    }
    if known.iter().any(Vec::is_empty) {
        return Some(format!(
            "`{key}` is not part of a section: begin it in column 1"
        ));
    }
    let places: Vec<String> = known
        .iter()
        .map(|path| format!("`{}`", path.join(".")))
        .collect();
    Some(format!("`{key}` belongs under {}", places.join(" or ")))
}

fn missing_key(fault: Fault, key: &str, path: &[&str], tree: &Node, root: Part<'_>) -> Fault {
    if path.is_empty() && key == "version" {
        let begin = "the first line is `version: 1`";
        return if tree.entries().is_empty() {
            Fault {
                message: "the file is empty".to_owned(),
                ..fault
            }
            .hint(format!("{begin}; `deploy-guard init` writes a whole file"))
        } else {
            fault.hint(format!("write `{key}: 1` in the first line"))
        };
    }
    let Some(part) = root.at(path).and_then(|part| part.below(key)) else {
        return fault;
    };
    let example = part.example();
    let about = part
        .about()
        .map(|about| format!(": {}", uncapitalized(about)));
    fault.hint(format!(
        "add `{key}: {example}`{}",
        about.unwrap_or_default()
    ))
}

fn uncapitalized(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            format!("{}{}", first.to_lowercase(), chars.as_str())
        }
        _ => text.to_owned(),
    }
}

/// How the value is written that has another shape.
fn shape(path: &[&str], tree: &Node, place: &Place, root: Part<'_>) -> Option<String> {
    let part = root.at(path)?;
    let Some(key) = path.last() else {
        return Some("a configuration begins with `version: 1`".to_owned());
    };
    if !part.is_list() && !part.is_mapping() {
        return Some("write one value".to_owned());
    }
    // What a list of names is meant to say.
    let name = tree.at(place).and_then(Node::text);
    let name = name.filter(|name| *key == ENTRY && part.required() == ["name"] && is_shouted(name));
    if let Some(name) = name {
        return Some(format!("write the entry as `- {{ name: {name} }}`"));
    }
    let example = match part.below(ENTRY).filter(|_| part.is_list()) {
        Some(entry) if !entry.is_list() && !entry.is_mapping() => {
            let found = tree.at(place).and_then(Node::text);
            found.map_or_else(|| part.example(), |text| format!("[{text}]"))
        }
        _ => part.example(),
    };
    if example == "{ … }" {
        let known: Vec<&str> = part.properties()?.keys().map(String::as_str).collect();
        return Some(format!(
            "write its keys below it, indented: {}",
            listed(&known)
        ));
    }
    Some(if *key == ENTRY {
        format!("write the entry as `- {example}`")
    } else {
        format!("write it as `{key}: {example}`")
    })
}

/// Refuses a section or a list with nothing below it, and a value that is a comment: what was meant would not be used.
pub fn blank(tree: &Node, text: &str, schema: fn() -> Value) -> Result<(), Fault> {
    fn any(node: &Node) -> bool {
        let entries = node.entries().iter().map(|(_, value)| value);
        node.is_blank() || node.items().iter().chain(entries).any(any)
    }
    if !any(tree) {
        return Ok(());
    }
    let schema = schema();
    search(tree, text, &mut Vec::new(), Part::root(&schema))
}

fn search<'n>(
    node: &'n Node,
    text: &str,
    path: &mut Vec<&'n str>,
    root: Part<'_>,
) -> Result<(), Fault> {
    // What an environment is called needs nothing below it; a version that is missing has a word of its own.
    let part = |path: &[&str]| match path {
        ["environments", _] | ["version"] => None,
        path => root.at(in_section(path)),
    };
    for item in node.items() {
        path.push(ENTRY);
        if item.is_blank() && part(path).is_some_and(|part| part.is_mapping() || part.is_list()) {
            return Err(Fault::new("an entry of the list is empty")
                .at(item.place.clone())
                .hint("write it behind the `- `, or remove the line"));
        }
        search(item, text, path, root)?;
        path.pop();
    }
    for (key, value) in node.entries() {
        path.push(&key.name);
        let part = part(path).filter(|_| value.is_blank());
        // A value that may be left out may be left out behind its colon too; a comment there was meant for one.
        let is_value = |part: &Part<'_>| part.is_value() && is_commented_out(text, key.place.end);
        if let Some(part) =
            part.filter(|part| part.is_mapping() || part.is_list() || is_value(part))
        {
            let fault = Fault::new(format!("`{}` is empty", key.name)).at(key.place.clone());
            return Err(fault.hint(if is_value(&part) {
                "a `#` begins a comment: a value that begins with one needs quotes"
            } else if part.is_list() {
                "write its entries below it, each behind `- `, or remove the line"
            } else if part.properties().is_some() && part.required().is_empty() {
                "write its keys below it, indented; `{}` takes the defaults; or remove the line"
            } else {
                "write its keys below it, indented, or remove the line"
            }));
        }
        search(value, text, path, root)?;
        path.pop();
    }
    Ok(())
}

/// Whether a comment stands behind a key in its line.
fn is_commented_out(text: &str, end: usize) -> bool {
    let line = text.get(end..).and_then(|rest| rest.lines().next());
    let behind = line.and_then(|line| line.trim_start_matches(['"', '\'']).split_once(':'));
    behind.is_some_and(|(_, behind)| behind.trim_start().starts_with('#'))
}

/// What is known of files that are not ours, by what is in them.
pub fn foreign(text: &str, tree: Option<&Node>) -> Option<Fault> {
    match tree {
        Some(tree) if matches!(tree.kind, Kind::Map(_)) => foreign_yaml(tree),
        _ => foreign_text(text),
    }
}

fn foreign_yaml(tree: &Node) -> Option<Fault> {
    let has = |node: &Node, key: &str| node.get(key).is_some();
    if [
        "healthgate",
        "preflight",
        "rollback",
        "traffic",
        "runner-check",
        "hosts",
        "deploy",
    ]
    .iter()
    .any(|key| has(tree, key))
    {
        return None;
    }
    let is_service = |node: &Node| has(node, "image") || has(node, "build");
    let services = tree.get("services").map(Node::entries).unwrap_or_default();
    let (what, key) = if has(tree, "jobs") && has(tree, "on") {
        ("a workflow of GitHub Actions", "jobs")
    } else if services.iter().any(|(_, service)| is_service(service)) {
        ("a file of Docker Compose", "services")
    } else if has(tree, "apiVersion") && has(tree, "kind") {
        ("a manifest of Kubernetes", "apiVersion")
    } else if tree.get("runs").is_some_and(|runs| has(runs, "using")) {
        ("an action of GitHub Actions", "runs")
    } else {
        return None;
    };
    let (key, _) = tree.entries().iter().find(|(one, _)| one.name == key)?;
    Some(not_ours(what).at(key.place.clone()))
}

fn foreign_text(text: &str) -> Option<Fault> {
    let blank = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with(['#', ';']);
    let line = text.lines().find(blank)?;
    let start = line.as_ptr().addr() - text.as_ptr().addr();
    let content = line.trim();
    let is_header =
        content.starts_with('[') && content.ends_with(']') && !content.contains([',', '{', ':']);
    let is_setting = content.split_once('=').is_some_and(|(key, _)| {
        let key = key.trim();
        !key.is_empty()
            && key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
    });
    let fault = if content.starts_with('<') && !content.starts_with("<<") {
        not_ours("HTML or XML")
    } else if is_header || is_setting {
        let fault = Fault::new("this is TOML, an INI file or `.env`, and not YAML");
        fault.hint("write `key: value`, with sections as keys that others are indented below")
    } else {
        return None;
    };
    Some(fault.at(start..start + line.trim_end().len()))
}

fn not_ours(what: &str) -> Fault {
    Fault::new(format!(
        "this is {what}, and not a configuration of deploy-guard"
    ))
    .hint("name the configuration with `--config FILE`; `deploy-guard init` writes one")
}

/// The new name of a key, where it is allowed; elsewhere the same word is an unknown key like any other.
fn renamed(key: &UnknownKey) -> Option<&'static Renamed> {
    RENAMED
        .iter()
        .find(|row| row.is_for(&key.written, key.known))
}

/// The same by the names alone.
pub(crate) fn new_name(old: &str, known: &[&str]) -> Option<&'static str> {
    let row = RENAMED.iter().find(|row| row.is_for(old, known));
    row.map(|row| row.new)
}

/// What other tools call it, where the key is allowed that is meant: that key, and what is to be written for it where the word
/// alone is not enough.
fn other_word(key: &UnknownKey) -> Option<(&'static str, Option<String>)> {
    let word = key.written.to_ascii_lowercase().replace('_', "-");
    let own = match word.as_str() {
        "pass" | "passwd" | "pw" | "pwd" => "password-env".to_owned(),
        "private-key" | "ssh-key" | "ssh-private-key" => "key-env".to_owned(),
        word => format!("{word}-env"),
    };
    if let Some(own) = key.known.iter().find(|known| **known == own) {
        let hint = format!(
            "it is not written in the file: set a variable in the step's `env:`, and name it with `{own}: NAME`"
        );
        return Some((own, Some(hint)));
    }
    let row = OTHER_WORDS
        .iter()
        .find(|row| row.words.contains(&word.as_str()) && key.known.contains(&row.key))?;
    Some((row.key, row.hint.map(str::to_owned)))
}

struct OtherWord {
    words: &'static [&'static str],
    key: &'static str,
    hint: Option<&'static str>,
}

const OTHER_WORDS: &[OtherWord] = &[
    OtherWord {
        words: &["value", "default", "content"],
        key: "stored",
        hint: Some(
            "the value of a secret is not written here: the step's `env:` hands it over, under the name that is here",
        ),
    },
    OtherWord {
        words: &["dsn", "connection-string", "uri", "url"],
        key: "database",
        hint: Some(
            "write its parts: `address`, `user` and `database`; `password-env: NAME` names the variable of the password",
        ),
    },
    OtherWord {
        words: &["env", "vars"],
        key: "environments",
        hint: Some(
            "the step's `env:` in the workflow sets variables; the file names them as `${NAME}`",
        ),
    },
    OtherWord {
        words: &["environment"],
        key: "environments",
        hint: Some(
            "`--environment NAME` chooses one; what differs in it is under `environments: { NAME: … }`",
        ),
    },
    OtherWord {
        words: &[
            "healthcheck",
            "healthchecks",
            "health-check",
            "health-checks",
            "health",
        ],
        key: "healthgate",
        hint: None,
    },
    OtherWord {
        words: &["retries", "attempts", "max-retries", "retry"],
        key: "failure-limit",
        hint: Some(
            "`failure-limit` is how many failures are allowed, `success-threshold` how many successes pass",
        ),
    },
    OtherWord {
        words: &["start-period", "grace-period", "delay"],
        key: "startup",
        hint: Some(
            "`startup` is the time in which failures count for nothing, `initial-delay` the time without measurements",
        ),
    },
    OtherWord {
        words: &["retries", "attempts", "max-retries", "retry"],
        key: "policy",
        hint: Some("`policy: { failure-limit: 3 }` is how many failures are allowed"),
    },
    OtherWord {
        words: &["insecure", "skip-verify", "tls-skip-verify"],
        key: "ca-file",
        hint: Some(
            "a certificate is always checked: `ca-file` names the file with your own authority",
        ),
    },
    OtherWord {
        words: &["ping", "icmp", "port"],
        key: "tcp",
        hint: Some("`tcp` checks that a port is open: `tcp: [{ name: …, address: host:port }]`"),
    },
    OtherWord {
        words: &["script", "shell", "exec", "cmd"],
        key: "command",
        hint: None,
    },
    OtherWord {
        words: &["script", "shell", "exec", "cmd", "command"],
        key: "run",
        hint: None,
    },
    OtherWord {
        words: &[
            "status-code",
            "expected-status",
            "expect-status",
            "code",
            "expect",
        ],
        key: "status",
        hint: None,
    },
    OtherWord {
        words: &["endpoint", "uri", "address", "target"],
        key: "url",
        hint: None,
    },
    OtherWord {
        words: &["path", "port", "host", "hostname", "scheme"],
        key: "url",
        hint: Some("`url` has all of it: `url: http://host:port/path`"),
    },
    OtherWord {
        words: &["host", "hostname", "ip", "ip-address", "url"],
        key: "address",
        hint: None,
    },
    OtherWord {
        words: &["password", "pass"],
        key: "key-env",
        hint: Some(
            "a host is reached with a key: `key-env: NAME` names the variable that holds it",
        ),
    },
    OtherWord {
        words: &[
            "password",
            "token",
            "auth",
            "basic-auth",
            "bearer",
            "bearer-token",
        ],
        key: "headers",
        hint: Some(
            "send it in a header: `headers: { Authorization: \"Bearer ${API_TOKEN}\" }`, with the variable in the step's `env:`",
        ),
    },
    OtherWord {
        words: &["username", "login"],
        key: "user",
        hint: None,
    },
];

/// A key that had another name before 1.0.
struct Renamed {
    old: &'static str,
    new: &'static str,
    hint: &'static str,
}

const SAME_VALUE: &str = "its value stays the same";

impl Renamed {
    fn is_for(&self, written: &str, known: &[&str]) -> bool {
        self.old == written && known.contains(&self.new)
    }
}

const RENAMED: &[Renamed] = &[
    Renamed {
        old: "decide",
        new: "entrypoints",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "drilled-within",
        new: "max-drill-age",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "forget-after",
        new: "stale-after",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "fresh",
        new: "max-evidence-age",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "intact",
        new: "verify",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "is",
        new: "level",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "leave",
        new: "drain",
        hint: "`drain: true` is what `leave: drain` was, `drain: false` what `leave: maint` was",
    },
    Renamed {
        old: "names",
        new: "metric-names",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "of-all",
        new: "total-all-releases",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "overlap",
        new: "propagation-time",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "patience",
        new: "max-queue-time",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "prove-within",
        new: "verify-timeout",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "starts-within",
        new: "max-start-time",
        hint: SAME_VALUE,
    },
    Renamed {
        old: "within",
        new: "max-age",
        hint: SAME_VALUE,
    },
];

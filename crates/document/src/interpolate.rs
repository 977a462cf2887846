//! `${NAME}` in string values, after the YAML is parsed, so that no value can change the
//! structure.

use model::Env;

use yaml::Fault;
use yaml::{Kind, Node};

/// What may replace `${NAME}`.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'a> {
    pub env: &'a Env,
    /// `${RELEASE}`.
    pub release: Option<&'a str>,
}

/// `--release`, in the configuration.
pub const RELEASE: &str = "RELEASE";

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        // `${RELEASE}` is `--release` and nothing else: two sources could disagree.
        if name == RELEASE {
            self.release
        } else {
            self.env.get(name)
        }
    }
}

/// Keys whose value is shell text. The shell expands `${NAME}` there, from its environment and
/// quoted as its author wants; to paste values into it would make them code.
const SHELL: &[&[&str]] = &[
    &["deploy", "command"],
    &["hosts-from", "command"],
    &["deploy", "after", "run"],
    &["rollback", "backup", "run"],
    &["rollback", "after", "run"],
    &["rollback", "capture", "run"],
    &["rollback", "command", "run"],
    &["rollback", "command", "current"],
    &["rollback", "command", "check"],
    &["rollback", "nginx", "test"],
    &["rollback", "nginx", "reload"],
];

/// Keys in which `${LAST_KNOWN_GOOD}` is left for the check, which knows the state.
const LATE: &[&[&str]] = &[&["preflight", "rollback-ready", "image"]];
const LAST_KNOWN_GOOD: &str = "LAST_KNOWN_GOOD";

/// Replaces every `${NAME}` below `node`. A scalar with a variable that is not set is marked.
pub fn resolve(
    node: &mut Node,
    path: &mut Vec<String>,
    variables: Variables<'_>,
) -> Result<(), Fault> {
    match &mut node.kind {
        Kind::Map(entries) => {
            for (key, value) in entries {
                path.push(key.name.clone());
                resolve(value, path, variables)?;
                path.pop();
            }
        }
        Kind::List(items) => {
            for item in items {
                resolve(item, path, variables)?;
            }
        }
        Kind::Scalar(scalar) => {
            if !scalar.text.contains('$') || SHELL.iter().any(|shell| path == shell) {
                return Ok(());
            }
            let place = node.place.clone();
            let late = LATE.iter().any(|late| path == late);
            match expand(&scalar.text, variables, late).map_err(|fault| fault.at(place))? {
                Expanded::Text(text) => {
                    if text != scalar.text {
                        scalar.written = Some(std::mem::replace(&mut scalar.text, text));
                    }
                }
                Expanded::Unset(names) => scalar.unset = names,
            }
        }
    }
    Ok(())
}

enum Expanded {
    Text(String),
    /// The variables that are not set.
    Unset(Vec<String>),
}

fn expand(text: &str, variables: Variables<'_>, late: bool) -> Result<Expanded, Fault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut unset = Vec::new();
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let end = inner.find('}').ok_or_else(|| {
                Fault::new("`${` is not closed by `}`").hint("write `$$` for a dollar sign")
            })?;
            let (name, default) = match inner[..end].split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (&inner[..end], None),
            };
            if !is_name(name) {
                return Err(Fault::new(format!("`{name}` is not a variable name"))
                    .hint("write `$$` for a dollar sign"));
            }
            if late && &inner[..end] == LAST_KNOWN_GOOD {
                out.push_str("${LAST_KNOWN_GOOD}");
                rest = &inner[end + 1..];
                continue;
            }
            // As in a shell, `:-` also replaces an empty value.
            let value = match default {
                Some(default) => Some(
                    variables
                        .get(name)
                        .filter(|v| !v.is_empty())
                        .unwrap_or(default),
                ),
                None => variables.get(name),
            };
            match value {
                Some(value) => out.push_str(value),
                None => unset.push(name.to_owned()),
            }
            rest = &inner[end + 1..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(if unset.is_empty() {
        Expanded::Text(out)
    } else {
        Expanded::Unset(unset)
    })
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The variables named in a text, `${NAME}` or `${NAME:-…}`.
pub(crate) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| {
        let name = rest.split('}').next()?;
        let name = name.split(":-").next()?;
        is_name(name).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let env = Env::from_iter([("A", "1"), ("EMPTY", ""), ("EVIL", "${A}: [x]")]);
        match expand(
            text,
            Variables {
                env: &env,
                release: Some("v2"),
            },
            false,
        ) {
            Ok(Expanded::Text(text)) => text,
            Ok(Expanded::Unset(names)) => format!("unset {}", names.join(" ")),
            Err(fault) => fault.message,
        }
    }

    #[test]
    fn variables_defaults_and_dollars() {
        let cases = [
            ("x${A}y", "x1y"),
            ("${RELEASE}", "v2"),
            ("${B:-b}", "b"),
            ("${EMPTY:-b}", "b"),
            ("${EMPTY}", ""),
            ("${B}", "unset B"),
            ("${B}${A}${C}", "unset B C"),
            ("$$${A} $x ^ok$", "$1 $x ^ok$"),
            ("${EVIL}", "${A}: [x]"),
            ("${A", "`${` is not closed by `}`"),
            ("${1}", "`1` is not a variable name"),
        ];
        for (text, expected) in cases {
            assert_eq!(expanded(text), expected, "{text}");
        }
    }
}

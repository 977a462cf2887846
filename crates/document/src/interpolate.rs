//! `${NAME}` in string values, after the YAML is parsed, so that no value can change the
//! structure.

use std::collections::BTreeSet;

use model::Env;
use yaml::{Fault, Kind, Node};

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

    /// What the shell gets that runs a text: the release, and what the text names as `${NAME}`.
    fn of_shell_text(&self, text: &str) -> Vec<(String, String)> {
        let named = text.split("${").skip(1).map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            &rest[..end.unwrap_or(rest.len())]
        });
        let wanted: BTreeSet<&str> = named
            .filter(|name| is_name(name) && !OF_LOGIN.contains(name))
            .chain([RELEASE])
            .collect();
        let set = wanted.into_iter().filter_map(|name| {
            let value = self.get(name)?;
            Some((name.to_owned(), value.to_owned()))
        });
        set.collect()
    }
}

/// The paths of keys; `*` stands for any key.
pub type Paths = &'static [&'static [&'static str]];

/// What every login has of its own: on a host, its own is meant.
const OF_LOGIN: [&str; 6] = ["HOME", "LOGNAME", "PATH", "PWD", "SHELL", "USER"];

/// Keys in which `${LAST_KNOWN_GOOD}` is left for the stage, which knows the state.
const LATE: Paths = &[
    &["preflight", "rollback-ready", "image"],
    &["healthgate", "canary", "sides", "canary"],
    &["healthgate", "canary", "sides", "stable"],
];
const LAST_KNOWN_GOOD: &str = "LAST_KNOWN_GOOD";

/// Replaces every `${NAME}` below `node`. A scalar with a variable that is not set is marked. Texts that a shell
/// runs stay as they are, and get the variables that they name: a value that is pasted into one would be code.
pub fn resolve(
    node: &mut Node,
    path: &mut Vec<String>,
    shell_texts: Paths,
    variables: Variables<'_>,
) -> Result<(), Fault> {
    match &mut node.kind {
        Kind::Map(entries) => {
            for (key, value) in entries {
                path.push(key.name.clone());
                resolve(value, path, shell_texts, variables)?;
                path.pop();
            }
        }
        Kind::List(items) => {
            for item in items {
                resolve(item, path, shell_texts, variables)?;
            }
        }
        Kind::Scalar(scalar) => {
            let is_shell = is_among(path, shell_texts);
            if is_shell {
                scalar.variables = variables.of_shell_text(&scalar.text);
            }
            if !scalar.text.contains('$') {
                return Ok(());
            }
            let place = node.place.clone();
            if let Some(fault) = expression(&scalar.text, is_shell) {
                return Err(fault.at(place));
            }
            if is_shell {
                return Ok(());
            }
            let late = is_among(path, LATE);
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

fn is_among(path: &[String], paths: Paths) -> bool {
    let is = |key: &str, wanted: &str| key == wanted || wanted == "*";
    paths.iter().any(|wanted| {
        wanted.len() == path.len()
            && path
                .iter()
                .zip(*wanted)
                .all(|(key, wanted)| is(key, wanted))
    })
}

/// `${{ … }}`, which GitHub replaces in workflow files and nowhere else.
fn expression(text: &str, is_shell: bool) -> Option<Fault> {
    let at = text.match_indices("${{").map(|(at, _)| at);
    let at = at
        .filter(|at| text[..*at].bytes().rev().take_while(|b| *b == b'$').count() % 2 == 0)
        .find(|at| !is_shell || of_workflow(&text[at + 3..]).is_some())?;
    let inside = &text[at + 3..];
    let (context, name) = of_workflow(inside).unwrap_or_default();
    let variable = match context {
        "github" => format!("GITHUB_{}", shouted(name)),
        _ if name.is_empty() => "NAME".to_owned(),
        _ => shouted(name),
    };
    let whole = if name.is_empty() {
        "${{ … }}".to_owned()
    } else {
        format!("${{{{ {context}.{name} }}}}")
    };
    let here = if is_shell {
        format!("${variable}")
    } else {
        format!("${{{variable}}}")
    };
    let fault = Fault::new(format!(
        "`{whole}` is replaced in workflows alone, and not in this file"
    ));
    Some(fault.hint(if context == "github" {
        format!("write `{here}` here: the runner sets it")
    } else {
        format!("pass it in the workflow's step as `env: {{ {variable}: \"{whole}\" }}`, and write `{here}` here")
    }))
}

/// The fault of a line that is not YAML, where its author meant a workflow to replace a part of it.
pub(crate) fn in_line(text: &str, fault: Fault) -> Fault {
    let place = fault.place.clone().unwrap_or(0..0);
    let at = text.floor_char_boundary(place.start);
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let Some((before, inside)) = line.split_once("${{") else {
        return fault;
    };
    let begin = start + before.len();
    let end = inside
        .find("}}")
        .map_or(line.len(), |end| before.len() + 3 + end + 2);
    expression(line, false).map_or(fault, |found| found.at(begin..start + end))
}

/// The context and the last name of an expression such as `secrets.API_TOKEN }}`.
fn of_workflow(inside: &str) -> Option<(&str, &str)> {
    const CONTEXTS: [&str; 11] = [
        "env", "github", "inputs", "job", "jobs", "matrix", "needs", "runner", "secrets", "steps",
        "vars",
    ];
    let (expression, _) = inside.split_once("}}")?;
    let (context, name) = expression.trim().split_once('.')?;
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let is_plain = name.chars().all(good);
    let name = name.rsplit('.').next().unwrap_or(name);
    let context = CONTEXTS.into_iter().find(|one| *one == context)?;
    Some((context, if is_plain { name } else { "" }))
}

/// Whether an expression is one name of a context alone, so that it holds no text of its own.
pub(crate) fn is_plain(inside: &str) -> bool {
    of_workflow(inside).is_some_and(|(_, name)| !name.is_empty())
}

fn shouted(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
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
                Fault::new("`${` is not closed by `}`")
                    .hint("write `${NAME}` for a variable, `$$` for a dollar sign")
            })?;
            let (name, default) = match inner[..end].split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (&inner[..end], None),
            };
            if !is_name(name) {
                return Err(not_a_name(name));
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

fn not_a_name(name: &str) -> Fault {
    let fault = Fault::new(format!("`{name}` is not a variable name"));
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let (start, rest) = name.split_at(end.unwrap_or(name.len()));
    // Whether a hyphen belongs to a name or begins a default, its author knows.
    if let Some(rest) = rest.strip_prefix('-').filter(|_| is_name(start)) {
        let whole = shouted(name);
        return fault.hint(if is_name(&whole) {
            format!("write `${{{whole}}}` for a variable of this name, `${{{start}:-{rest}}}` for a default")
        } else {
            format!("write `${{{start}:-{rest}}}` for a default")
        });
    }
    if is_name(start) && rest.starts_with([':', '?', '+', '#', '%', '/', '^', ',']) {
        return fault.hint(format!(
            "only `${{{start}}}` and `${{{start}:-default}}` are replaced here"
        ));
    }
    fault.hint("a name has letters, digits and `_`; write `$$` for a dollar sign")
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
    fn a_text_of_a_shell_stays_as_it_is_and_gets_what_it_names() {
        const SHELL: Paths = &[&["own", "run"], &["any", "*"]];
        let env = Env::from_iter([("A", "$(x)"), ("HOME", "/h"), ("RELEASE", "of the caller")]);
        let variables = Variables {
            env: &env,
            release: Some("v2\"; x"),
        };
        let mut node = Node::parse(
            "own: { run: '${A#x} $A ${HOME} ${B} ${' }\nany: { b: '${A:-1}' }\nrun: '${A}'",
        )
        .unwrap();
        resolve(&mut node, &mut Vec::new(), SHELL, variables).unwrap();
        let read = |of: Option<&Node>, key: &str| {
            let text: yaml::Verbatim = of.unwrap().get(key).unwrap().decode().unwrap();
            let all = text.variables.iter();
            let all: Vec<_> = all.map(|(name, value)| format!("{name}={value}")).collect();
            (text.text, all.join(" "))
        };
        let given = "A=$(x) RELEASE=v2\"; x".to_owned();
        assert_eq!(
            read(node.get("own"), "run"),
            ("${A#x} $A ${HOME} ${B} ${".to_owned(), given.clone())
        );
        assert_eq!(read(node.get("any"), "b"), ("${A:-1}".to_owned(), given));
        assert_eq!(node.get("run").unwrap().text(), Some("$(x)"));
        // A text that was filled in is read as it was written.
        assert_eq!(read(Some(&node), "run"), ("${A}".to_owned(), String::new()));
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

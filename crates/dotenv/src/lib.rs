//! Files of `KEY=VALUE` lines, by the rules of Docker Compose: the one reader of them.
//!
//! A value may be in quotes, and then contain line breaks; without quotes, a `#` after a space begins
//! a comment. Spaces in a value and dashes in a name are accepted, as Compose does and a shell does
//! not. Variables in a value are replaced, except in single quotes: from the environment, otherwise
//! from the lines above. If only a comment follows the sign, Compose takes it for the value.
//! Its author did not mean that, so here the key has no value.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

use std::collections::BTreeMap;

/// What is wrong with a file. The line may hold a secret: it is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    Line(usize),
    Quote(usize),
    Variable(usize),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Line(number) => write!(f, "a line is not KEY=VALUE: line {number}"),
            Error::Quote(number) => write!(f, "a quote is not closed: line {number}"),
            Error::Variable(number) => {
                write!(f, "`${{` does not begin a variable: line {number}")
            }
        }
    }
}

/// What a key is set to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    pub value: String,
    /// The value as written in the file: what replaces a variable may be a secret.
    pub written: String,
    /// A variable that the value is made of and that is not set.
    pub unset: Option<String>,
}

/// Each key with its value; a key alone has none.
pub fn read(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Setting>, Error> {
    let mut found: BTreeMap<String, Setting> = BTreeMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let (line, below) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            rest = below;
            continue;
        }
        let wrong = Error::Line(number);
        let (key, after) = rest.split_at(rest.find(['=', '\n']).unwrap_or(rest.len()));
        let key = key.trim();
        let key = match key.strip_prefix("export") {
            Some(name) if name.starts_with([' ', '\t']) => name.trim_start(),
            _ => key,
        };
        let good = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if key.is_empty() || !key.bytes().all(good) {
            return Err(wrong);
        }
        let Some(after) = after.strip_prefix('=') else {
            found.insert(key.to_owned(), Setting::default());
            rest = below;
            continue;
        };
        let begun = after.trim_start_matches([' ', '\t']);
        let line = number;
        let (value, below) = if begun.starts_with(['"', '\'']) {
            let (value, end) = quoted(begun).ok_or(Error::Quote(number))?;
            number += begun[..end].matches('\n').count();
            // A comment may follow, and nothing else that counts.
            let below = begun[end..].split_once('\n').map_or("", |(_, below)| below);
            (value, below)
        } else {
            (plain(after).to_owned(), below)
        };
        let mut setting = if begun.starts_with('\'') {
            Setting::plain(&value)
        } else {
            let lookup = |name: &str| {
                let above = || found.get(name).map(|setting| setting.value.clone());
                environment(name).or_else(above)
            };
            expand(&value, &lookup).ok_or(Error::Variable(line))?
        };
        setting.written = value;
        found.insert(key.to_owned(), setting);
        rest = below;
    }
    Ok(found)
}

/// The text in quotes, and where they end. A dollar sign that does not begin a variable is written
/// twice.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, at + c.len_utf8())),
            '\\' if quote == '\'' => match chars.next()?.1 {
                '\'' => value.push('\''),
                other => value.extend(['\\', other]),
            },
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                '$' => value.push_str("$$"),
                same @ ('"' | '\\') => value.push(same),
                other => value.extend(['\\', other]),
            },
            c => value.push(c),
        }
    }
    None
}

/// A value without quotes, up to the end of its line or a comment.
fn plain(after: &str) -> &str {
    let line = after.lines().next().unwrap_or_default();
    if line.trim_start().starts_with('#') && !line.starts_with('#') {
        return "";
    }
    let end = line.find(" #").unwrap_or(line.len());
    line[..end].trim()
}

/// How deep defaults may be nested.
const DEPTH: usize = 16;

/// A value with its variables replaced: `$A`, `${A}`, `${A:-else}`, `${A-else}`, `${A:+then}`,
/// `${A+then}`, and `${A:?why}`, which is nothing where Compose would refuse the file.
fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Option<Setting> {
    let mut setting = Setting::default();
    let end = fill(text, lookup, DEPTH, &mut setting)?;
    (end == text.len()).then_some(setting)
}

/// Replaces up to the end, or, in braces, to the one that closes them; where that is.
fn fill(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    depth: usize,
    into: &mut Setting,
) -> Option<usize> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c == '}' && depth < DEPTH {
            return Some(at);
        }
        if c != '$' {
            into.value.push(c);
            at += c.len_utf8();
            continue;
        }
        let after = &text[at + 1..];
        let braces = after.starts_with('{');
        let from = usize::from(braces);
        let name = name(&after[from..]);
        if !braces && name.is_empty() {
            into.value.push('$');
            at += 1 + usize::from(after.starts_with('$'));
            continue;
        }
        let value = lookup(name);
        if !braces {
            into.take(name, value);
            at += 1 + name.len();
            continue;
        }
        if name.is_empty() || depth == 0 {
            return None;
        }
        let rest = &after[1 + name.len()..];
        let colon = usize::from(rest.starts_with(':'));
        let how = rest[colon..].chars().next()?;
        let there = value
            .as_deref()
            .is_some_and(|value| colon == 0 || !value.is_empty());
        if how == '}' && colon == 0 {
            into.take(name, value);
            at += 1 + 1 + name.len() + 1;
            continue;
        }
        let mut other = Setting::default();
        let start = colon + how.len_utf8();
        let length = fill(&rest[start..], lookup, depth - 1, &mut other)?;
        if !rest[start + length..].starts_with('}') {
            return None;
        }
        match how {
            '-' if !there => into.append(other),
            '+' if there => into.append(other),
            '+' => {}
            '-' | '?' => into.take(name, value.filter(|_| there)),
            _ => return None,
        }
        at += 1 + 1 + name.len() + start + length + 1;
    }
    Some(at)
}

fn name(text: &str) -> &str {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return "";
    }
    &text[..text.find(|c| !good(c)).unwrap_or(text.len())]
}

impl Setting {
    pub fn plain(value: &str) -> Setting {
        Setting {
            value: value.to_owned(),
            written: value.to_owned(),
            unset: None,
        }
    }

    fn take(&mut self, name: &str, value: Option<String>) {
        match value {
            Some(value) => self.value.push_str(&value),
            None => self.unset = self.unset.take().or(Some(name.to_owned())),
        }
    }

    fn append(&mut self, other: Setting) {
        self.value.push_str(&other.value);
        self.unset = self.unset.take().or(other.unset);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plainly(text: &str) -> Result<BTreeMap<String, Setting>, Error> {
        read(text, |_| None)
    }

    #[test]
    fn values_are_read_in_all_their_forms() {
        let text = "\u{feff}A=1\r\n# note\n  export B = two words  # note\nC= # note\nD=#x\nE=a#b\n\
            F=\"one\ntwo \\\"x\\\"\" # note\nG='it # is'\nH\nfeature-x.y=on\nI=it's\nJ=\"\"\nK=a=b\nL=";
        let found = plainly(text).unwrap();
        for (key, value) in [
            ("A", "1"),
            ("B", "two words"),
            ("C", ""),
            ("D", "#x"),
            ("E", "a#b"),
            ("F", "one\ntwo \"x\""),
            ("G", "it # is"),
            ("H", ""),
            ("feature-x.y", "on"),
            ("I", "it's"),
            ("J", ""),
            ("K", "a=b"),
            ("L", ""),
        ] {
            assert_eq!(found[key].value, value, "{key}");
        }
        assert_eq!(found.len(), 13);
    }

    #[test]
    fn what_is_no_such_file_is_told_by_its_line() {
        for (text, error) in [
            ("A=1\nhunter2 hunter2\n", Error::Line(2)),
            ("A: x\n", Error::Line(1)),
            ("=x\n", Error::Line(1)),
            ("A='one\ntwo'\nB=\"x\n", Error::Quote(3)),
            ("A=${B\n", Error::Variable(1)),
            ("A=x\nB=\"one\n${}\"\n", Error::Variable(2)),
            ("A=${B*c}\n", Error::Variable(1)),
        ] {
            assert_eq!(plainly(text), Err(error), "{text}");
        }
        let deep = format!("A={}x{}\n", "${B:-".repeat(99), "}".repeat(99));
        assert_eq!(plainly(&deep), Err(Error::Variable(1)));
    }

    #[test]
    fn a_variable_that_is_not_set_leaves_nothing_and_is_named() {
        for (text, value, unset) in [
            ("A=${B}", "", Some("B")),
            ("A=x$B", "x", Some("B")),
            ("A=${B:?why}", "", Some("B")),
            ("A=${B:-x}", "x", None),
            ("A=${B:-$C}", "", Some("C")),
            ("B=\nA=${B:?why}", "", Some("B")),
        ] {
            let found = plainly(text).unwrap();
            assert_eq!(found["A"].value, value, "{text}");
            assert_eq!(found["A"].unset.as_deref(), unset, "{text}");
        }
    }

    /// What Docker Compose itself makes of a file.
    fn composes(text: &str) -> Option<serde_json::Value> {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "compose.yaml",
            "services: { a: { image: x, env_file: settings } }\n",
        );
        write("settings", text);
        let output = (testkit::Compose::V2.command())
            .args(["config", "--format", "json"])
            .current_dir(folder.path())
            .env("SHELL_HAS", "theirs")
            .env_remove("NOT_SET")
            .output()
            .unwrap();
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        Some(told["services"]["a"]["environment"].clone())
    }

    #[test]
    fn dotenv_values_are_what_docker_compose_makes_of_them() {
        let lines = [
            "A=one two",
            "A=one # two",
            "A=one#two",
            "A=one\t# two",
            "A=#one",
            "A=\"one # two\" # three",
            "A='one'# two",
            "A=\"one\"two",
            "export A=1",
            "export\tA=1",
            "  export A = 1",
            "exportA=1",
            "A=it's",
            r"A='it\'s'",
            r"A='a\\b\'",
            r#"A="a\\\"b""#,
            r"A='one\ntwo\\'",
            r#"A="one\ntwo\t\\\"\x""#,
            "A='one\ntwo'\nB=2",
            "A=1\r\nB=\"2\"\r\n",
            "\u{feff}A=1",
            "A=$SHELL_HAS-x",
            "A='${SHELL_HAS}'",
            "A=\"${SHELL_HAS} x\"",
            "SHELL_HAS=ours\nA=${SHELL_HAS}",
            "B=1\nA=${B}2",
            "A=${B}\nB=1",
            "A=${NOT_SET}",
            "A=x${NOT_SET}",
            "A=${NOT_SET:-a b} # c",
            "A=${NOT_SET:-${SHELL_HAS}}",
            "A=${NOT_SET-b-c}",
            "B=\nA=${B-c}\nC=${B:-c}",
            "A=${SHELL_HAS:+x}y${NOT_SET:+z}",
            "A=pa$NOT_SET$",
            "A=$$NOT_SET",
            r#"A="\$NOT_SET""#,
            r"A='$NOT_SET'",
            r"A=\$NOT_SET.",
            "A=$5 $ x $(y)",
            "A=${SHELL_HAS",
            "A=\"one\nB=2",
            "A B=1",
        ];
        for text in lines {
            let own = read(text, |name| {
                (name == "SHELL_HAS").then(|| "theirs".to_owned())
            });
            let Some(theirs) = composes(text) else {
                assert!(own.is_err(), "Compose refuses {text:?}: {own:?}");
                continue;
            };
            let own = own.unwrap_or_else(|error| panic!("{text:?}: {error}"));
            // What follows a quote is a value without a name to Compose.
            let named = theirs
                .as_object()
                .unwrap()
                .iter()
                .filter(|(key, _)| !key.is_empty());
            for (key, value) in named {
                // It is printed so that Compose can read it again.
                let value = value.as_str().unwrap().replace("$$", "$");
                let own = own.get(key).map(|setting| setting.value.as_str());
                assert_eq!(own, Some(value.as_str()), "{key} of {text:?}");
            }
        }
    }
}

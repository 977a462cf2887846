//! Files of `KEY=VALUE` lines, by the rules of Docker Compose: the one reader of them.
//!
//! A value may stand in quotes, and then have line breaks; without, a `#` behind a space begins a
//! comment. What a shell would refuse and Compose takes, spaces in a value and dashes in a name, is
//! taken. A variable in a value is not replaced.

use std::collections::BTreeMap;

/// What is wrong with a file. The line may hold a secret: it is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Line(usize),
    Quote(usize),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Problem::Line(number) => write!(f, "a line is not KEY=VALUE: line {number}"),
            Problem::Quote(number) => write!(f, "a quote is not closed: line {number}"),
        }
    }
}

/// Each key with its value; a key alone has none.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, String>, Problem> {
    let mut found = BTreeMap::new();
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
        let wrong = Problem::Line(number);
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
            found.insert(key.to_owned(), String::new());
            rest = below;
            continue;
        };
        let begun = after.trim_start_matches([' ', '\t']);
        let (value, below) = if begun.starts_with(['"', '\'']) {
            let (value, end) = quoted(begun).ok_or(Problem::Quote(number))?;
            number += begun[..end].matches('\n').count();
            // A comment may follow, and nothing else that counts.
            let below = begun[end..].split_once('\n').map_or("", |(_, below)| below);
            (value, below)
        } else {
            (plain(after).to_owned(), below)
        };
        found.insert(key.to_owned(), value);
        rest = below;
    }
    Ok(found)
}

/// What stands in quotes, and where they end.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, at + c.len_utf8())),
            '\\' if quote == '"' => value.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            c => value.push(c),
        }
    }
    None
}

/// A value without quotes, up to the end of its line or a comment.
fn plain(after: &str) -> &str {
    let line = after.lines().next().unwrap_or_default();
    let mut space = false;
    for (at, c) in line.char_indices() {
        if c == '#' && space {
            return line[..at].trim();
        }
        space = c.is_whitespace();
    }
    line.trim()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_read_in_all_their_forms() {
        let text = "\u{feff}A=1\r\n# note\n  export B = two words  # note\nC= # note\nD=#x\nE=a#b\n\
            F=\"one\ntwo \\\"x\\\"\" # note\nG='it # is'\nH\nfeature-x.y=on\nI=it's\nJ=\"\"\nK=a=b\nL=";
        let found = read(text).unwrap();
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
            assert_eq!(found.get(key).map(String::as_str), Some(value), "{key}");
        }
        assert_eq!(found.len(), 13);
    }

    #[test]
    fn what_is_no_such_file_is_told_by_its_line() {
        for (text, problem) in [
            ("A=1\nhunter2 hunter2\n", Problem::Line(2)),
            ("A: x\n", Problem::Line(1)),
            ("=x\n", Problem::Line(1)),
            ("A='one\ntwo'\nB=\"x\n", Problem::Quote(3)),
        ] {
            assert_eq!(read(text), Err(problem), "{text}");
        }
    }
}

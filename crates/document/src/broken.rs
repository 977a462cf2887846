//! What may be shown of a file that is not YAML: its structure.
//!
//! Without a tree, what a value is cannot be known: a line may be a part of the secret above it, and a header may be
//! called as one of our keys is. So a line shows the keys that the file knows, signs, and values that are harmless by
//! their form. Everything else is hidden.

use std::collections::BTreeSet;
use std::ops::Range;

use model::redact::MASK;
use serde_json::Value;
use values::is_variable;

use crate::interpolate::is_plain;
use crate::keys::Part;
use crate::naming::holds_secret;
use crate::secrets::{Located, Secrets, in_words};

/// As long as a sign and its letter: so little reveals nothing, and is a part of many sentences.
pub(crate) const SHORT: usize = 3;

/// What is hidden of a file that the parser refuses. Nothing of it is a secret elsewhere: the file has no other use.
pub fn in_broken(text: &str, schema: &Value) -> Located {
    let known = Part::root(schema).names();
    let mut places = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let hidden = in_line(line.trim_end(), &known).into_iter();
        places.extend(hidden.map(|place| start + place.start..start + place.end));
        start += line.len();
    }
    Located {
        secrets: Secrets {
            variables: in_words(text).secrets.variables,
            literals: BTreeSet::new(),
        },
        places,
    }
}

/// The sentence of such a file's error, without what it quotes of a hidden text.
pub(crate) fn veiled(
    sentence: &str,
    text: &str,
    hidden: &[Range<usize>],
    schema: &Value,
) -> String {
    let mut quotes = sentence.match_indices('`').map(|(at, _)| at);
    let ends = quotes.next().zip(quotes.next_back());
    // What is quoted has a backtick of its own: where it ends is not known.
    let is_of_quotes = |place: &Range<usize>| text[place.clone()].contains('`');
    if let Some((start, end)) = ends
        && hidden.iter().any(is_of_quotes)
    {
        return format!("{}{MASK}{}", &sentence[..=start], &sentence[end..]);
    }
    let known = Part::root(schema).names();
    let is_hidden = |quoted: &str| {
        let word = quoted.trim_end_matches(": …");
        let is_plain = word.len() <= SHORT || known.contains(word) || harmless(word) == word.len();
        !is_plain
            && hidden
                .iter()
                .any(|place| text[place.clone()].contains(word))
    };
    let pieces = sentence.split('`').enumerate();
    let pieces = pieces.map(|(nth, piece)| {
        if nth % 2 == 1 && is_hidden(piece) {
            MASK
        } else {
            piece
        }
    });
    pieces.collect::<Vec<_>>().join("`")
}

/// The parts of a line that are hidden.
fn in_line(line: &str, known: &BTreeSet<&str>) -> Vec<Range<usize>> {
    let is_quote = |c: char| "\"'".contains(c);
    let is_sign = |c: char| c.is_whitespace() || "-?<>|+=[]{},:#".contains(c);
    let mut found = Vec::new();
    // Where a hidden part begins that has not ended.
    let mut open: Option<usize> = None;
    let mut close = |open: &mut Option<usize>, end: usize| {
        let Some(start) = open.take() else { return };
        let hidden = line[start..end].trim_end_matches(is_sign);
        let bare = hidden.trim_start_matches(is_quote);
        if !bare.is_empty() {
            found.push(start + hidden.len() - bare.len()..start + hidden.len());
        }
    };
    // A known key without its colon is the slip itself.
    let bare = line.trim_start_matches(is_sign);
    let word = bare.split(char::is_whitespace).next().unwrap_or_default();
    let is_slip = known.contains(word) && !holds_secret(word);
    let mut at = line.len() - bare.len();
    if is_slip {
        let value = bare[word.len()..].trim_start();
        at = line.len() - value.len() + harmless(value);
    }
    while at < line.len() {
        at = line.len() - line[at..].trim_start_matches(is_sign).len();
        if let Some(key) = Key::at(line, at).filter(|key| known.contains(key.name)) {
            close(&mut open, at);
            let value = line[key.end..].trim_start();
            let names_source = value.trim_start_matches(is_quote).starts_with("${");
            let is_shown = names_source || !key.is_of_secret();
            at = line.len() - value.len() + if is_shown { harmless(value) } else { 0 };
            continue;
        }
        open.get_or_insert(at);
        let next = line[at..].find(['[', '{', ',']);
        at = next.map_or(line.len(), |next| at + next + 1);
    }
    close(&mut open, line.len());
    found
}

/// How much of the beginning of a text is a value that holds no secret by its form: a short number or a duration, a
/// truth, or the place that it comes from.
fn harmless(text: &str) -> usize {
    let quotes = ['"', '\''];
    let bare = text.trim_start_matches(quotes);
    let rest = if let Some(inside) = bare.strip_prefix("${{") {
        let end = inside.find("}}").map(|end| end + "}}".len());
        end.filter(|_| is_plain(inside)).map(|end| &inside[end..])
    } else if let Some((name, rest)) = bare
        .strip_prefix("${")
        .and_then(|bare| bare.split_once('}'))
    {
        is_variable(name).then_some(rest)
    } else {
        let end = bare.find(|c: char| !c.is_ascii_alphanumeric() && !"~.%".contains(c));
        let (word, rest) = bare.split_at(end.unwrap_or(bare.len()));
        is_count(word).then_some(rest)
    };
    let rest = rest.map(|rest| rest.trim_start_matches(quotes));
    let is_end = |rest: &&str| rest.is_empty() || rest.starts_with([' ', '\t', ',', '}', ']']);
    rest.filter(is_end)
        .map_or(0, |rest| text.len() - rest.len())
}

/// `true`, `2`, `500ms`, `1m`, `99.5%`, `64MiB`.
fn is_count(word: &str) -> bool {
    const UNITS: [&str; 14] = [
        "", "%", "ms", "s", "m", "h", "d", "B", "kB", "MB", "GB", "KiB", "MiB", "GiB",
    ];
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &word[..word.len() - unit.len()];
    let is_short = (1..=4).contains(&number.len());
    is_short && UNITS.contains(&unit) || ["true", "false", "null", "~"].contains(&word)
}

/// A key in a line.
struct Key<'l> {
    name: &'l str,
    /// Behind its colon.
    end: usize,
}

impl<'l> Key<'l> {
    fn at(line: &'l str, at: usize) -> Option<Key<'l>> {
        let bare = line[at..].trim_start_matches(['"', '\'']);
        let good = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let name = &bare[..bare.find(|c| !good(c)).unwrap_or(bare.len())];
        let behind = bare[name.len()..].trim_start_matches(['"', '\'', ' ']);
        let value = behind.strip_prefix([':', '='])?;
        Some(Key {
            name,
            end: line.len() - value.len(),
        })
    }

    /// Whether even a number is a secret behind it; other tools have a secret's value behind `value`.
    fn is_of_secret(&self) -> bool {
        holds_secret(self.name) || self.name.ends_with("-env") || self.name == "value"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::masked;

    fn schema() -> Value {
        let of = |names: &[&str]| {
            let keys = names.iter().map(|name| ((*name).to_owned(), Value::Null));
            serde_json::json!({ "properties": serde_json::Map::from_iter(keys) })
        };
        of(&[
            "version", "service", "secrets", "name", "max-age", "token", "url", "headers", "body",
            "value", "key-env", "http", "user",
        ])
    }

    /// A line as long as a file may be is read in one go.
    #[test]
    fn a_long_line_takes_no_long_time() {
        let begun = std::time::Instant::now();
        for pair in [
            "token=a,",
            "{token:a,",
            ",",
            "[",
            "url: \"a, ",
            "a: ",
            "url: 1, ",
            "- ",
            "\"",
        ] {
            in_broken(&pair.repeat((1 << 18) / pair.len()), &schema());
        }
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }

    #[test]
    fn a_broken_file_shows_its_structure_alone() {
        for (text, expected) in [
            ("service: a: b", "service: ***"),
            ("service:shop", "service:***"),
            ("version:1", "version:1"),
            ("hello", "***"),
            ("url: https://a/b: c", "url: ***"),
            ("srvice: a: b", "***"),
            ("value:hunter2", "value:***"),
            ("password=hunter2", "***"),
            ("X-Api-Key hunter2", "***"),
            ("\"X-Api-Key\" hunter2", "\"***"),
            ("my key: hunter2", "***"),
            ("user hunter2", "user ***"),
            ("status 200", "***"),
            ("- version 1", "- version 1"),
            ("token hunter2", "***"),
            ("service", "service"),
            ("url: ${{ secrets.A || 'hunter2' }} b: c", "url: ***"),
            ("url: ${{ secrets.A }} b: c", "url: ${{ secrets.A }} ***"),
            (
                "headers: { user: hunter2, X: hunter2 }",
                "headers: { user: *** }",
            ),
            ("- name: a\n url: 'b", "- name: ***\n url: '***"),
            ("secrets: [DB, hunter2", "secrets: [***"),
            ("secrets: { DB: a, name: c }", "secrets: { ***, name: *** }"),
            ("token: 1234", "token: ***"),
            ("max-age: 90d # why", "max-age: 90d # ***"),
            ("max-age: 1m 30s: b", "max-age: 1m ***"),
            ("max-age: 12345", "max-age: ***"),
            (
                "http: [{ max-age: 500ms, url: a }",
                "http: [{ max-age: 500ms, url: *** }",
            ),
            (
                "body: |\n  url: a\n\n  b: c",
                "body: |\n  url: ***\n\n  ***",
            ),
            ("token: #hunter2", "token: #***"),
            ("token: *hunter2", "token: ***"),
            ("token: a${B}: c", "token: ***"),
            ("token: ${B} # c", "token: ${B} # ***"),
            ("token: ${B:-hunter2}", "token: ***}"),
            ("token: '${{ secrets.B }}'", "token: '${{ secrets.B }}'"),
            ("url: ${{ hunter2 }}", "url: *** }}"),
            ("key-env: SSH_KEY", "key-env: ***"),
            ("url: http://u:pw@h: c", "url: http:***"),
            ("<<: *hunter2", "<<: ***"),
            ("---", "---"),
        ] {
            let places = in_broken(text, &schema()).places;
            assert_eq!(masked(text, &places, &(0..0)).0, expected, "{text}");
        }
    }

    #[test]
    fn an_error_quotes_nothing_that_is_hidden() {
        let text = "service: a\n  hunter2: x: y\n";
        let places = in_broken(text, &schema()).places;
        let shown = |sentence: &str| veiled(sentence, text, &places, &schema());
        assert_eq!(
            shown("put the value of `hunter2` in quotes"),
            "put the value of `***` in quotes"
        );
        assert_eq!(shown("write `hunter2: …`"), "write `***`");
        assert_eq!(
            shown("a second `: ` below `service`"),
            "a second `: ` below `service`"
        );
    }
}

//! The secrets of a file that is not YAML, of which the error shows a line.
//!
//! Without a tree, what a value is cannot be known. Its key tells: a value is shown where the file knows
//! the key and no secret is expected there. Everything else is hidden, to the end of its line or its quote.

use std::collections::BTreeSet;

use serde_json::Value;
use values::is_variable;

use crate::keys::Part;
use crate::naming::{holds_secret, is_place, is_shouted};
use crate::secrets::{Located, in_words};

/// The secrets in a file that the parser refuses.
pub fn in_broken(text: &str, schema: &Value) -> Located {
    let root = Part::root(schema);
    let mut reader = Reader {
        known: root.names(),
        of_secrets: root.names_below("secrets"),
        parents: Vec::new(),
        rest: Rest::Nothing,
        is_last_hidden: false,
        found: in_words(text),
    };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        reader.line(line.trim_end_matches(['\n', '\r']), start);
        start += line.len();
    }
    reader.found
}

/// What the values below a key are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Below {
    Known,
    /// Nobody reads the key.
    Unknown,
    /// It is called as a secret is.
    Secret,
    /// The list of secrets by their names.
    Secrets,
}

/// What of a value goes on in the next line.
#[derive(Clone, Copy)]
enum Rest {
    Nothing,
    Quoted(char),
    /// The lines that are indented more than this.
    Block(usize),
    /// The same, up to a key that is known.
    Plain(usize),
}

struct Reader<'f> {
    known: BTreeSet<&'f str>,
    of_secrets: BTreeSet<&'f str>,
    /// The keys that are open, with the column of each.
    parents: Vec<(usize, Below)>,
    rest: Rest,
    /// Whether the last value was hidden: a line without a key goes on with it.
    is_last_hidden: bool,
    found: Located,
}

/// A key in a line.
struct Key<'l> {
    name: &'l str,
    /// Where it begins, without its quote.
    at: usize,
    /// Where its value begins.
    value: usize,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, start: usize) {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        let mut from = indent;
        match self.rest {
            Rest::Block(above) if indent > above || content.is_empty() => {
                return self.hide(line, indent..line.len(), start, true);
            }
            Rest::Quoted(quote) => {
                let end = line.find(quote).map(|at| at + quote.len_utf8());
                self.hide(line, indent..end.unwrap_or(line.len()), start, true);
                match end {
                    Some(end) => from = end,
                    None => return,
                }
            }
            Rest::Plain(above) if indent > above || content.is_empty() => {
                let is_known = |name: &str| self.known.contains(name) && name != "value";
                let key = Key::at(line, indent).map(|key| key.name);
                if key.is_none_or(|name| !is_known(name)) {
                    // The error may name what looks like a key.
                    self.found.text(key.unwrap_or_default());
                    return self.hide(line, indent..line.len(), start, true);
                }
            }
            Rest::Nothing | Rest::Block(_) | Rest::Plain(_) => {}
        }
        self.rest = Rest::Nothing;
        if content.is_empty() || content.starts_with('#') {
            return;
        }
        let is_entry = content.starts_with('-');
        let is_by_tab = line[..indent].contains('\t');
        // A list may begin in the column of its key. How far a tab indents is not known.
        let ends = |column: usize| !is_by_tab && (column > indent || column == indent && !is_entry);
        while self.parents.last().is_some_and(|(column, _)| ends(*column)) {
            self.parents.pop();
        }
        self.pairs(line, from, indent, start);
    }

    fn below(&self) -> Below {
        self.parents
            .last()
            .map_or(Below::Known, |(_, below)| *below)
    }

    /// The keys of a line with their values, from `from`.
    fn pairs(&mut self, line: &str, mut from: usize, indent: usize, start: usize) {
        let mut is_first = true;
        let bracket = line.find(['[', '{']).unwrap_or(line.len());
        while from < line.len() {
            let Some(key) = Key::first(line, from, |_| true) else {
                return self.without_key(line, from, start, is_first);
            };
            is_first = false;
            let below = self.of(key.name);
            let within = self.below();
            if within == Below::Secrets
                && below != Below::Known
                && !is_plain(key.name)
                && !self.known.contains(key.name)
            {
                self.hide(line, key.at..key.at + key.name.len(), start, true);
            }
            let behind = &line[key.value..];
            let value = behind.trim_start();
            let at = line.len() - value.len();
            if value.is_empty() || value.starts_with(['[', '{', '#']) {
                let column = if key.at > bracket { indent } else { key.at };
                self.parents.push((column, below));
                self.is_last_hidden = false;
                from = at;
                if value.starts_with('#') {
                    if matches!(below, Below::Unknown | Below::Secret) {
                        self.hide(line, at..line.len(), start, true);
                    }
                    return;
                }
                continue;
            }
            let is_hidden = match below {
                Below::Known if within == Below::Secrets && key.name == "name" => {
                    !is_shouted(first_word(value))
                }
                Below::Known => false,
                Below::Secret if key.name.ends_with("-env") => !is_variable(first_word(value)),
                _ => !is_one_variable(value),
            };
            let ends = |name: &str| !is_hidden || self.known.contains(name);
            let end = value_end(line, at, at > bracket, ends);
            self.is_last_hidden = is_hidden;
            if is_hidden {
                let is_secret = below != Below::Unknown || within != Below::Known;
                self.hide(line, at..end, start, is_secret);
                self.goes_on(&line[at..end], indent);
            }
            from = end;
        }
    }

    /// What a key's value is.
    fn of(&self, name: &str) -> Below {
        let is_in_secrets = self.below() == Below::Secrets;
        if name == "secrets" {
            Below::Secrets
        } else if is_in_secrets && self.of_secrets.contains(name) {
            Below::Known
        } else if is_in_secrets || name.ends_with("-env") || holds_secret(name) && !is_place(name) {
            Below::Secret
        // What other tools call a secret's value.
        } else if self.known.contains(name) && name != "value" || name == "<<" {
            Below::Known
        } else {
            Below::Unknown
        }
    }

    /// A text without a key: an entry of a list, or what goes on with the value above.
    fn without_key(&mut self, line: &str, from: usize, start: usize, is_first: bool) {
        let text = line[from..].trim_matches(|c: char| c.is_whitespace() || "[]{},".contains(c));
        let entry = text.trim_start_matches("- ").trim();
        if entry.is_empty() || entry == "-" || entry.starts_with('#') {
            return;
        }
        let below = self.below();
        let is_entry =
            entry.len() < text.len() || !is_first || line[from..].trim_start().starts_with('[');
        let is_hidden = match below {
            Below::Known => !is_entry && self.is_last_hidden,
            Below::Secrets => entry
                .split(',')
                .any(|name| !is_shouted(name.trim().trim_matches(['"', '\'']))),
            Below::Unknown | Below::Secret => true,
        };
        if is_hidden {
            let at = entry.as_ptr().addr() - line.as_ptr().addr();
            self.hide(line, at..at + entry.len(), start, below != Below::Unknown);
            self.goes_on(entry, line.len() - line.trim_start().len());
        }
    }

    /// Notes what of a hidden value the next lines have.
    fn goes_on(&mut self, value: &str, indent: usize) {
        let quote = value.chars().next().filter(|c| "\"'".contains(*c));
        self.rest = match quote {
            Some(quote) if !value[1..].contains(quote) => Rest::Quoted(quote),
            None if value.starts_with(['|', '>']) => Rest::Block(indent),
            Some(_) => Rest::Nothing,
            None => Rest::Plain(indent),
        };
    }

    fn hide(&mut self, line: &str, at: std::ops::Range<usize>, start: usize, is_secret: bool) {
        let text = line[at.clone()].trim_end();
        let bare = text.trim_start_matches(['"', '\'']);
        if bare.trim().is_empty() || ["|", "|-", "|+", ">", ">-", ">+"].contains(&bare) {
            return;
        }
        if is_secret {
            self.found.text(bare.trim_end_matches(['"', '\'']));
        }
        let begin = start + at.start + text.len() - bare.len();
        self.found.places.push(begin..start + at.start + text.len());
    }
}

impl<'l> Key<'l> {
    /// The first key from `from` that begins the text, an entry of a list or a pair in brackets.
    fn first(line: &'l str, from: usize, fits: impl Fn(&str) -> bool) -> Option<Key<'l>> {
        let mut at = from;
        let mut may_begin = true;
        while let Some(c) = line[at..].chars().next() {
            if may_begin && let Some(key) = Key::at(line, at).filter(|key| fits(key.name)) {
                return Some(key);
            }
            may_begin = "{[,-?".contains(c) || c.is_whitespace() && may_begin;
            at += c.len_utf8();
        }
        None
    }

    fn at(line: &'l str, at: usize) -> Option<Key<'l>> {
        let bare = line[at..].trim_start_matches(['"', '\'']);
        let begin = line.len() - bare.len();
        let good = |c: char| c.is_alphanumeric() || "_-.<".contains(c);
        let name = &bare[..bare.find(|c| !good(c)).unwrap_or(bare.len())];
        if name.is_empty() || name.starts_with('-') {
            return None;
        }
        let behind = bare[name.len()..].trim_start_matches(['"', '\'', ' ']);
        let value = behind.strip_prefix([':', '='])?;
        // `https://…` is a value.
        (!value.starts_with("//")).then(|| Key {
            name,
            at: begin,
            value: line.len() - value.len(),
        })
    }
}

/// Where a value ends that begins at `at`: in brackets, before the next key that may end it.
fn value_end(line: &str, at: usize, in_brackets: bool, ends: impl Fn(&str) -> bool) -> usize {
    let value = &line[at..];
    let quote = value.chars().next().filter(|c| "\"'".contains(*c));
    let from = match quote.and_then(|quote| value[1..].find(quote)) {
        Some(end) => at + end + 2,
        None => at,
    };
    let comma = |from: usize| line[from..].find(',').map(|found| from + found);
    let mut next = comma(from).filter(|_| in_brackets);
    while let Some(found) = next {
        match Key::first(line, found + 1, |_| true) {
            Some(key) if ends(key.name) => return found,
            Some(key) => next = comma(key.value),
            None => break,
        }
    }
    if in_brackets {
        at + value
            .trim_end_matches(|c: char| c.is_whitespace() || "]},".contains(c))
            .len()
    } else {
        line.len()
    }
}

/// Whether a name is not itself the secret, where a list of names belongs.
fn is_plain(name: &str) -> bool {
    is_shouted(name)
        || holds_secret(name)
        || ["value", "default", "key", "env", "from"].contains(&name)
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| c.is_whitespace() || ",}]".contains(c));
    text[..end.unwrap_or(text.len())].trim_matches(['"', '\''])
}

/// `${NAME}` alone: its value is in the variable.
fn is_one_variable(value: &str) -> bool {
    let quotes = ['"', '\''];
    let Some(inside) = value.trim_start_matches(quotes).strip_prefix("${") else {
        return false;
    };
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let (name, rest) = inside.split_at(end.unwrap_or(inside.len()));
    let Some(rest) = rest.strip_prefix('}') else {
        return false;
    };
    let rest = rest.trim_start_matches(quotes).trim_start();
    is_variable(name) && (rest.is_empty() || rest.starts_with(['#', ',', '}', ']']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::masked;

    fn shown(text: &str) -> String {
        let secrets = serde_json::json!({ "type": "array", "items": { "type": "object", "properties": {
            "name": {}, "max-age": {}, "token": {}
        } } });
        let gate = serde_json::json!({ "type": "object", "properties": {
            "url": {}, "headers": {}, "body": {}, "value": {}, "key-env": {}
        } });
        let schema = serde_json::json!({ "type": "object", "properties": {
            "version": {}, "service": {}, "preflight": { "type": "object", "properties": { "secrets": secrets } }, "healthgate": gate
        } });
        masked(text, &in_broken(text, &schema).places, &(0..0)).0
    }

    /// A line as long as a file may be is read in one go.
    #[test]
    fn a_long_line_takes_no_long_time() {
        let begun = std::time::Instant::now();
        let schema = serde_json::json!({ "properties": { "url": {} } });
        for pair in [
            "token=a,",
            "{token:a,",
            ",",
            "[",
            "url: \"a, ",
            "a: ",
            "password: a,b: c,",
            "- ",
        ] {
            in_broken(&pair.repeat((1 << 18) / pair.len()), &schema);
        }
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }

    #[test]
    fn a_value_of_a_broken_file_is_shown_where_its_key_is_known() {
        for (text, expected) in [
            ("service: a: b", "service: a: b"),
            ("service:shop", "service:shop"),
            ("hello", "hello"),
            ("url: https://a/b: c", "url: https://a/b: c"),
            ("srvice: a: b", "srvice: ***"),
            ("value:hunter2", "value:***"),
            ("password=hunter2", "password=***"),
            (
                "secrets:\n  - name: DB\n    value: a: b",
                "secrets:\n  - name: DB\n    value: ***",
            ),
            (
                "secrets:\n- name: DB\n  max-age: a: b",
                "secrets:\n- name: DB\n  max-age: a: b",
            ),
            (
                "secrets:\n- name: DB\n url: a: b",
                "secrets:\n- name: DB\n url: ***",
            ),
            ("secrets:\n  - DB=a: b", "secrets:\n  - DB=***"),
            ("secrets:\n  - hunter2: b", "secrets:\n  - ***: ***"),
            (
                "secrets:\n  - DB_PASSWORD\n  - hunter2\n  b: c: d",
                "secrets:\n  - DB_PASSWORD\n  - ***\n  ***: ***",
            ),
            ("secrets: [DB, EF", "secrets: [DB, EF"),
            ("secrets: [DB, hunter2", "secrets: [***"),
            (
                "secrets: [{ name: DB, value: a,b: c }",
                "secrets: [{ name: DB, value: *** }",
            ),
            ("secrets: { DB: a, name: c", "secrets: { DB: ***, name: ***"),
            (
                "secrets:\n  DB: \"a\n  b\nc\" d: e",
                "secrets:\n  DB: \"***\n  ***\n*** d: ***",
            ),
            (
                "password: 'it\n is' # it\nservice: a: b",
                "password: '***\n *** # it\nservice: a: b",
            ),
            (
                "password: |\n  url: a\n\n  b: c: d\nservice: a",
                "password: |\n  ***\n\n  ***\nservice: a",
            ),
            (
                "password: a\n  b c\nservice: x: y",
                "password: ***\n  ***\nservice: x: y",
            ),
            ("a:\n  password:\n\thunter2", "a:\n  password:\n\t***"),
            ("password: #hunter2", "password: ***"),
            ("password: a\n  hunter2: b", "password: ***\n  ***"),
            ("secrets:\n  - name: a: b", "secrets:\n  - name: ***"),
            ("credentials:\n  user: a: b", "credentials:\n  user: ***"),
            ("token: *hunter2", "token: ***"),
            ("token: a${B}: c", "token: ***"),
            ("token: ${B} # c: d", "token: ${B} # c: d"),
            ("key-env: SSH_KEY", "key-env: SSH_KEY"),
            ("key-env: abc-def", "key-env: ***"),
            ("headers: { X-Key: a, b: c", "headers: { X-Key: ***"),
            ("headers:\n  X-Key: a: b", "headers:\n  X-Key: ***"),
            ("body: 'password=abc&x=1", "body: 'password=***"),
            ("url: http://u:pw@h: c", "url: http://u:***@h: c"),
            (
                "{ \"service\": \"a\", \"pass\": \"b\" \"c\" }",
                "{ \"service\": \"a\", \"pass\": \"*** }",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}

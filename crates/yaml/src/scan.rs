//! What the parser refuses, in words of the person who wrote it.
//!
//! The parser tells where it gave up. What is wrong is often on the line above, or at the quote or
//! bracket that was opened.

use crate::fault::Fault;
use crate::place::Place;

/// The fault of a text that the parser gave up at `at`, with its own reason.
pub(crate) fn fault(reason: &str, text: &str, at: usize) -> Fault {
    let at = text.floor_char_boundary(at);
    let line = Line::at(text, at);
    let known = conflict(text)
        .or_else(|| tab(&line))
        .or_else(|| recognize_fault(reason, text, at, &line));
    if known.is_none() && reason.contains("recursion limit") {
        return not_yaml("brackets are nested too deeply", at..at)
            .hint("no section is that deep: close a bracket, or see whether it is the right file");
    }
    known.unwrap_or_else(|| not_yaml(reason, at..at))
}

/// Anything but text as a key.
pub(crate) fn odd_key(text: &str, place: Place) -> Fault {
    if text[..place.start].ends_with('{') {
        return Fault::new("`{{` begins a mapping whose key is a mapping")
            .at(place)
            .hint("a variable is written `${NAME}`; a text that begins with `{` needs quotes");
    }
    Fault::new("a key must be a plain word").at(place)
}

/// From 1.
pub(crate) fn line_number(text: &str, at: usize) -> usize {
    text[..text.floor_char_boundary(at)].matches('\n').count() + 1
}

fn not_yaml(what: impl std::fmt::Display, place: Place) -> Fault {
    Fault::new(format!("not YAML: {what}")).at(place)
}

/// A line of the text.
struct Line<'t> {
    start: usize,
    text: &'t str,
}

impl<'t> Line<'t> {
    fn at(text: &'t str, at: usize) -> Self {
        let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
        Line {
            start,
            text: text[start..end].trim_end_matches('\r'),
        }
    }

    /// The nearest line before it that is neither empty nor a comment.
    fn before(&self, text: &'t str) -> Option<Self> {
        let mut line = self.start;
        while line > 0 {
            let found = Line::at(text, line - 1);
            let content = found.text.trim_start();
            if !content.is_empty() && !content.starts_with('#') {
                return Some(found);
            }
            line = found.start;
        }
        None
    }

    fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    fn content(&self) -> &'t str {
        self.text.trim()
    }

    /// Without its indentation.
    fn place(&self) -> Place {
        let start = self.start + self.indent();
        start..start + self.content().len()
    }

    /// The key that it begins with, and what is behind the colon.
    fn pair(&self) -> Option<(&'t str, &'t str)> {
        let content = self.content().trim_start_matches("- ").trim_start();
        let (key, value) = content
            .split_once(": ")
            .or_else(|| content.strip_suffix(':').map(|key| (key, "")))?;
        is_word(key).then_some((key, value.trim()))
    }

    /// A key or an entry of a list without the space that makes it one.
    fn lacks_space(&self) -> Option<Fault> {
        let place = self.place();
        let content = self.content();
        if let Some(rest) = content.strip_prefix('-')
            && rest.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            let place = place.start..place.start + 1;
            return Some(
                not_yaml("no space after the dash", place)
                    .hint("an entry of a list begins with `- `"),
            );
        }
        let (key, value) = content.trim_start_matches("- ").split_once(':')?;
        if self.pair().is_some() || !is_word(key) || value.starts_with("//") {
            return None;
        }
        let colon = self.start + self.text.find(':')?;
        Some(
            not_yaml("no space after the colon", colon..colon + 1)
                .hint(format!("write `{key}: …`")),
        )
    }
}

fn is_word(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.\"'".contains(c);
    !text.is_empty() && text.chars().all(good)
}

fn conflict(text: &str) -> Option<Fault> {
    let mark = "<<<<<<< ";
    let start = if text.starts_with(mark) {
        0
    } else {
        text.find(&format!("\n{mark}"))? + 1
    };
    let fault = not_yaml(
        "a conflict of `git merge` is not resolved",
        Line::at(text, start).place(),
    );
    Some(fault.hint(
        "keep one side, and remove the lines that begin with `<<<<<<<`, `=======` and `>>>>>>>`",
    ))
}

fn tab(line: &Line<'_>) -> Option<Fault> {
    let blank = &line.text[..line.indent()];
    let at = line.start + blank.find('\t')?;
    let fault = not_yaml("a tab indents this line", at..at + 1);
    Some(fault.hint("YAML is indented by spaces: replace each tab by two of them"))
}

fn recognize_fault(reason: &str, text: &str, at: usize, line: &Line<'_>) -> Option<Fault> {
    let is = |part: &str| reason.contains(part);
    let here = text[at..]
        .chars()
        .next()
        .map_or(at..at, |c| at..at + c.len_utf8());
    if is("mapping values are not allowed") || is("simple key expect") {
        return second_colon(text, at, line).or_else(|| no_pair(text, line));
    }
    if is("did not find expected key") || is("expected '-' indicator") || is("<document start>") {
        return Some(if line.place().start == at {
            indentation(text, line)
        } else {
            not_yaml("the value ended before this", here).hint("put the whole value in quotes")
        });
    }
    if is("quoted scalar")
        && (is("invalid indentation") || is("unexpected end") || is("document indicator"))
    {
        let quote = text[at..].chars().next().filter(|c| "\"'".contains(*c))?;
        let fault = not_yaml("the quote that opens here is not closed", here);
        return Some(fault.hint(format!("end the value with `{quote}`")));
    }
    if is("unknown escape character") {
        let at = odd_escape(text, at);
        let escape: String = text[at..].chars().take(2).collect();
        let fault = not_yaml(
            format!("`{escape}` means nothing in double quotes"),
            at..at + escape.len(),
        );
        return Some(fault.hint("put the value in single quotes, which keep each `\\`"));
    }
    if is("trailing content after") {
        return Some(
            not_yaml("the quotes end before this", here).hint("put the whole value in quotes"),
        );
    }
    if is("flow") {
        return bracket(text, at, here);
    }
    if is("unknown anchor") {
        let fault = not_yaml("no `&` before this line gives the name behind `*`", here);
        return Some(fault.hint("a text that begins with `*` needs quotes"));
    }
    if is("unexpected character")
        || is("did not find expected alphabetic")
        || is("tag")
        || is("directive")
    {
        let first = text[here.clone()].to_owned();
        let first = match first.as_str() {
            "`" => "a backtick".to_owned(),
            first => format!("`{first}`"),
        };
        let fault = not_yaml(format!("a value cannot begin with {first}"), here);
        return Some(fault.hint("put it in quotes"));
    }
    if is("unprintable") {
        let code = text[at..].chars().next().map_or(0, u32::from);
        let fault = not_yaml(
            format!("a character that cannot be printed (U+{code:04X})"),
            here,
        );
        return Some(fault.hint("remove it"));
    }
    if is("block sequence entries are not allowed") {
        let fault = not_yaml("a list begins on the line of its key", here);
        return Some(fault.hint("begin it on the next line, indented by two spaces"));
    }
    None
}

/// Where the first `\` is behind `at` that begins nothing that YAML knows.
fn odd_escape(text: &str, at: usize) -> usize {
    let mut from = at;
    while let Some(found) = text[from..].find('\\') {
        let behind = text[from + found + 1..].chars().next();
        if behind.is_none_or(|c| !"0abt\tnvfre \"/\\N_LPxuU\r\n".contains(c)) {
            return from + found;
        }
        from += found + 1 + behind.map_or(0, char::len_utf8);
    }
    at
}

/// `key: one: two`, or a key below a value.
fn second_colon(text: &str, at: usize, line: &Line<'_>) -> Option<Fault> {
    let (key, _) = line.pair()?;
    let colon = line.start + line.text.find(": ").unwrap_or(line.text.len());
    if colon < at {
        let end = at + text[at..].chars().next().map_or(0, char::len_utf8);
        let fault = not_yaml("a second `: ` in one line", at..end);
        return Some(fault.hint(format!("put the value of `{key}` in quotes")));
    }
    let above = line.before(text)?;
    if let Some(fault) = above.lacks_space() {
        return Some(fault);
    }
    let (owner, value) = above.pair()?;
    if line.indent() > above.indent() && !value.is_empty() {
        let fault = not_yaml(
            format!("`{key}` is indented below `{owner}`, which has a value already"),
            line.place(),
        );
        return Some(fault.hint(format!(
            "begin it in column {}, as `{owner}`",
            above.indent() + 1
        )));
    }
    None
}

/// A line that is no key with a value, which the parser notices on it or on the next one.
fn no_pair(text: &str, line: &Line<'_>) -> Option<Fault> {
    let above = line.before(text);
    let wrong = [Some(line), above.as_ref()].into_iter().flatten();
    let mut wrong = wrong.filter(|line| line.pair().is_none() && !line.content().is_empty());
    let first = wrong.clone().find_map(Line::lacks_space);
    first.or_else(|| {
        let line = wrong.next()?;
        let fault = not_yaml("this line has no `key: value`", line.place());
        Some(fault.hint("a text of several lines needs quotes, or `|` behind its key"))
    })
}

/// A line that begins in a column of its own.
fn indentation(text: &str, line: &Line<'_>) -> Fault {
    if let Some(fault) = line.lacks_space() {
        return fault;
    }
    let mut columns = Vec::new();
    let mut above = line.before(text);
    // Of the lines above, those that it could belong to: each further out than the one below it.
    while let Some(line) = above {
        let column = line.indent() + 1;
        let entry = line.content().starts_with("- ").then_some(column + 2);
        for column in entry.into_iter().chain([column]) {
            if columns.last().is_none_or(|last| column < *last) {
                columns.push(column);
            }
        }
        above = line.before(text);
    }
    let column = line.indent() + 1;
    let outer = columns.iter().copied().filter(|one| *one < column).max();
    let inner = columns.iter().copied().filter(|one| *one > column).min();
    let fits: Vec<String> = [outer, inner]
        .into_iter()
        .flatten()
        .map(|column| column.to_string())
        .collect();
    let fault = not_yaml(
        format!("this line begins in column {column}, and no line that it could belong to does"),
        line.place(),
    );
    if fits.is_empty() {
        return fault.hint("lines of one section begin in the same column");
    }
    fault.hint(format!(
        "lines of one section begin in the same column: here {}",
        fits.join(" or ")
    ))
}

/// `[` or `{` that is not closed, or not parted by commas.
fn bracket(text: &str, at: usize, here: Place) -> Option<Fault> {
    let open = unclosed(&text[..at])?;
    let (sign, close) = match text[open..].chars().next()? {
        '[' => ('[', ']'),
        _ => ('{', '}'),
    };
    let goes_on = text[at..]
        .lines()
        .next()
        .is_some_and(|rest| rest.contains(close));
    Some(if goes_on {
        not_yaml(format!("expected `,` or `{close}` before this"), here)
            .hint("part the entries by commas, and put a text with `:`, `{` or `,` in quotes")
    } else {
        not_yaml(
            format!("the `{sign}` that opens here is not closed"),
            open..open + 1,
        )
        .hint(format!("end it with `{close}`"))
    })
}

/// The last bracket that no other one closes; what is in quotes or a comment is none.
fn unclosed(text: &str) -> Option<usize> {
    let (mut open, mut quote, mut before) = (Vec::new(), None, ' ');
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some('"'), '\\') => {
                chars.next();
            }
            (Some(end), _) => quote = (c != end).then_some(end),
            (None, '"' | '\'') if " [{,:\n".contains(before) => quote = Some(c),
            (None, '#') if before.is_whitespace() => {
                for (_, c) in chars.by_ref() {
                    if c == '\n' {
                        break;
                    }
                }
            }
            (None, '[' | '{') => open.push(at),
            (None, ']' | '}') => {
                open.pop();
            }
            _ => {}
        }
        before = c;
    }
    open.pop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Node;

    /// Whatever the text, it is refused without a panic and within it.
    #[test]
    fn places_are_within_the_text() {
        let pieces = [
            "a: ", "\t", "- ", "[", "{", "\"", "'", "\n", "é", ":", "*", "&", "@", "\\",
            "<<<<<<< ", "#", "  ", "\r\n", "\0", "<<: ",
        ];
        let mut seed: usize = 7;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(seed >> 33) % pieces.len()]);
            }
            if let Err(fault) = Node::parse(&text) {
                let place = fault.place.unwrap_or(0..0);
                assert!(
                    place.start <= place.end && place.end <= text.len(),
                    "{text:?} {place:?}"
                );
                assert!(
                    text.is_char_boundary(place.start) && text.is_char_boundary(place.end),
                    "{text:?} {place:?}"
                );
            }
        }
    }

    #[test]
    fn a_bracket_in_quotes_or_a_comment_opens_nothing() {
        assert_eq!(unclosed("a: [\"]\", '['"), Some(3));
        assert_eq!(unclosed("a: [b] # [\n"), None);
        assert_eq!(unclosed("a: it's [b\nc: {d}"), Some(8));
    }

    #[test]
    fn a_line_is_refused_for_what_is_wrong_in_it() {
        let hint = |text: &str| Node::parse(text).unwrap_err().hint.unwrap_or_default();
        assert!(hint("a:\n  - b: 1\n   c: 2\n").contains("column: here 3 or 5"));
        assert!(line_number("a\nb\n", 2) == 2);
        assert!(hint("a: b: c\n").contains("value of `a`"));
    }
}

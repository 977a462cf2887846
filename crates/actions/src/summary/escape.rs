//! Text from outside as text: nothing in it is markup, wherever it is put.

use std::fmt::Write as _;

use model::text::{plain, safe};

/// A cell longer than this is cut: a table is read at a glance.
pub(super) const CELL: usize = 300;
/// Text to be copied is cut later.
const LONG: usize = 2000;

/// Text for one line of Markdown: nothing in it is markup, a link, a mention or a table's edge.
pub(super) fn cell(text: &str) -> String {
    escaped(text, CELL)
}

/// The same of a command, which is of use only whole.
pub(super) fn long_cell(text: &str) -> String {
    escaped(text, LONG)
}

/// Text of at most so many characters, the middle cut out of a longer one, as Markdown: nothing in it is
/// markup, a link or a mention.
pub fn escaped(text: &str, limit: usize) -> String {
    let mut escaped = String::new();
    for c in shorten(text.trim(), limit).chars() {
        match c {
            '\n' => escaped.push_str("<br>"),
            '&' | '<' | '>' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '\\' | '#' | '@' | '$'
            | '!' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(safe(c)),
        }
    }
    // GitHub turns a bare URL into a link; remote text must not choose what a reader clicks.
    escaped
        .replace("://", "&#58;//")
        .replace("www.", "www&#46;")
}

/// Text within `<pre>` or `<summary>`.
pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A blank line would end the HTML block and start Markdown.
            '\n' if escaped.ends_with('\n') => escaped.push_str("&#8203;\n"),
            '\n' => escaped.push('\n'),
            c if c.is_control() && c != '\t' => escaped.push(' '),
            c => escaped.push(safe(c)),
        }
    }
    escaped
}

/// Text as it is, between fences that are longer than any row of backticks in it.
pub(super) fn fenced(text: &str) -> String {
    let clean = plain(text);
    let longest = clean.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}text\n{}\n{fence}\n", clean.trim_end_matches('\n'))
}

/// Cuts the middle out of a text that is longer than `limit` characters.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return text.to_owned();
    }
    let half = limit / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(length - half).collect();
    format!("{head} … {tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_fence() {
        for (text, fence) in [
            ("plain", "```"),
            ("a\n```\n<img>", "````"),
            ("`````mermaid", "``````"),
            ("a`", "```"),
        ] {
            let block = fenced(text);
            let lines: Vec<&str> = block.lines().collect();
            assert_eq!(lines.first(), Some(&format!("{fence}text").as_str()));
            assert_eq!(lines.last(), Some(&fence));
            let inner = &lines[1..lines.len() - 1];
            assert!(inner.iter().all(|line| !line.contains(fence)), "{block}");
        }
        assert_eq!(
            fenced("a\r\x1b[0m\u{202e}\n\n"),
            "```text\na\u{fffd}\u{fffd}[0m\u{fffd}\n```\n"
        );
    }
}

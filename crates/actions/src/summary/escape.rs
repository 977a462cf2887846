//! Text from outside as text: nothing in it is markup, wherever it is put.

use std::fmt::Write as _;

use model::text::{AT, calls, plain, safe, visible};

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
    let text = shorten(visible(text).collect::<String>().trim(), limit);
    let mut escaped = String::new();
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '\n' => escaped.push_str("<br>"),
            '@' if calls(before, &text[at + 1..]) || is_host(&text[at + 1..]) => escaped.push(AT),
            '#' if names_issue(&text[at + 1..]) => escaped.push_str("&#35;<span></span>"),
            '-' if is_gh(&text[..at]) && names_issue(&text[at + 1..]) => {
                escaped.push_str("-<span></span>");
            }
            '-' | '+' | '.' | ')' | ':' if begins_block(&text, at) => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            '&' | '<' | '>' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '\\' | '#' | '@' | '$'
            | '!' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(safe(c)),
        }
        before = c;
    }
    // GitHub turns a bare URL into a link; remote text must not choose what a reader clicks.
    escaped
        .replace("://", "&#58;//")
        .replace("www.", "www&#46;")
}

/// Whether GitHub would make a link to an issue, and a mention in that issue, of `#` or `GH-` before it. It looks at what it
/// has rendered, so only an element between them helps.
fn names_issue(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_gh(text: &str) -> bool {
    let (rest, end) = text
        .split_at_checked(text.len().saturating_sub(2))
        .unwrap_or((text, ""));
    end.eq_ignore_ascii_case("gh") && !rest.ends_with(char::is_alphanumeric)
}

/// Whether an address of e-mail ends so, which GitHub makes a link of, whatever it is written with.
fn is_host(text: &str) -> bool {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.chars().take_while(is_part).any(|c| c == '.')
}

/// Whether the sign there makes the text an item of a list, a line across the page, or a command of the runner,
/// which reads what is printed in a job.
fn begins_block(text: &str, at: usize) -> bool {
    let (head, tail) = (&text[..at], &text[at + 1..]);
    let is_item = tail.is_empty() || tail.starts_with(char::is_whitespace);
    match text.as_bytes()[at] {
        b'.' | b')' => {
            let is_number = !head.is_empty() && head.bytes().all(|byte| byte.is_ascii_digit());
            is_number && is_item
        }
        b':' => head.is_empty() && tail.starts_with(':'),
        _ => head.is_empty() && (is_item || tail.trim_start().starts_with('-')),
    }
}

/// Text within `<pre>` or `<summary>`.
pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text) {
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
pub fn fenced(text: &str) -> String {
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
    fn nothing_begins_a_block_or_mentions_anyone() {
        for (text, expected) in [
            ("- a - b", "&#45; a - b"),
            ("+", "&#43;"),
            ("---", "&#45;--"),
            ("--force -1", "&#45;-force -1"),
            ("-1.5", "-1.5"),
            ("1. a 2. b", "1&#46; a 2. b"),
            ("12) a", "12&#41; a"),
            ("1.5 s", "1.5 s"),
            ("::error::x", "&#58;:error::x"),
            (
                "@octocat a@b.example @",
                "\u{ff20}octocat a\u{ff20}b.example &#64;",
            ),
            ("shop@sha256:0a", "shop&#64;sha256:0a"),
            ("see #13 and # 1", "see &#35;<span></span>13 and &#35; 1"),
            (
                "#\u{200b}13\u{e0068}\u{e0069}\u{e007f}",
                "&#35;<span></span>13",
            ),
            (
                "GH-13, gh-2, high-5, ügh-1",
                "GH-<span></span>13, gh-<span></span>2, high-5, ügh-1",
            ),
        ] {
            assert_eq!(escaped(text, 100), expected);
        }
    }

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
            fenced("a\r\x1b[0m\u{202e}\u{e0041}\n\n"),
            "```text\na\u{fffd}\u{fffd}[0m\u{fffd}\n```\n"
        );
    }
}

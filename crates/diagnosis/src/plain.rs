//! Text from outside, as it may be shown: without what a terminal would obey, within bounds.

use model::Redactor;
use model::text::{cut, safe};

/// A line, without the escapes that colour it or move the cursor, without the other characters that
/// a terminal would obey, and without what a carriage return has overwritten.
pub(crate) fn line(text: &str) -> String {
    let text = without_escapes(text);
    let mut parts = text.split('\r').rev();
    let last = parts.find(|part| !part.trim().is_empty()).unwrap_or("");
    let shown = last.trim_end().chars().map(|c| match safe(c) {
        '\n' => ' ',
        c => c,
    });
    shown.collect()
}

/// One line for a name or a message, redacted first and cut afterwards.
pub(crate) fn short(text: &str, redactor: &Redactor, most: usize) -> String {
    let text: Vec<String> = text.lines().map(line).collect();
    cut(redactor.redact(text.join(" ").trim()).trim(), most)
}

/// Without the escape sequences of ECMA-48: `ESC [ … letter`, `ESC ] … BEL`, and two characters.
pub(crate) fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.next() {
                Some('[') => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    let mut before = ' ';
                    for c in rest.by_ref() {
                        if c == '\u{7}' || before == '\u{1b}' && c == '\\' {
                            break;
                        }
                        before = c;
                    }
                }
                _ => {}
            },
            // The same in one character.
            '\u{9b}' => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_a_person_would_have_seen() {
        assert_eq!(line("\u{1b}[31;1mError\u{1b}[0m: x"), "Error: x");
        assert_eq!(line("10%\r50%\r100% done\r"), "100% done");
        assert_eq!(
            line("\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\ y"),
            "link y"
        );
        assert_eq!(line("a\u{8}b\u{202e}c\u{0}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(line("\u{1b}[31"), "");
        assert_eq!(line("\u{1b}"), "");
        assert_eq!(line("\u{9b}2Jx"), "x");
    }

    #[test]
    fn a_secret_that_is_coloured_within_is_still_found() {
        let redactor = Redactor::new(["correct-horse-battery".to_owned()]);
        let text = "token correct-\u{1b}[1mhorse\u{1b}[0m-battery in it";
        assert_eq!(short(text, &redactor, 100), "token *** in it");
        assert_eq!(short("a\nb", &redactor, 100), "a b");
        assert_eq!(short("abcdef", &redactor, 3), "abc…");
    }
}

//! Text from outside: release names, commit messages, logs. What is the same for every sink.

use model::text::{AT, CUT, calls, is_invisible, safe};
use url::Url;

/// What a terminal or a browser would obey and what turns text round is shown as U+FFFD, what is invisible is left out,
/// and an `@` mentions no one. At most so many characters, with a mark where there were more.
pub(crate) fn text(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    let mut chars = text.char_indices().peekable();
    let mut before = ' ';
    while let Some((at, c)) = chars.next() {
        if is_invisible(c) || c == '\r' && chars.peek().is_some_and(|(_, next)| *next == '\n') {
            continue;
        }
        if length + 1 > most {
            out.pop();
            out.push(CUT);
            break;
        }
        length += 1;
        let is_call = c == '@' && calls(before, &text[at + 1..]);
        out.push(if is_call { AT } else { safe(c) });
        before = c;
    }
    out
}

/// The same on one line.
pub(crate) fn line(from: &str, most: usize) -> String {
    // A line's beginning is enough: what is behind it is cut in any case.
    let short: String = from.chars().take(most.saturating_mul(4)).collect();
    let words: Vec<&str> = short.split_whitespace().collect();
    let is_cut = from.len() > short.len();
    let joined = words.join(" ") + if is_cut { " " } else { "" };
    text(&joined, most)
}

/// A text of which a program that looks for addresses of pages makes a link to none but these.
pub(crate) fn unlinked(text: &str, links: &[Url]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let own = links.iter().map(Url::as_str).find(|link| {
            let behind = rest.strip_prefix(link);
            behind
                .is_some_and(|behind| behind.is_empty() || behind.starts_with(char::is_whitespace))
        });
        let (shown, taken) = match own {
            Some(link) => (link, link.len()),
            None if rest.starts_with("://") || rest.starts_with(':') && calls_a_program(&out) => {
                (COLON, 1)
            }
            None if is_www(rest) && !before.is_alphanumeric() => {
                out.push_str(&rest[..WWW.len() - 1]);
                (DOT, WWW.len())
            }
            None => (&rest[..c.len_utf8()], c.len_utf8()),
        };
        out.push_str(shown);
        before = rest[..taken].chars().next_back().unwrap_or(c);
        rest = &rest[taken..];
    }
    out
}

const WWW: &str = "www.";
/// They look like `:` and `.`, and are of no address.
const COLON: &str = "\u{ff1a}";
const DOT: &str = "\u{ff0e}";

/// Whether a text ends with the scheme of an address that opens a program instead of a page.
fn calls_a_program(text: &str) -> bool {
    const SCHEMES: [&str; 4] = ["mailto", "tel", "sms", "callto"];
    let word = text.rsplit(|c: char| !c.is_alphanumeric()).next();
    let word = word.unwrap_or_default();
    SCHEMES
        .iter()
        .any(|scheme| scheme.eq_ignore_ascii_case(word))
}

fn is_www(text: &str) -> bool {
    let start = text.get(..WWW.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(WWW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_one_is_mentioned_and_addresses_stay() {
        for (from, expected) in [
            ("@channel", "＠channel"),
            ("now @here and @octocat", "now ＠here and ＠octocat"),
            ("a@channel", "a＠channel"),
            ("@\u{200b}everyone", "＠everyone"),
            ("mail a@example.com", "mail a@example.com"),
            ("sha@", "sha@"),
            ("<@&99> <@!12> a@&b", "<＠&99> <＠!12> a@&b"),
            ("\u{e9}@octocat", "\u{e9}＠octocat"),
        ] {
            assert_eq!(text(from, 100), expected);
        }
    }

    #[test]
    fn what_is_invisible_is_not_there_and_what_turns_text_is_marked() {
        assert_eq!(text("v1\u{200b}.2\u{feff}\u{e0041}", 100), "v1.2");
        assert_eq!(text("a\u{202e}b\u{1b}[0m", 100), "a\u{fffd}b\u{fffd}[0m");
        assert_eq!(text("a\r\nb\rc", 100), "a\nb\u{fffd}c");
        assert_eq!(line("a\r\nBcc: b\n", 100), "a Bcc: b");
    }

    #[test]
    fn it_has_at_most_so_many_characters() {
        let long = "ü".repeat(1 << 20);
        assert_eq!(text(&long, 5), "üüüü…");
        assert_eq!(line(&long, 5), "üüüü…");
        assert_eq!(text("12345", 5), "12345");
        assert_eq!(line("12345", 5), "12345");
        assert_eq!(line(&"a ".repeat(1 << 20), 5), "a a …");
        assert_eq!(text("a", 0), "…");
    }

    #[test]
    fn only_our_own_addresses_are_links() {
        let own = [Url::parse("https://good.example/run/1").expect("it is an address")];
        for (from, expected) in [
            (
                "see https://good.example/run/1",
                "see https://good.example/run/1",
            ),
            (
                "https://good.example/run/1\nx",
                "https://good.example/run/1\nx",
            ),
            (
                "https://good.example/run/1@evil.example",
                "https：//good.example/run/1@evil.example",
            ),
            (
                "https://evil.example/?https://good.example/run/1",
                "https：//evil.example/?https://good.example/run/1",
            ),
            ("WWW.evil.example awww.x", "WWW．evil.example awww.x"),
            ("a: b // c ü://ü www", "a: b // c ü：//ü www"),
            ("Mailto:a@b.c, tel:123", "Mailto：a@b.c, tel：123"),
            ("hotel: 3, email: a", "hotel: 3, email: a"),
            ("", ""),
        ] {
            assert_eq!(unlinked(from, &own), expected);
        }
    }
}

//! Workflow commands: annotations, groups, fences.
//!
//! The runner reads commands from stdout and stderr alike; ours go to stderr, so that stdout
//! stays data. Escaping as in the toolkit's `command.ts`.

use std::fmt::Write as _;

use model::text::{CUT, plain};
use model::{Report, Severity, Verdict};

/// The runner shows this many annotations of a level in a step and drops the rest without a word.
const PER_LEVEL: usize = 10;
/// The runner cuts a message here; we cut first, with a mark.
const MESSAGE: usize = 4000;

/// The annotations of a report, worst first, at most ten errors and ten warnings. `in_repository` tells
/// the path of a file from the repository's root.
pub fn annotations(report: &Report, in_repository: impl Fn(&str) -> String) -> String {
    let mut found: Vec<_> = report
        .outcomes
        .iter()
        .filter(|outcome| !matches!(outcome.verdict, Verdict::Pass | Verdict::Skipped))
        .collect();
    found.sort_by_key(|outcome| std::cmp::Reverse(outcome.weighs()));
    let mut text = String::new();
    let (mut errors, mut warnings) = (0, 0);
    for outcome in found {
        let error =
            outcome.severity == Severity::Required && outcome.verdict != Verdict::Inconclusive;
        let (level, count) = if error {
            ("error", &mut errors)
        } else {
            ("warning", &mut warnings)
        };
        *count += 1;
        if *count > PER_LEVEL {
            continue;
        }
        let title = format!("{} {}: {}", report.stage, outcome.id, outcome.verdict);
        let mut message = outcome
            .reason
            .clone()
            .unwrap_or_else(|| outcome.verdict.to_string());
        if let (Some(expected), Some(actual)) = (&outcome.expected, &outcome.actual) {
            let _ = write!(message, "\nexpected {expected}, found {actual}");
        }
        if let Some(hint) = &outcome.hint {
            let _ = write!(message, "\nhint: {hint}");
        }
        let place = outcome.found_at.as_ref().map(|found| {
            let line = found
                .line
                .map(|(line, column)| format!("line={line},col={column},"));
            let file = property(&plain(&in_repository(&found.file)));
            format!("file={file},{}", line.unwrap_or_default())
        });
        let _ = writeln!(
            text,
            "::{level} {}title={}::{}",
            place.unwrap_or_default(),
            property(&plain(&title)),
            data(&cut(&plain(&message)))
        );
    }
    text
}

/// An error of its own, at a place (file from the repository's root, line, column) where it has one.
pub fn error(title: &str, message: &str, place: Option<(String, usize, usize)>) -> String {
    let place = place
        .map(|(file, line, column)| format!("file={},line={line},col={column},", property(&file)));
    format!(
        "::error {}title={}::{}\n",
        place.unwrap_or_default(),
        property(title),
        data(&cut(message))
    )
}

/// Text in a group that a reader can fold.
pub fn group(title: &str, text: &str) -> String {
    format!("::group::{}\n{text}\n::endgroup::\n", data(title))
}

/// Remote text that the runner must not read as commands. The author of the text must not be able to guess the token.
pub fn fenced(text: &str) -> String {
    let token = token();
    format!("::stop-commands::{token}\n{text}\n::{token}::\n")
}

/// 128 random bits as hex: a delimiter that no text holds by chance and no mask can swallow.
pub fn token() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn cut(message: &str) -> String {
    if message.len() <= MESSAGE {
        return message.to_owned();
    }
    let end = message.floor_char_boundary(MESSAGE);
    format!("{} {CUT}", &message[..end])
}

/// Escapes a command's message.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Outcome;

    fn report(outcomes: Vec<Outcome>) -> Report {
        Report::from_outcomes("preflight", jiff::Timestamp::UNIX_EPOCH, outcomes)
    }

    #[test]
    fn a_message_cannot_start_a_command_of_its_own() {
        let evil = Outcome::fail("a,b:c", "x").reason("100%\r\n::set-output name=x::y");
        assert_eq!(
            annotations(&report(vec![evil]), str::to_owned),
            "::error title=preflight a%2Cb%3Ac%3A fail::100%25\u{fffd}%0A::set-output name=x::y\n"
        );
    }

    #[test]
    fn text_that_runs_backwards_is_shown_as_it_is_written() {
        let odd = "v1\u{202e}2v\u{2066}\u{200f}\u{61c}\u{1b}[2J";
        let text = annotations(
            &report(vec![
                Outcome::fail(odd, odd)
                    .expected(odd)
                    .actual(odd)
                    .reason(odd)
                    .hint(odd),
            ]),
            str::to_owned,
        );
        assert!(
            !text.contains(model::text::is_bidi) && !text.contains('\u{1b}'),
            "{text}"
        );
        assert_eq!(text.matches("v1\u{fffd}2v\u{fffd}").count(), 5, "{text}");
    }

    #[test]
    fn what_is_found_in_a_file_is_shown_at_its_line() {
        let at = |line| model::FoundAt {
            file: "db/a,b.sql".to_owned(),
            line,
        };
        let outcomes = vec![
            Outcome::fail("lint/one", "x").found_at(at(Some((3, 7)))),
            Outcome::fail("lint/two", "x").found_at(at(None)),
        ];
        let text = annotations(&report(outcomes), |file| format!("app/{file}"));
        assert_eq!(
            text,
            "::error file=app/db/a%2Cb.sql,line=3,col=7,title=preflight lint/one%3A fail::fail\n\
             ::error file=app/db/a%2Cb.sql,title=preflight lint/two%3A fail::fail\n"
        );
    }

    #[test]
    fn ten_errors_and_ten_warnings_the_worst_first() {
        let mut outcomes = vec![Outcome::inconclusive("i", "x"); 15];
        outcomes.extend(vec![Outcome::error("e", "x"); 8]);
        outcomes.extend(vec![Outcome::fail("f", "x"); 8]);
        outcomes.push(Outcome::pass("p", "x"));
        let text = annotations(&report(outcomes), str::to_owned);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 20);
        assert!(
            lines[..8]
                .iter()
                .all(|line| line.starts_with("::error title=preflight f"))
        );
        assert!(
            lines[8..10]
                .iter()
                .all(|line| line.starts_with("::error title=preflight e"))
        );
        assert!(
            lines[10..]
                .iter()
                .all(|line| line.starts_with("::warning title=preflight i"))
        );
    }

    #[test]
    fn a_fence_cannot_be_closed_by_the_text_inside() {
        let (one, two) = (fenced("x"), fenced("x"));
        assert_ne!(one, two);
        let token = one
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("::stop-commands::"));
        assert_eq!(
            token.map(|token| format!("::{token}::")).as_deref(),
            one.lines().last()
        );
    }
}

//! The folded part below the table: the most useful answers, an outcome's measurements, and text
//! that was too long for a cell.

use std::fmt::Write as _;

use model::text::span;
use model::{Measurement, Outcome, Verdict};

use super::escape::{CELL, cell, fenced, html, shorten};
use super::mark::mark;

/// A detail longer than this is cut.
const DETAIL: usize = 20_000;
/// Measurements that are shown from the beginning and from the end: the rest is in the report.
const FIRST: usize = 10;
const LAST: usize = 30;
/// The same of marks in a row.
const STRIP: (usize, usize) = (8, 16);

/// Whether there is more to say than the table does.
pub(super) fn needs_detail(outcome: &Outcome) -> bool {
    outcome.verdict > Verdict::Pass
        && (!outcome.measurements.is_empty() || facts(outcome).any(|(_, text)| is_cut(text)))
}

fn is_cut(text: &str) -> bool {
    text.chars().count() > CELL
}

fn facts(outcome: &Outcome) -> impl Iterator<Item = (&'static str, &str)> {
    [
        ("subject", Some(&outcome.subject)),
        ("expected", outcome.expected.as_ref()),
        ("actual", outcome.actual.as_ref()),
        ("reason", outcome.reason.as_ref()),
        ("hint", outcome.hint.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name, text?.as_str())))
}

pub(super) fn detail(text: &mut String, outcome: &Outcome, open: bool) {
    let strip = strip(&outcome.measurements);
    let _ = writeln!(
        text,
        "<details{}><summary>{} {}: {}{}{strip}</summary>\n",
        if open { " open" } else { "" },
        mark(outcome),
        cell(outcome.id.as_str()),
        outcome.verdict,
        if strip.is_empty() { "" } else { " " },
    );
    telling(text, outcome);
    let mut lines: Vec<String> = facts(outcome)
        .filter(|(_, text)| is_cut(text))
        .map(|(name, text)| format!("{name:<9} {text}"))
        .collect();
    let count = outcome.measurements.len();
    for (nth, measurement) in outcome.measurements.iter().enumerate() {
        if nth < FIRST || nth + LAST >= count {
            lines.push(line(measurement));
        } else if nth == FIRST {
            lines.push(format!("… {} more in the report …", count - FIRST - LAST));
        }
    }
    if !lines.is_empty() {
        let body = shorten(&lines.join("\n"), DETAIL);
        let _ = writeln!(text, "<pre>{}</pre>\n", html(&body));
    }
    text.push_str("</details>\n\n");
}

/// A mark for each measurement: `✗✗✓`.
fn strip(measurements: &[Measurement]) -> String {
    let marks: Vec<char> = measurements.iter().map(|one| sign(one.verdict)).collect();
    let (first, last) = STRIP;
    if marks.len() <= first + last {
        return marks.iter().collect();
    }
    let head: String = marks[..first].iter().collect();
    let tail: String = marks[marks.len() - last..].iter().collect();
    format!("{head} … {} more … {tail}", marks.len() - first - last)
}

fn sign(verdict: Verdict) -> char {
    match verdict {
        Verdict::Pass => '✓',
        Verdict::Fail | Verdict::Refused => '✗',
        Verdict::Error | Verdict::Partial => '!',
        Verdict::Inconclusive => '?',
        Verdict::Skipped => '-',
    }
}

fn line(measurement: &Measurement) -> String {
    let reason = measurement.reason.as_ref();
    format!(
        "{} {:<12} {:>9}  {}{}",
        model::report::v1::timestamp(measurement.at),
        measurement.verdict,
        span(measurement.duration),
        measurement.value.as_deref().unwrap_or("-"),
        reason.map(|r| format!("  {r}")).unwrap_or_default(),
    )
}

/// The first failure, the last failure and the last success, with what was answered.
fn telling(text: &mut String, outcome: &Outcome) {
    let Some(first) = outcome.measurements.first() else {
        return;
    };
    let telling = outcome.telling();
    for (name, measurement) in [
        ("First failure", telling.first_failure),
        ("Last failure", telling.last_failure),
        ("Last success", telling.last_success),
    ] {
        let Some(measurement) = measurement else {
            continue;
        };
        let since = measurement.at.duration_since(first.at);
        let since = span(since.try_into().unwrap_or_default());
        let said = [&measurement.value, &measurement.reason];
        let said = said.into_iter().flatten().map(|said| cell(said));
        // An interval of a canary is compared, and not waited for.
        let took = Some(measurement.duration).filter(|took| !took.is_zero());
        let took = took.map(|took| format!(", took {}", span(took)));
        let _ = writeln!(
            text,
            "**{name}** ({}), {since} after the first measurement{}: {}\n",
            measurement.verdict,
            took.unwrap_or_default(),
            said.collect::<Vec<_>>().join(" · "),
        );
        if let Some(evidence) = &measurement.evidence {
            let _ = writeln!(text, "{}", fenced(evidence));
        }
    }
}

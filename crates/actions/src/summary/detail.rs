//! What stands folded below the table: an outcome's facts, its measurements, and the answers that
//! tell most.

use std::fmt::Write as _;

use model::{Measurement, Outcome, Verdict};

use super::escape::{cell, fenced, html, shorten};

/// A detail longer than this is cut.
const DETAIL: usize = 20_000;
/// Measurements that are shown from the beginning and from the end: the rest is in the report.
const FIRST: usize = 10;
const LAST: usize = 30;

/// Whether there is more to say than the table does.
pub(super) fn needs_detail(outcome: &Outcome) -> bool {
    outcome.verdict != Verdict::Pass && outcome.hint.is_some() || outcome.measurements.len() > 1
}

pub(super) fn detail(text: &mut String, outcome: &Outcome) {
    let _ = writeln!(
        text,
        "<details><summary>{} {}: {}</summary>\n",
        outcome.verdict.emoji(),
        cell(&outcome.id),
        outcome.verdict
    );
    let mut lines = vec![format!("subject   {}", outcome.subject)];
    for (name, value) in [
        ("expected", &outcome.expected),
        ("actual", &outcome.actual),
        ("reason", &outcome.reason),
        ("hint", &outcome.hint),
    ] {
        lines.extend(value.as_ref().map(|value| format!("{name:<9} {value}")));
    }
    let count = outcome.measurements.len();
    for (nth, measurement) in outcome.measurements.iter().enumerate() {
        if nth < FIRST || nth + LAST >= count {
            lines.push(line(measurement));
        } else if nth == FIRST {
            lines.push(format!("… {} more in the report …", count - FIRST - LAST));
        }
    }
    let body = shorten(&lines.join("\n"), DETAIL);
    let _ = writeln!(text, "<pre>{}</pre>\n", html(&body));
    if outcome.verdict != Verdict::Pass {
        telling(text, outcome);
    }
    text.push_str("</details>\n\n");
}

fn line(measurement: &Measurement) -> String {
    let reason = measurement.reason.as_ref();
    format!(
        "{} {:<12} {:>6} ms  {}{}",
        model::report::v1::timestamp(measurement.at),
        measurement.verdict,
        measurement.duration.as_millis(),
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
        let since = measurement.at.duration_since(first.at).as_secs_f64();
        let said = [&measurement.value, &measurement.reason];
        let said = said.into_iter().flatten().map(|said| cell(said));
        let _ = writeln!(
            text,
            "**{name}** ({}), {since:.1} s after the first measurement, took {} ms: {}\n",
            measurement.verdict,
            measurement.duration.as_millis(),
            said.collect::<Vec<_>>().join(" · "),
        );
        if let Some(evidence) = &measurement.evidence {
            let _ = writeln!(text, "{}", fenced(evidence));
        }
    }
}

//! Latency over time of what did not pass, as a mermaid chart.

use std::fmt::Write as _;

use model::{Outcome, Verdict};

/// More bars are thinner than a screen shows.
const POINTS: usize = 60;

/// A chart for the first probe that did not pass; `None` where there is nothing to see.
pub(crate) fn latency(outcomes: &[Outcome]) -> Option<String> {
    let outcome = outcomes
        .iter()
        .find(|outcome| outcome.verdict != Verdict::Pass && outcome.measurements.len() > 1)?;
    let shown = &outcome.measurements[outcome.measurements.len().saturating_sub(POINTS)..];
    let first = shown.first()?.at;
    let (mut axis, mut bars) = (Vec::new(), Vec::new());
    for measurement in shown {
        let sign = if measurement.verdict == Verdict::Pass {
            ""
        } else {
            " ✗"
        };
        let since = measurement.at.duration_since(first).as_secs_f64();
        axis.push(format!("\"{since:.1}{sign}\""));
        bars.push(measurement.duration.as_millis().to_string());
    }
    // Quotes would end the title; nothing else is special in it.
    let title: String = outcome
        .id
        .chars()
        .filter(|c| *c != '"' && !c.is_control())
        .collect();
    let mut chart = String::from("xychart-beta\n");
    let _ = writeln!(
        chart,
        "    title \"{title}: latency by second (✗: not a pass)\""
    );
    let _ = writeln!(chart, "    x-axis [{}]", axis.join(", "));
    let _ = writeln!(chart, "    y-axis \"ms\"");
    let _ = write!(chart, "    bar [{}]", bars.join(", "));
    Some(chart)
}

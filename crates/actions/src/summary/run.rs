//! The section of a run of several stages: one sentence, a row of phases, and each stage folded.

use std::fmt::Write as _;

use model::id::Kind;
use model::text::span;
use model::{Outcome, Report, Verdict};

use super::escape::cell;
use super::{body, footer, next_step, outcomes, reason, reason_cell, text_cell, title};

/// The stages of a run that have ended, while it goes on: what is left where it is killed.
pub fn so_far(parts: &[(String, Report)]) -> String {
    let mut text = String::from("## ⏳ under way");
    if let Some((_, report)) = parts.last() {
        let about = [&report.service, &report.environment, &report.release];
        for part in about.into_iter().flatten() {
            let _ = write!(text, " · {}", cell(part));
        }
    }
    text.push_str("\n\nWhat has ended until now; the verdict takes the place of this line.\n\n");
    text.push_str(&stages(parts));
    text
}

/// Each stage, folded; open where it did not pass.
pub fn stages(parts: &[(String, Report)]) -> String {
    let mut text = String::new();
    for (phase, report) in parts {
        stage(&mut text, phase, report);
    }
    text
}

/// The whole run. `parts` are the reports of its phases, by name; the run's outcomes are its phases
/// in order, `run/NAME`; other outcomes, from hooks, come at the end.
pub fn run(report: &Report, parts: &[(String, Report)]) -> String {
    let mut text = format!("## {} {}\n\n", report.verdict.emoji(), title(report));
    let is_phase = |outcome: &&Outcome| outcome.id.kind() == Kind::Phase;
    let (all, beside): (Vec<&Outcome>, Vec<&Outcome>) = report.outcomes.iter().partition(is_phase);
    phases(&mut text, &all);
    reason(&mut text, report);
    next_step(&mut text, report.hint.as_deref());
    for outcome in all {
        let phase = name(outcome);
        match parts.iter().find(|(name, _)| name == phase) {
            Some((_, report)) => stage(&mut text, phase, report),
            None => write_phase_without_report(&mut text, phase, outcome),
        }
    }
    // A run that ended in an error has no outcomes; its stages were there all the same.
    let told = |phase: &str| report.outcomes.iter().any(|outcome| name(outcome) == phase);
    for (phase, report) in parts.iter().filter(|(phase, _)| !told(phase)) {
        stage(&mut text, phase, report);
    }
    let beside: Vec<Outcome> = beside.into_iter().cloned().collect();
    outcomes(&mut text, &beside);
    footer(&mut text, report);
    text
}

fn name(outcome: &Outcome) -> &str {
    outcome
        .id
        .name_of(Kind::Phase)
        .unwrap_or(outcome.id.as_str())
}

fn phases(text: &mut String, outcomes: &[&Outcome]) {
    if outcomes.is_empty() {
        return;
    }
    let row = |told: &dyn Fn(&Outcome) -> String| {
        let cells: Vec<String> = outcomes.iter().map(|outcome| told(outcome)).collect();
        format!("| {} |", cells.join(" | "))
    };
    let _ = writeln!(text, "{}", row(&|outcome| cell(name(outcome))));
    let _ = writeln!(text, "|{}", "---|".repeat(outcomes.len()));
    let ended = |outcome: &Outcome| {
        let took = match outcome.verdict {
            Verdict::Skipped => String::new(),
            _ => format!(" · {}", span(outcome.duration)),
        };
        format!("{} {}{took}", outcome.verdict.emoji(), outcome.verdict)
    };
    let _ = writeln!(text, "{}\n", row(&ended));
}

fn open(verdict: Verdict) -> &'static str {
    if verdict > Verdict::Pass { " open" } else { "" }
}

fn stage(text: &mut String, phase: &str, report: &Report) {
    let headline = report.headline.as_deref();
    let _ = writeln!(
        text,
        "<details{}><summary>{} <b>{}</b>: {} · {}</summary>\n",
        open(report.verdict),
        report.verdict.emoji(),
        cell(phase),
        headline.map_or_else(|| report.verdict.to_string(), text_cell),
        span(report.duration),
    );
    reason(text, report);
    body(text, report);
    text.push_str("</details>\n\n");
}

/// A phase that has no report of its own.
fn write_phase_without_report(text: &mut String, phase: &str, outcome: &Outcome) {
    let _ = writeln!(
        text,
        "<details{}><summary>{} <b>{}</b>: {} · {}</summary>\n",
        open(outcome.verdict),
        outcome.verdict.emoji(),
        cell(phase),
        outcome.verdict,
        span(outcome.duration),
    );
    let facts = [
        outcome.actual.as_deref().map(text_cell),
        Some(reason_cell(outcome)).filter(|why| !why.is_empty()),
    ];
    for fact in facts.into_iter().flatten() {
        let _ = writeln!(text, "{fact}\n");
    }
    text.push_str("</details>\n\n");
}

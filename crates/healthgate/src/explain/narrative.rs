//! What a report says, in the order in which a person asks: how did it end, what was asked, where
//! did the verdict fall, and what happened before.

use std::time::Duration;

use model::report::v1::{Measurement, Outcome, Policy, timestamp};
use model::text::{counted, span};
use model::{Severity, Verdict};
use serde::Serialize;

use super::read::TimedReport;
use super::turning_points::{self, TurningPoint};
use super::words::clock;

/// More chapters are not read; the others are only counted.
const CHAPTERS: usize = 20;

/// So many endpoints of a group are named.
const MEMBERS: usize = 10;

/// The story, as it is also given in JSON.
#[derive(Serialize)]
pub(crate) struct Narrative {
    /// `deploy-guard/story/v1`.
    pub(crate) schema: &'static str,
    pub(crate) headline: String,
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
    /// The time, the user, and what was asked.
    pub(crate) circumstances: Vec<String>,
    /// Where the verdict fell; none where nothing decided it.
    pub(crate) decision: Option<String>,
    pub(crate) chapters: Vec<NarrativeSection>,
    /// How the outcomes without a chapter ended.
    pub(crate) others: Option<String>,
}

/// What happened to one outcome.
#[derive(Serialize)]
pub(crate) struct NarrativeSection {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) verdict: Verdict,
    pub(crate) advisory: bool,
    /// What was expected, what was found, and by which rules.
    pub(crate) facts: Vec<String>,
    pub(crate) turns: Vec<TurningPoint>,
    /// What was answered, by the name of the measurement.
    pub(crate) answers: Vec<StoryAnswer>,
    pub(crate) hint: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct StoryAnswer {
    pub(crate) of: &'static str,
    pub(crate) evidence: String,
}

pub(crate) fn build_story(told: &TimedReport) -> Narrative {
    let report = &told.report;
    let mut order: Vec<usize> = (0..report.outcomes.len()).collect();
    let weight = |n: &usize| (report.outcomes[*n].weighs(), report.outcomes[*n].verdict);
    order.sort_by_key(|n| std::cmp::Reverse(weight(n)));
    let (shown, rest) = order.split_at(order.len().min(CHAPTERS));
    Narrative {
        schema: "deploy-guard/story/v1",
        headline: headline(told),
        verdict: report.verdict,
        reason: report.reason.clone(),
        circumstances: circumstances(told),
        decision: decision(told),
        chapters: shown.iter().map(|n| chapter(told, *n)).collect(),
        others: others(rest.iter().map(|n| report.outcomes[*n].verdict)),
    }
}

fn headline(told: &TimedReport) -> String {
    let report = &told.report;
    let mut text = report.stage.clone();
    for (word, value) in [
        ("of", &report.service),
        ("in", &report.environment),
        ("for release", &report.release),
    ] {
        if let Some(value) = value {
            text.push_str(&format!(" {word} {value}"));
        }
    }
    format!("{text}: {}", report.verdict)
}

fn circumstances(told: &TimedReport) -> Vec<String> {
    let report = &told.report;
    let took = Duration::from_millis(report.duration_ms);
    let began = timestamp(told.started_at);
    let mut lines = vec![if told.is_recording {
        format!("It judged a recording that begins {began}.")
    } else {
        format!("It began {began} and took {}.", span(took))
    }];
    let context = &report.context;
    let mut by = format!("It was made by deploy-guard {}", context.tool_version);
    if let Some(run) = &context.run_id {
        by.push_str(&format!(" in run {run}"));
        if let Some(attempt) = context.run_attempt {
            by.push_str(&format!(", attempt {attempt}"));
        }
    }
    if let Some(repository) = &context.repository {
        by.push_str(&format!(" of {repository}"));
    }
    if let Some(sha) = &context.sha {
        by.push_str(&format!(" at {}", sha.chars().take(12).collect::<String>()));
    }
    lines.push(by + ".");
    if let Some(score) = report.score {
        lines.push(format!("The score was {score:.1} of 10."));
    }
    let asked = report
        .outcomes
        .iter()
        .filter(|one| one.verdict != Verdict::Skipped)
        .count();
    let skipped = report.outcomes.len() - asked;
    let mut counts = format!("{} measured", counted(asked, "thing was", "things were"));
    if skipped > 0 {
        counts.push_str(&format!(", {skipped} skipped"));
    }
    if let Some(policy) = &report.policy {
        counts.push_str(&format!(": {}", rules(policy)));
    }
    lines.push(counts + ".");
    lines.extend(pauses(told));
    lines
}

/// The gate itself was stopped; this is not silence of the service.
fn pauses(told: &TimedReport) -> Option<String> {
    let times = counted(told.pauses.len(), "time", "times");
    let (from, _) = told.pauses.first()?;
    let all = told
        .pauses
        .iter()
        .map(|(from, to)| to.saturating_sub(*from));
    let all = all.fold(Duration::ZERO, Duration::saturating_add);
    Some(format!(
        "The gate itself was stopped {times}, for {} in all, first at +{}: by a signal, or with its \
         machine. Nothing of that time counts against the service: deadlines got it back, and a soak \
         that lost more than a tenth of its measurements is inconclusive.",
        span(all),
        span(*from)
    ))
}

/// The deciding outcome: the first failure, else the last pass.
fn decision(told: &TimedReport) -> Option<String> {
    let report = &told.report;
    let decisive = report
        .outcomes
        .iter()
        .enumerate()
        .filter(|(_, one)| one.weighs() == report.verdict && one.verdict != Verdict::Skipped);
    let (n, outcome) = match report.verdict {
        Verdict::Pass => decisive.max_by_key(|(n, _)| turning_points::decided(told, *n)),
        _ => decisive.min_by_key(|(n, _)| turning_points::decided(told, *n)),
    }?;
    let reason = outcome.reason.as_deref();
    let reason = reason.unwrap_or(outcome.verdict.as_str());
    if report.policy.is_none() {
        return Some(format!("It was decided by {}: {reason}", outcome.id));
    }
    let since = turning_points::decided(told, n);
    let (after, clock) = (span(since), clock(told.started_at, since));
    Some(format!(
        "The verdict fell at +{after} ({clock}), at {}: {reason}",
        outcome.id
    ))
}

fn chapter(told: &TimedReport, n: usize) -> NarrativeSection {
    let outcome = &told.report.outcomes[n];
    let mut facts = Vec::new();
    for (name, value) in [("expected", &outcome.expected), ("found", &outcome.actual)] {
        facts.extend(value.as_ref().map(|value| format!("{name} {value}")));
    }
    if told.report.policy.is_none() {
        facts.extend(outcome.reason.clone());
    }
    if let Some(policy) = &outcome.policy {
        facts.push(format!("its own rules: {}", rules(policy)));
    }
    if let Some(members) = &outcome.members {
        facts.push(format!(
            "{} of {} endpoints passed, {} wanted; {} failed, {} errors, {} inconclusive",
            members.passed,
            members.total,
            members.required,
            members.failed,
            members.errors,
            members.inconclusive
        ));
        let named = members.not_passed.iter().take(MEMBERS);
        facts.extend(named.map(|one| format!("{}: {}: {}", one.member, one.verdict, one.reason)));
        let more = members.not_passed.len().saturating_sub(MEMBERS);
        if more > 0 {
            facts.push(format!("… {more} more in the report"));
        }
    }
    let good = told.measured[n]
        .iter()
        .filter(|one| one.verdict == Verdict::Pass)
        .count();
    let all = outcome.measurements.len();
    if all > 0 {
        facts.push(format!(
            "{} in the report, {good} passed",
            counted(all, "measurement", "measurements")
        ));
    }
    NarrativeSection {
        id: outcome.id.to_string(),
        subject: outcome.subject.clone(),
        verdict: outcome.verdict,
        advisory: outcome.severity == Severity::Advisory,
        facts,
        turns: turning_points::find(told, n),
        answers: failure_answers(outcome),
        hint: outcome.hint.clone(),
    }
}

/// The heads of the answers that explain a failure; none for an outcome that passed.
fn failure_answers(outcome: &Outcome) -> Vec<StoryAnswer> {
    if outcome.verdict == Verdict::Pass {
        return Vec::new();
    }
    let mut telling = model::NotableMeasurements::<&Measurement>::default();
    for measurement in &outcome.measurements {
        telling.push(measurement.verdict, measurement);
    }
    [
        ("the first failure", telling.first_failure),
        ("the last failure", telling.last_failure),
        ("the last success", telling.last_success),
    ]
    .into_iter()
    .filter_map(|(of, measurement)| {
        let evidence = measurement?.evidence.clone()?;
        Some(StoryAnswer { of, evidence })
    })
    .collect()
}

fn others(verdicts: impl Iterator<Item = Verdict>) -> Option<String> {
    let mut counts: Vec<(Verdict, usize)> = Vec::new();
    for verdict in verdicts {
        match counts.iter_mut().find(|(known, _)| *known == verdict) {
            Some((_, count)) => *count += 1,
            None => counts.push((verdict, 1)),
        }
    }
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    let each: Vec<_> = counts
        .iter()
        .map(|(verdict, n)| format!("{n} {verdict}"))
        .collect();
    (all > 0).then(|| format!("{all} more: {}.", each.join(", ")))
}

/// A policy as a sentence.
fn rules(policy: &Policy) -> String {
    let ms = |ms| span(Duration::from_millis(ms));
    let mut text = format!(
        "every {}, each answer within {}; {} in a row pass",
        ms(policy.interval_ms),
        ms(policy.timeout_ms),
        counted(policy.success_threshold as usize, "success", "successes"),
    );
    if policy.min_samples > 0 {
        text.push_str(&format!(", {} in all", policy.min_samples));
    }
    match (policy.failing_for_ms, policy.failure_limit) {
        (Some(lasting), _) => text.push_str(&format!("; a failure of {} fails", ms(lasting))),
        (None, Some(limit)) => {
            text.push_str(&format!(
                "; more than {} fail",
                counted(limit as usize, "failure", "failures")
            ));
        }
        (None, None) => {}
    }
    if policy.initial_delay_ms > 0 {
        text.push_str(&format!(
            "; measured from +{} on",
            ms(policy.initial_delay_ms)
        ));
    }
    if policy.startup_ms > 0 {
        text.push_str(&format!(
            "; failures while it starts ({}) do not count",
            ms(policy.startup_ms)
        ));
    }
    text.push_str(&format!("; to pass within {}", ms(policy.deadline_ms)));
    if policy.soak_ms > 0 {
        text.push_str(&format!(
            ", then to soak {} with {} failed at most",
            ms(policy.soak_ms),
            policy.soak_failure_limit
        ));
    }
    text
}

//! The turning points of a probe: found by judging its measurements once more, as the gate did.
//!
//! The report's own verdict and reason are shown unchanged: the gate may have seen measurements
//! that the report omits.

use std::time::Duration;

use gate::policy::{Assessor, Sample};
use model::Verdict;
use model::report::v1::{Measurement, Outcome};
use model::text::{counted, span};
use serde::Serialize;

use super::read::{Measured, TimedReport};
use super::words::clock;

/// Of a probe that flaps, so many turns at its beginning and at its end.
const TURNS: usize = 12;

/// Something that changed.
#[derive(Serialize)]
pub(crate) struct TurningPoint {
    /// Since the start of the report.
    pub(crate) since_ms: u64,
    /// The time of day in UTC.
    pub(crate) clock: String,
    pub(crate) text: String,
}

/// What changed when, and at last how it was decided.
pub(super) fn find(told: &TimedReport, n: usize) -> Vec<TurningPoint> {
    let outcome = &told.report.outcomes[n];
    let measured = &told.measured[n];
    let Some(policy) = outcome.policy.as_ref().or(told.report.policy.as_ref()) else {
        // No gate: nothing was watched.
        let seen = measured.iter().zip(&outcome.measurements);
        let seen =
            seen.map(|(measured, one)| turn(told, measured.since, describe_measurement(one)));
        return shortened(told, seen.collect());
    };
    if outcome.verdict == Verdict::Skipped {
        let why = outcome.reason.as_deref().unwrap_or("no reason is given");
        return vec![turn(told, Duration::ZERO, format!("not measured: {why}"))];
    }
    let policy = config::file::Policy::from_report(policy);
    if outcome.members.is_some() {
        // Measurements of many endpoints: no rule of one probe joins them.
        let seen = measured.iter().zip(&outcome.measurements);
        let seen =
            seen.map(|(measured, one)| turn(told, measured.since, describe_measurement(one)));
        let mut turns = shortened(told, seen.collect());
        turns.push(decision(told, n, ""));
        return turns;
    }
    let mut turns = Vec::new();
    let by = match replay(told, outcome, measured, &policy, &mut turns) {
        Some(nth) => format!(" by measurement {nth}"),
        None => String::new(),
    };
    let mut turns = shortened(told, turns);
    turns.push(decision(told, n, &by));
    turns
}

fn decision(told: &TimedReport, n: usize, by: &str) -> TurningPoint {
    let outcome = &told.report.outcomes[n];
    let reason = outcome.reason.as_deref().unwrap_or("no reason is given");
    let text = format!("decided{by}: {}: {reason}", outcome.verdict);
    turn(told, decided(told, n), text)
}

/// When an outcome was decided: never before its last answer came, whatever two clocks say.
pub(super) fn decided(told: &TimedReport, n: usize) -> Duration {
    let outcome = &told.report.outcomes[n];
    let answered = told.measured[n].iter().zip(&outcome.measurements);
    let answered = answered.map(|(one, told)| one.since + Duration::from_millis(told.duration_ms));
    let ended = Duration::from_millis(outcome.duration_ms);
    answered.max().unwrap_or_default().max(ended)
}

/// The turns of a probe that flaps, without its middle.
fn shortened(told: &TimedReport, mut turns: Vec<TurningPoint>) -> Vec<TurningPoint> {
    let count = turns.len();
    if count > 2 * TURNS {
        let at = turns[TURNS].since_ms;
        turns.drain(TURNS..count - TURNS);
        let text = format!("… {} more turns …", count - 2 * TURNS);
        turns.insert(TURNS, turn(told, Duration::from_millis(at), text));
    }
    turns
}

/// Judges the measurements one by one and notes what each changed; returns which one decided.
fn replay(
    told: &TimedReport,
    outcome: &Outcome,
    measured: &[Measured],
    policy: &config::file::Policy,
    turns: &mut Vec<TurningPoint>,
) -> Option<usize> {
    let mut assessor = Assessor::new(policy, Duration::ZERO);
    let (mut before, mut run) = (None, 0_usize);
    let mut failures = 0_usize;
    let mut pauses = told.pauses.iter().peekable();
    for (nth, (one, measurement)) in measured.iter().zip(&outcome.measurements).enumerate() {
        // What was begun before its end was not counted.
        while let Some((from, to)) = pauses.next_if(|(_, to)| *to <= one.since) {
            assessor.stopped(policy, *from, *to);
            turns.push(paused(told, *from, *to));
        }
        let was = *assessor.standing();
        let at = slot(policy, one.since);
        assessor.push(
            policy,
            Sample {
                at,
                verdict: one.verdict,
            },
        );
        let now = *assessor.standing();
        failures += usize::from(one.verdict != Verdict::Pass);
        let mut say = |text: String| turns.push(turn(told, one.since, text));
        match (before, one.verdict) {
            (None, _) => say(format!(
                "first measurement: {}",
                describe_measurement(measurement)
            )),
            (Some(before), verdict) if before == verdict => {}
            (Some(_), Verdict::Pass) => {
                let missed = counted(run, "measurement", "measurements");
                say(format!(
                    "recovered after {missed}: {}",
                    describe_measurement(measurement)
                ));
            }
            (Some(_), _) if failures == 1 => {
                say(format!(
                    "first failure: {}",
                    describe_measurement(measurement)
                ));
            }
            (Some(Verdict::Pass), _) => say(format!(
                "failed again: {}",
                describe_measurement(measurement)
            )),
            (Some(_), _) => say(format!("now {}", describe_measurement(measurement))),
        }
        if one.verdict == Verdict::Fail && now.failed == was.failed && before != Some(Verdict::Fail)
        {
            say("it is still starting: this failure does not count".into());
        }
        if let (None, Some(_)) = (was.passed_at, now.passed_at) {
            let in_row = counted(now.streak as usize, "success", "successes");
            say(match policy.soak.get() {
                Duration::ZERO => format!("threshold reached: {in_row} in a row"),
                soak => format!(
                    "threshold reached: {in_row} in a row; the soak of {} begins",
                    span(soak)
                ),
            });
        }
        run = if before == Some(one.verdict)
            || before.is_some_and(|b| b != Verdict::Pass) && one.verdict != Verdict::Pass
        {
            run + 1
        } else {
            1
        };
        before = Some(one.verdict);
        if let Ok(conclusion) = assessor.stands(policy, at) {
            // Another rule than ours ended it, or the report left measurements out.
            return (conclusion.verdict == outcome.verdict && nth + 1 == measured.len())
                .then_some(nth + 1);
        }
    }
    let ended = Duration::from_millis(outcome.duration_ms);
    let left = pauses.filter(|(from, _)| *from <= ended);
    turns.extend(left.map(|(from, to)| paused(told, *from, *to)));
    None
}

fn paused(told: &TimedReport, from: Duration, to: Duration) -> TurningPoint {
    let lasted = span(to.saturating_sub(from));
    let text = format!("the gate itself was stopped for {lasted}: nothing was measured");
    turn(told, from, text)
}

/// The slot that a measurement was made for: it starts a little later.
fn slot(policy: &config::file::Policy, since: Duration) -> Duration {
    let first = policy.initial_delay.get();
    let interval = policy.interval.get().max(Duration::from_millis(1));
    let nth = since.saturating_sub(first).as_nanos() / interval.as_nanos();
    first + interval.saturating_mul(u32::try_from(nth).unwrap_or(u32::MAX))
}

fn describe_measurement(measurement: &Measurement) -> String {
    let mut text = measurement.verdict.to_string();
    if let Some(value) = &measurement.value {
        text.push_str(&format!(" {value}"));
    }
    // A refused connection is its own reason.
    let said = |reason: &&String| !text.ends_with(reason.as_str());
    if let Some(reason) = measurement.reason.as_ref().filter(said) {
        text.push_str(&format!(", {reason}"));
    }
    // An interval of a comparison takes no time of its own.
    if measurement.duration_ms == 0 {
        return text;
    }
    format!(
        "{text} (took {})",
        span(Duration::from_millis(measurement.duration_ms))
    )
}

fn turn(told: &TimedReport, since: Duration, text: String) -> TurningPoint {
    TurningPoint {
        since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        clock: clock(told.started_at, since),
        text,
    }
}

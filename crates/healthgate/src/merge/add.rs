//! The outcomes of all shards, each once: the counts of groups are added, for all others the worst
//! is kept.

use std::time::Duration;

use model::id::{Id, Kind};
use model::report::v1;
use model::{Measurement, Member, MemberCounts, Outcome, Severity, Tally, Verdict};

use super::part::Part;

/// More than any list of endpoints has; sums of it stay far from an overflow.
const MAX_ENDPOINTS: usize = 1_000_000_000;
/// Of a group's measurements.
const MAX_MEASUREMENTS: usize = 200;

/// The outcome whose numbers cannot be true, if there is one.
pub(super) fn damaged(report: &v1::Report) -> Option<&v1::Outcome> {
    report.outcomes.iter().find(|outcome| {
        let Some(members) = &outcome.members else {
            return false;
        };
        let counts = [
            members.passed,
            members.failed,
            members.errors,
            members.inconclusive,
        ];
        let sane = counts.iter().all(|count| *count <= members.total)
            && counts.iter().sum::<usize>() <= members.total
            && members.total <= members.all
            && members.all <= MAX_ENDPOINTS
            && (1..=members.all).contains(&members.all_required);
        !sane
    })
}

pub(super) fn added(parts: Vec<Part>) -> Vec<Outcome> {
    let named = parts.iter().any(|part| {
        let asked = |one: &v1::Outcome| one.verdict != Verdict::Skipped;
        part.report.outcomes.iter().any(asked)
            && part
                .report
                .outcomes
                .iter()
                .all(|one| one.id.kind() != Kind::Identity)
    });
    let mut rows: Vec<(Id, Vec<v1::Outcome>)> = Vec::new();
    for outcome in parts.into_iter().flat_map(|part| part.report.outcomes) {
        // Whose probes name no release rely on the others.
        if named && outcome.id.kind() == Kind::Identity && outcome.verdict == Verdict::Inconclusive
        {
            continue;
        }
        match rows.iter_mut().find(|(id, _)| *id == outcome.id) {
            Some((_, same)) => same.push(outcome),
            None => rows.push((outcome.id.clone(), vec![outcome])),
        }
    }
    rows.into_iter()
        .map(|(_, same)| merge_outcome(same))
        .collect()
}

/// The same probe in several shards.
fn merge_outcome(same: Vec<v1::Outcome>) -> Outcome {
    if same.iter().any(|one| one.members.is_some()) {
        return group(same);
    }
    // The first of the worst; a shard that skipped it does not count.
    let weight = |one: &v1::Outcome| (one.weighs(), one.verdict);
    let worst = same.iter().map(weight).max();
    let first = same.into_iter().find(|one| Some(weight(one)) == worst);
    let outcome = first.map_or_else(|| Outcome::inconclusive("", ""), read);
    if outcome.verdict == Verdict::Skipped {
        return unasked(outcome);
    }
    outcome
}

/// Every shard skipped it, so its verdict is unknown.
fn unasked(outcome: Outcome) -> Outcome {
    Outcome::inconclusive(outcome.id, outcome.subject)
        .severity(outcome.severity)
        .expected("one shard that measures it")
        .actual("skipped by all")
        .reason("no shard measured it")
        .hint("run all shards with the same configuration, and with the same `--only`")
}

fn group(same: Vec<v1::Outcome>) -> Outcome {
    let (counted, other): (Vec<_>, Vec<_>) =
        same.into_iter().partition(|one| one.members.is_some());
    let sizes = |one: &v1::Outcome| one.members.as_ref().map(|it| (it.all, it.all_required));
    let first = counted.first().and_then(sizes);
    let agreed = counted.iter().all(|one| sizes(one) == first);
    let (all, required) = first.unwrap_or_default();
    let mut tally = Tally {
        total: all,
        required,
        ..Tally::default()
    };
    let named = |one: &v1::Outcome| one.members.as_ref().is_some_and(|it| it.names_release);
    let names_release = counted.iter().any(named);
    let (mut asked, mut not_passed, mut measurements) = (0, Vec::new(), Vec::new());
    // Where the shards differ, the stricter one counts.
    let lenient = |one: &v1::Outcome| one.severity == Severity::Advisory;
    let severity = if counted.iter().all(lenient) {
        Severity::Advisory
    } else {
        Severity::Required
    };
    let mut outcome = None;
    for mut one in counted {
        if let Some(members) = one.members.take() {
            asked += members.total;
            // Where members of another shard named the release, those that named none prove nothing.
            if members.names_release == names_release {
                tally.passed += members.passed;
            } else {
                tally.inconclusive += members.passed;
            }
            tally.failed += members.failed;
            tally.errors += members.errors;
            tally.inconclusive += members.inconclusive;
            not_passed.extend(members.not_passed);
        }
        let one = read(one);
        measurements.extend(one.measurements.clone());
        // Hint and subject of the one that went worst.
        let worse = |before: &Outcome| before.verdict < one.verdict;
        if outcome.as_ref().is_none_or(worse) {
            outcome = Some(one);
        }
    }
    let mut outcome = outcome.unwrap_or_else(|| Outcome::inconclusive("", ""));
    // The order of names makes the order of reports invisible.
    not_passed.sort_by(|a, b| b.verdict.cmp(&a.verdict).then(a.member.cmp(&b.member)));
    measurements.sort_by_key(|one| one.at);
    if measurements.len() > MAX_MEASUREMENTS {
        measurements.drain(MAX_MEASUREMENTS / 2..measurements.len() - MAX_MEASUREMENTS / 2);
    }
    let first = not_passed
        .first()
        .map(|one| format!(": {}: {}", one.member, one.reason));
    let first = first.unwrap_or_default();
    let verdict = tally.verdict().unwrap_or(Verdict::Inconclusive);
    let (verdict, reason) = if !agreed {
        let reason = "the shards did not have the same list of endpoints".to_owned();
        (Verdict::Error.max(verdict), reason)
    } else if asked > all {
        let reason = format!("the shards measured {asked} of {all} endpoints");
        (Verdict::Error.max(verdict), reason)
    } else {
        (verdict, compared(verdict, &tally, &first))
    };
    // A shard that could not even make the probe has no counts, and is not silent about it.
    let worst = other
        .into_iter()
        .filter(|one| one.verdict > Verdict::Pass)
        .max_by_key(|one| one.verdict);
    if let Some(worst) = worst.filter(|worst| worst.verdict > verdict) {
        return read(worst);
    }
    outcome.severity = severity;
    outcome.verdict = verdict;
    outcome.expected = Some(format!("{required} of {all} pass"));
    outcome.actual = Some(tally.to_string());
    outcome.reason = Some(reason);
    if verdict == Verdict::Pass {
        outcome.hint = None;
    }
    outcome.measurements = measurements;
    outcome.members = Some(MemberCounts {
        tally,
        all,
        all_required: required,
        names_release,
        not_passed: not_passed
            .into_iter()
            .take(MemberCounts::MAX_SHOWN)
            .map(|one| Member {
                name: one.member,
                verdict: one.verdict,
                reason: one.reason,
            })
            .collect(),
    });
    outcome
}

/// Why the counts give this verdict; `first` describes the first that did not pass.
fn compared(verdict: Verdict, tally: &Tally, first: &str) -> String {
    let (passed, required) = (tally.passed, tally.required);
    match verdict {
        Verdict::Pass => format!("passed ({passed}) ≥ required ({required})"),
        Verdict::Fail => {
            let (failed, allowed) = (tally.failed, tally.allowed());
            format!("failed ({failed}) > allowed ({allowed}){first}")
        }
        _ => format!("passed ({passed}) < required ({required}){first}"),
    }
}

/// An outcome as it was.
fn read(one: v1::Outcome) -> Outcome {
    let mut outcome = Outcome::new(one.id, one.subject, one.verdict)
        .severity(one.severity)
        .took(Duration::from_millis(one.duration_ms));
    outcome.expected = one.expected;
    outcome.actual = one.actual;
    outcome.reason = one.reason;
    outcome.hint = one.hint;
    outcome.policy = one.policy.clone();
    outcome.limits = one.limits.as_ref().map(Into::into).unwrap_or_default();
    let measurement = |one: v1::Measurement| {
        Some(Measurement {
            at: one.at.parse().ok()?,
            verdict: one.verdict,
            value: one.value,
            reason: one.reason,
            duration: Duration::from_millis(one.duration_ms),
            evidence: one.evidence,
        })
    };
    outcome.measurements(
        one.measurements
            .into_iter()
            .filter_map(measurement)
            .collect(),
    )
}

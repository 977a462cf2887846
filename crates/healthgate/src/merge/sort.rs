//! Which reports belong together, which are missing, and which are there twice.

use std::collections::{BTreeMap, BTreeSet};

use model::release::Match;
use model::{Outcome, Shard, Verdict};

use super::part::Part;
use model::report::v1;

/// What the merge itself was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct MergeRequest {
    pub(super) release: Option<String>,
    pub(super) environment: Option<String>,
}

/// A report that cannot be counted.
pub(super) fn unusable(name: String, reason: String) -> Outcome {
    Outcome::error(format!("report/{name}"), name)
        .expected("the report of a shard of this gate")
        .actual(reason.clone())
        .reason(reason)
        .hint("name only the reports that `healthgate --shard N/ALL --report FILE` wrote")
}

/// The reports that count, one for each shard, and notes about the others.
pub(super) fn sorted(
    parts: Vec<Part>,
    mut told: Vec<Outcome>,
    wanted: &MergeRequest,
) -> (Vec<Part>, Vec<Outcome>) {
    let (mut parts, unwanted) = as_wanted(parts, wanted);
    told.extend(unwanted);
    parts.sort_by(|a, b| (a.shard.index, &a.name).cmp(&(b.shard.index, &b.name)));
    let (parts, strangers) = of_one_gate(parts);
    told.extend(strangers);
    told.sort_by(|a, b| a.id.cmp(&b.id));
    let Some(count) = parts.first().map(|part| part.shard.count) else {
        return (parts, told);
    };
    let mut by_index: BTreeMap<u32, Vec<Part>> = (1..=count).map(|n| (n, Vec::new())).collect();
    for part in parts {
        by_index.entry(part.shard.index).or_default().push(part);
    }
    let mut counted = Vec::new();
    for (index, mut same) in by_index {
        let shard = Shard { index, count };
        match same.len() {
            1 => {
                told.extend(same.first().and_then(beyond_its_outcomes));
                counted.append(&mut same);
            }
            0 => told.push(odd(shard, "no report of it", "none").hint(format!(
                "look at the job of shard {shard}: it wrote none, or it was not fetched"
            ))),
            _ => {
                // Which of them is the right one is not known.
                let names: Vec<_> = same.iter().map(|part| part.name.as_str()).collect();
                let names = names.join(", ");
                let reason = format!("reported more than once: {names}");
                told.push(
                    odd(shard, &reason, &names)
                        .hint("name each shard's report once, the one of the last attempt"),
                );
            }
        }
    }
    (counted, told)
}

fn odd(shard: Shard, reason: &str, actual: &str) -> Outcome {
    Outcome::inconclusive(format!("shard/{}", shard.index), shard.to_string())
        .expected("one report of each shard")
        .actual(actual)
        .reason(format!("shard {shard}: {reason}"))
}

/// Keeps reports of the requested release and environment: a pass of another release proves nothing
/// about this one.
fn as_wanted(parts: Vec<Part>, wanted: &MergeRequest) -> (Vec<Part>, Vec<Outcome>) {
    let (mut kept, mut told) = (Vec::new(), Vec::new());
    for part in parts {
        let rule = part.report.release_match.unwrap_or_default();
        let same = |is: &String, wanted: &String| rule.same(is, wanted);
        let equal = |is: &String, wanted: &String| is == wanted;
        let fits = |is: &Option<String>,
                    wanted: &Option<String>,
                    same: &dyn Fn(&String, &String) -> bool| {
            let Some(wanted) = wanted else { return true };
            is.as_ref().is_some_and(|is| same(is, wanted))
        };
        let (release, environment) = (&part.report.release, &part.report.environment);
        let is = [
            (
                "release",
                release,
                &wanted.release,
                fits(release, &wanted.release, &same),
            ),
            (
                "environment",
                environment,
                &wanted.environment,
                fits(environment, &wanted.environment, &equal),
            ),
        ];
        let other = is.into_iter().find(|(.., fits)| !fits);
        match other {
            None => kept.push(part),
            Some((what, is, wanted, _)) => {
                let reason = format!(
                    "it is of {what} {}, not {}",
                    named(is.as_ref()),
                    named(wanted.as_ref())
                );
                told.push(unusable(part.name, reason));
            }
        }
    }
    (kept, told)
}

fn named(text: Option<&String>) -> &str {
    text.map_or("none", String::as_str)
}

/// Keeps the reports of the gate that most of them are of; the others are strangers.
fn of_one_gate(parts: Vec<Part>) -> (Vec<Part>, Vec<Outcome>) {
    // By the rule that all of them had, otherwise by none: the rule of a single report does not count.
    let mut rules = parts.iter().map(|part| part.report.release_match);
    let rule = rules.next().flatten().unwrap_or_default();
    let agreed = rules.all(|other| other.unwrap_or_default() == rule);
    let rule = if agreed { rule } else { Match::default() };
    let names: BTreeSet<String> = parts
        .iter()
        .filter_map(|part| part.report.release.clone())
        .collect();
    let called = |release: &str| {
        let names = names.iter().map(String::as_str);
        rule.longest(release, names).to_owned()
    };
    let gate = |part: &Part| {
        let report = &part.report;
        (
            report.release.as_deref().map(called),
            report.environment.clone(),
            report.service.clone(),
            // Not the attempt: one shard may be run again after the others.
            report.context.run_id.clone(),
            part.shard.count,
        )
    };
    let mut gates = BTreeMap::new();
    for part in &parts {
        *gates.entry(gate(part)).or_insert(0) += 1;
    }
    // The last of several equals, whatever the order they came in.
    let Some(most) = gates.iter().max_by_key(|(_, count)| **count) else {
        return (parts, Vec::new());
    };
    let most = most.0.clone();
    let (ours, strangers): (Vec<_>, Vec<_>) =
        parts.into_iter().partition(|part| gate(part) == most);
    let told = strangers.into_iter().map(|part| {
        let (release, environment, service, run, count) = gate(&part);
        let reason = format!(
            "it is of another gate: release {}, environment {}, service {}, run {}, {count} shards",
            named(release.as_ref()),
            named(environment.as_ref()),
            named(service.as_ref()),
            named(run.as_ref())
        );
        unusable(part.name, reason)
    });
    (ours, told.collect())
}

/// What a shard's report says beyond its outcomes: it may have ended before it had any.
fn beyond_its_outcomes(part: &Part) -> Option<Outcome> {
    let report = &part.report;
    let known = Verdict::of(report.outcomes.iter().map(v1::Outcome::weighs));
    if report.verdict <= known && !report.outcomes.is_empty() {
        return None;
    }
    let verdict = report.verdict.max(Verdict::Inconclusive);
    Some(
        Outcome::new(format!("shard/{}", part.shard.index), &part.name, verdict)
            .expected("a gate that came to its end")
            .actual(report.reason.clone())
            .reason(report.reason.clone())
            .hint(format!("look at the job of shard {}", part.shard)),
    )
}

//! A judgement in words: expected, actual, reason, and the next step.

use jiff::{SignedDuration, Timestamp};
use model::text::span;
use model::{Measurement, Outcome, Verdict};

use crate::evidence::age;
use crate::{Evidence, Judgement, Pool, Source, State, Supply};

/// Of runners with the same trouble, so many are named.
const MAX_SHOWN: usize = 5;

/// The outcome of a pool. `known` are the runners that `runner-check restart` can reach.
pub fn outcome(
    id: String,
    pool: &Pool,
    judgement: &Judgement,
    at: Timestamp,
    known: &[&str],
) -> Outcome {
    let verdict = verdict(judgement);
    let contradictions = judgement.contradictions();
    let mut actual = judgement.to_string();
    if judgement.state == State::Busy {
        actual.push_str("; all are busy, so the job waits for one");
    }
    let on_demand = judgement.supply.max_start_time().is_some();
    if judgement.state == State::Unknown && judgement.refusal.is_some()
        || judgement.runners.is_empty()
        || on_demand
    {
        // The runner that takes the job need not be in the list then.
        let passed_by_list =
            |e: &&Evidence| !(judgement.state == State::OnDemand && e.source == Source::List);
        for evidence in judgement.about_pool.iter().filter(passed_by_list) {
            actual.push_str(&format!("; {}", quote(evidence)));
        }
    }
    actual.push_str(&unasked(judgement));
    for text in &contradictions {
        actual.push_str(&format!("\ncontradiction: {text}"));
    }
    let outcome = Outcome::new(id, pool.describe_labels(), verdict)
        .expected(expected(pool, judgement.supply))
        .actual(actual)
        .measurements(measurements(judgement, at));
    if verdict == Verdict::Pass {
        return outcome;
    }
    outcome
        .reason(format!("{}: {}", pool.scope, reason(pool, judgement)))
        .hint(hint(pool, judgement, known))
}

/// The machines that could not be asked. GitHub's list is believed without them, and it shows a
/// runner as online for a while after its machine or its service has ended.
fn unasked(judgement: &Judgement) -> String {
    let silent = |e: &&Evidence| e.source == Source::Host && !e.answered;
    let unasked = judgement.runners.iter().filter_map(|runner| {
        let evidence = runner.evidence.iter().find(silent)?;
        Some(format!(
            "\nthe machine of {} could not be queried: {}",
            runner.name, evidence.says
        ))
    });
    unasked.take(MAX_SHOWN).collect()
}

/// What a pool must have.
pub fn expected(pool: &Pool, supply: Supply) -> String {
    if let Some(within) = supply.max_start_time() {
        let within = span(within);
        return format!(
            "a job with {} gets a machine within {within}",
            pool.describe_labels()
        );
    }
    format!(
        "at least {} online with {}",
        pool.min_online,
        pool.describe_labels()
    )
}

/// Offline is an answer. No answer at all is an error, and answers that do not decide are
/// inconclusive.
fn verdict(judgement: &Judgement) -> Verdict {
    match judgement.state {
        State::Online | State::Busy | State::OnDemand => Verdict::Pass,
        State::Offline => Verdict::Fail,
        State::Unknown if judgement.answered() => Verdict::Inconclusive,
        State::Unknown => Verdict::Error,
    }
}

/// The arithmetic, and what each runner that is not up says.
fn reason(pool: &Pool, judgement: &Judgement) -> String {
    let mut parts = vec![match judgement.supply {
        Supply::Registered => format!("{judgement}, {} wanted", pool.min_online),
        Supply::FromZero { .. } | Supply::Hosted { .. } => judgement.to_string(),
    }];
    let down = judgement.runners.iter().filter(|r| !r.merged.state.is_up());
    parts.extend(
        down.take(MAX_SHOWN)
            .map(|r| format!("{} is {} ({})", r.name, r.merged.state, r.merged.reason)),
    );
    let about = judgement
        .about_pool
        .iter()
        .filter(|e| !e.answered || e.state == State::Offline);
    parts.extend(about.map(quote));
    parts.join("; ")
}

fn quote(evidence: &Evidence) -> String {
    format!("{}: {}", evidence.source, evidence.says)
}

fn hint(pool: &Pool, judgement: &Judgement, known: &[&str]) -> String {
    if judgement.passed_over {
        return format!(
            "may the runner take jobs of this repository? Look at {}, Settings, Actions, Runner groups, and at `journalctl -u 'actions.runner.*'` on its machine",
            pool.scope
        );
    }
    let late = judgement
        .about_pool
        .iter()
        .any(|e| e.source == Source::Jobs && e.state == State::Offline);
    match judgement.supply {
        Supply::FromZero { .. } if late => {
            return "why does it start none? Look at the scale set's listener and its maximum (`kubectl get autoscalingrunnersets -A`, `maxRunners`), or the autoscaler's log; `max-start-time` is the time that is expected".to_owned();
        }
        Supply::Hosted { .. } if late => {
            return "look at GitHub's status page (githubstatus.com), and at the limits and the budget of the runner's group; `max-start-time` is the time that is expected".to_owned();
        }
        _ => {}
    }
    if let Some(remedy) = judgement.runners.iter().find_map(|r| r.remedy.as_ref()) {
        return remedy.clone();
    }
    let down: Vec<&str> = judgement
        .runners
        .iter()
        .filter(|r| !r.merged.state.is_up())
        .map(|r| r.name.as_str())
        .collect();
    if let Some(name) = down.iter().find(|name| known.contains(name)) {
        return format!(
            "`runner-check restart {name}`; before it, `runner-check list` shows what each source reports"
        );
    }
    if judgement.state == State::Unknown
        && let Some(refusal) = &judgement.refusal
    {
        return refusal.hint.clone();
    }
    if judgement.runners.is_empty() {
        let shared = match pool
            .scope
            .repository()
            .and_then(|name| name.split_once('/'))
        {
            Some((owner, _)) => {
                format!(
                    "; runners that {owner} shares with it are in another list: `--org {owner}`"
                )
            }
            None => String::new(),
        };
        if judgement.vanished {
            return "runners that are gone took jobs with these labels a short while ago: if the pool scales from zero, set `scales-from-zero: true` (`--scales-from-zero`)".to_owned();
        }
        return format!(
            "compare the labels with {}'s settings, Actions, Runners: `runner-check list` shows all{shared}; for GitHub's own larger runners, set `github-hosted: true`",
            pool.scope
        );
    }
    if down.is_empty() {
        return format!(
            "start more runners, or lower `min-online` ({})",
            pool.min_online
        );
    }
    format!(
        "start {}: on its machine `sudo systemctl start 'actions.runner.*'`, then look at `journalctl -u 'actions.runner.*'`",
        down.iter().take(3).copied().collect::<Vec<_>>().join(", ")
    )
}

/// Each piece of evidence as a reading: when it was true, and what it says.
fn measurements(judgement: &Judgement, at: Timestamp) -> Vec<Measurement> {
    let named = judgement.runners.iter().flat_map(|r| &r.evidence);
    named
        .chain(&judgement.about_pool)
        .map(|evidence| {
            let verdict = match evidence.state {
                State::Online | State::Busy | State::OnDemand => Verdict::Pass,
                State::Offline => Verdict::Fail,
                State::Unknown if evidence.answered => Verdict::Inconclusive,
                State::Unknown => Verdict::Error,
            };
            let age =
                SignedDuration::try_from(evidence.age.unwrap_or_default()).unwrap_or_default();
            let runner = evidence.runner.as_ref().map(|name| format!(" {name}"));
            Measurement {
                at: at.checked_sub(age).unwrap_or(at),
                verdict,
                value: Some(format!(
                    "{}{}: {}",
                    evidence.source,
                    runner.unwrap_or_default(),
                    evidence.state
                )),
                reason: Some(evidence.says.clone()),
                duration: std::time::Duration::ZERO,
                evidence: None,
            }
        })
        .collect()
}

/// A row of the table of evidence.
pub(crate) fn row(evidence: &Evidence) -> Vec<String> {
    let says = match (evidence.answered, evidence.source) {
        (true, _) => evidence.says.clone(),
        (false, Source::Host) => format!("cannot be queried: {}", evidence.says),
        (false, _) => format!("no answer: {}", evidence.says),
    };
    vec![
        evidence.source.to_string(),
        evidence
            .runner
            .clone()
            .unwrap_or_else(|| "(pool)".to_owned()),
        evidence.state.to_string(),
        age(evidence.age),
        says,
    ]
}

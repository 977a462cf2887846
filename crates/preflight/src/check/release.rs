//! Whether this release may be deployed at all: not known bad, the environment not frozen, no rollout in
//! progress.
//!
//! Built in wherever a rollback or a rollout keeps a state. A release that was rolled back from is not
//! deployed again unless `--force` lifts the rule.

use cli::Job;
use cli::force;
use cli::rollout::in_progress;
use config::value::Weight;
use model::{Id, Outcome, Severity};
use state::{Document, Forced, Rule};

use super::{Context, Planned};

/// The id of a rule's outcome.
pub(crate) fn id(rule: &str) -> Id {
    Id::from(format!("release/{rule}"))
}

pub(crate) fn plan<'a>(scene: &'a Context<'a>) -> Vec<Planned<'a>> {
    let (job, timeout) = (scene.job, scene.timeout);
    let Some(address) = job.config.state_address().ok().flatten() else {
        return Vec::new();
    };
    let subject = address.to_string();
    let one = |rule: &str, forced: Option<&'a Forced>, judge: Judge| {
        let (id, subject) = (id(rule), subject.clone());
        let (ask_id, ask_subject) = (id.clone(), subject.clone());
        Planned {
            id: id.to_string(),
            subject,
            severity: Severity::Required,
            weight: Weight::default(),
            asks: format!("read the state {address}"),
            needs: None,
            timeout,
            wait: std::time::Duration::ZERO,
            ask: Box::pin(async move {
                let read = match job.store(address) {
                    Ok(store) => store.read().await,
                    Err(error) => Err(error),
                };
                let outcome = match read {
                    Ok(Some(document)) => judge(&document, ask_id.as_str(), job),
                    Ok(None) => Outcome::pass(ask_id, ask_subject)
                        .expected("a state that does not forbid it")
                        .actual("no release is recorded yet"),
                    // What cannot be read cannot be lifted.
                    Err(error) => {
                        let verdict = if error.refuses() {
                            model::Verdict::Refused
                        } else {
                            model::Verdict::Error
                        };
                        return Outcome::new(ask_id, ask_subject, verdict)
                            .expected("a state file that can be read")
                            .actual(error.to_string())
                            .hint(error.hint())
                            .reason(error.to_string());
                    }
                };
                match forced {
                    Some(forced) if outcome.verdict == model::Verdict::Refused => {
                        force::lifted(outcome, forced)
                    }
                    _ => outcome,
                }
            }),
        }
    };
    let of = |rule: Rule, judge| one(rule.name(), force::of(rule, &scene.forced), judge);
    let mut planned = vec![of(Rule::Frozen, frozen)];
    if job.release.is_some() {
        planned.push(of(Rule::KnownBad, known_bad));
    }
    if job.config.traffic().ok().flatten().is_some() {
        planned.push(one("rollout", None, no_rollout));
    }
    planned
}

type Judge = fn(&Document, &str, &Job) -> Outcome;

/// A deployment beneath a rollout would replace one of the releases that it compares.
fn no_rollout(document: &Document, id: &str, job: &Job) -> Outcome {
    match &document.rollout {
        None => Outcome::pass(id, job.release.as_deref().unwrap_or_default())
            .expected("no rollout in progress")
            .actual("none"),
        Some(rollout) => in_progress(id.into(), rollout),
    }
}

fn known_bad(document: &Document, id: &str, job: &Job) -> Outcome {
    let release = job.release.as_deref().unwrap_or_default();
    match document.refuse_known_bad(release) {
        None => Outcome::pass(id, release)
            .expected("a release that is not known bad")
            .actual(format!("{release} is not known bad")),
        Some(refusal) => Outcome {
            id: id.into(),
            ..refusal.hint(format!(
                "deploy a release with a fix; {}",
                force::flag(Rule::KnownBad)
            ))
        },
    }
}

fn frozen(document: &Document, id: &str, job: &Job) -> Outcome {
    let subject = job
        .environment
        .clone()
        .or(document.environment.clone())
        .unwrap_or_default();
    match document.refuse_frozen(subject.as_str()) {
        None => Outcome::pass(id, subject)
            .expected("an environment that is not frozen")
            .actual("not frozen"),
        Some(refusal) => {
            let hint = refusal.hint.clone().unwrap_or_default();
            Outcome {
                id: id.into(),
                ..refusal.hint(format!("{hint}; {}", force::flag(Rule::Frozen)))
            }
        }
    }
}

//! Whether this release may be deployed at all: not known bad, the environment not frozen.
//!
//! Built in wherever a rollback keeps a state. A release that was rolled back from is not
//! deployed again without `--force`.

use cli::Job;
use config::value::Weight;
use model::{Outcome, Severity};
use state::Document;

use super::{Planned, Scene};

pub(crate) fn plan<'a>(scene: &'a Scene<'a>) -> Vec<Planned<'a>> {
    let (job, timeout, force) = (scene.job, scene.timeout, scene.force);
    let Some(section) = &job.config.rollback else {
        return Vec::new();
    };
    let subject = section.state.to_string();
    let one = |id: &str, judge: fn(&Document, &str, &Job) -> Outcome| {
        let (id, subject) = (id.to_owned(), subject.clone());
        let (ask_id, ask_subject) = (id.clone(), subject.clone());
        Planned {
            id,
            subject,
            severity: Severity::Required,
            weight: Weight::default(),
            asks: format!("read the state {}", section.state),
            needs: None,
            timeout,
            wait: std::time::Duration::ZERO,
            ask: Box::pin(async move {
                let read = match job.store(section) {
                    Ok(store) => store.read().await,
                    Err(error) => Err(error),
                };
                let mut outcome = match read {
                    Ok(Some(document)) => judge(&document, &ask_id, job),
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
                if force && outcome.verdict == model::Verdict::Refused {
                    let reason = outcome.reason.take().unwrap_or_default();
                    outcome = outcome
                        .reason(format!("{reason}; lifted by --force"))
                        .severity(Severity::Advisory);
                }
                outcome
            }),
        }
    };
    let mut planned = vec![one("release/frozen", frozen)];
    if job.release.is_some() {
        planned.push(one("release/known-bad", known_bad));
    }
    planned
}

fn known_bad(document: &Document, id: &str, job: &Job) -> Outcome {
    let release = job.release.as_deref().unwrap_or_default();
    match document.known_bad(release) {
        None => Outcome::pass(id, release)
            .expected(format!("{release} is not known bad"))
            .actual(format!("{release} is not known bad")),
        Some(entry) => Outcome::refused(id, release)
            .expected(format!("{release} is not known bad"))
            .actual(format!("{} is recorded bad", entry.release))
            .reason(format!(
                "{release} is known bad: it was rolled back from at {:.0}",
                entry.changed_at.unwrap_or(entry.deployed_at)
            ))
            .hint("deploy a release with a fix, or insist with `--force`"),
    }
}

fn frozen(document: &Document, id: &str, job: &Job) -> Outcome {
    let subject = job
        .environment
        .clone()
        .or(document.environment.clone())
        .unwrap_or_default();
    match &document.frozen {
        None => Outcome::pass(id, subject)
            .expected("an environment that is not frozen")
            .actual("not frozen"),
        Some(frozen) => Outcome::refused(id, subject)
            .expected("an environment that is not frozen")
            .actual(format!("frozen by {} at {:.0}", frozen.by, frozen.at))
            .reason(format!("the environment is frozen: {}", frozen.reason))
            .hint("when a person has looked: `rollback unfreeze`; or insist with `--force`"),
    }
}

//! The state as a person asks for it.

use cli::{Failure, Job};
use engine::status::{self, StepStatus};
use model::{Outcome, Report, Verdict};
use state::Journal;
use state::journal::ROLLBACK;

use crate::session::{Session, StateSession};

/// What runs, what can be gone back to, who holds the lock.
pub(crate) async fn status(job: &Job) -> Result<Report, Failure> {
    let session = StateSession::open(job)?;
    let place = session.store.place();
    let Some(document) = session.read().await? else {
        return Ok(session.report(vec![nothing_recorded(place)]));
    };
    let release = |id: &str, release: &Option<String>| {
        let status = release
            .as_deref()
            .and_then(|r| document.status(r))
            .map_or("", |s| s.as_str());
        Outcome::pass(id, place.clone()).actual(release.as_deref().map_or("none".into(), |r| {
            format!("{r} {status}").trim_end().to_owned()
        }))
    };
    let mut outcomes = vec![
        release("state/current", &document.current),
        release("state/last-known-good", &document.last_known_good),
    ];
    outcomes.push(match &document.lock {
        None => Outcome::pass("state/lock", place.clone()).actual("free"),
        Some(lock) => {
            let fate = job.fate(lock).await;
            let outcome = Outcome::pass("state/lock", place.clone());
            if fate.is_gone() {
                outcome.actual(format!(
                    "left behind by {}, {}: the next operation takes it over",
                    lock.holder,
                    fate.reason()
                ))
            } else {
                outcome.actual(format!(
                    "held by {}, {}, for `{}` since {:.0}, until {:.0}",
                    lock.holder,
                    fate.reason(),
                    lock.operation,
                    lock.acquired,
                    lock.expires
                ))
            }
        }
    });
    let frozen = document.refuse_frozen(place.as_str());
    outcomes.push(match frozen {
        None => Outcome::pass("state/frozen", place.clone()).actual("no"),
        Some(refusal) => Outcome {
            id: "state/frozen".into(),
            verdict: Verdict::Fail,
            ..refusal
        },
    });
    if let Some(rollout) = &document.rollout {
        let outcome = Outcome::pass("state/rollout", place.clone());
        outcomes.push(outcome.actual(format!(
            "{rollout} since {:.0}, begun by {}",
            rollout.changed, rollout.by
        )));
    }
    if let Some(database) = &document.database {
        let outcome = Outcome::pass("state/database", place.clone());
        let release = database.release.as_deref();
        let release = release.map(|release| format!(" for {release}"));
        outcomes.push(outcome.actual(format!(
            "schema {} since {:.0}{}",
            database.revision,
            database.at,
            release.unwrap_or_default()
        )));
    }
    let unfinished = session.store.unfinished(ROLLBACK).await?;
    match unfinished {
        None => {
            outcomes.push(Outcome::pass("state/journal", place).actual("no unfinished rollback"));
        }
        Some(journal) => outcomes.extend(journalled(&journal)),
    }
    Ok(session.report(outcomes))
}

/// The releases that were recorded.
pub(crate) async fn history(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let Some(document) = session.read().await? else {
        return Ok(session.report(vec![nothing_recorded(session.store.place())]));
    };
    let outcomes = document.history.iter().map(|entry| {
        let mut actual = format!(
            "{}, deployed at {:.0}",
            entry.status.as_str(),
            entry.deployed_at
        );
        for (name, value) in [
            ("run", &entry.run),
            ("digest", &entry.digest),
            ("image", &entry.image),
            ("task definition", &entry.task_definition),
            ("schema", &entry.schema_revision),
        ] {
            if let Some(value) = value {
                actual.push_str(&format!(", {name} {value}"));
            }
        }
        for (name, values) in [
            ("works with schema", &entry.compatible_with),
            ("kept", &entry.retained),
        ] {
            if !values.is_empty() {
                actual.push_str(&format!(", {name} {}", values.join(" ")));
            }
        }
        for forced in &entry.forced {
            let state::Forced {
                rule,
                reason,
                by,
                at,
            } = forced;
            actual.push_str(&format!(", {rule} lifted by {by} at {at:.0}: {reason}"));
        }
        Outcome::pass(format!("history/{}", entry.release), entry.release.clone()).actual(actual)
    });
    Ok(session.report(outcomes.collect()))
}

pub(crate) fn nothing_recorded(path: String) -> Outcome {
    Outcome::inconclusive("state/file", path)
        .expected("a state file")
        .actual("no file")
        .reason("no release was recorded yet")
        .hint("after a deployment whose gate passed: `rollback record --release RELEASE`")
}

/// What `status` reports about a rollback that has not ended.
fn journalled(journal: &Journal) -> Vec<Outcome> {
    let (destination, left) = journal.plan().unwrap_or(("?", None));
    let (goal, hint) = match journal.aborting() {
        Some(reason) => (
            format!("is being undone ({reason})"),
            "if it is not running: `rollback resume` puts the rest back",
        ),
        None => (
            "has not ended".to_owned(),
            "if it is not running: `rollback resume` finishes it, `rollback abort` puts back what was",
        ),
    };
    let mut outcomes = vec![
        Outcome {
            id: "state/journal".into(),
            verdict: Verdict::Fail,
            ..journal.refuse_beside()
        }
        .actual(format!(
            "a rollback from {} to {destination} {goal}",
            state::release_shown(left)
        ))
        .hint(hint),
    ];
    for name in status::begun(journal) {
        let id = format!("journal/{name}");
        let outcome = match status::of(journal, &name) {
            StepStatus::Done => Outcome::pass(id, destination).actual("done"),
            StepStatus::Restored => Outcome::pass(id, destination).actual("put back"),
            StepStatus::Failed(reason) => Outcome::fail(id, destination)
                .expected("done")
                .actual(format!("failed: {reason}"))
                .reason(reason)
                .hint("`rollback resume` makes it again"),
            StepStatus::Begun | StepStatus::Untouched => Outcome::inconclusive(id, destination)
                .expected("done")
                .actual("begun; whether it was made was not written down")
                .reason("it was interrupted, or is being made")
                .hint("`rollback resume` makes it again"),
        };
        outcomes.push(outcome);
    }
    outcomes
}

//! The state as a person asks for it.

use cli::{Failure, Job};
use jiff::Timestamp;
use model::{Outcome, Report};
use state::Journal;

use crate::session::{Session, journal_failure};

/// What runs, what can be gone back to, who holds the lock.
pub(crate) fn status(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let path = session.store.path().display().to_string();
    let Some(document) = session.read()? else {
        return Ok(session.report(vec![nothing_recorded(path)]));
    };
    let release = |id: &str, release: &Option<String>| {
        let status = release
            .as_deref()
            .and_then(|r| document.status(r))
            .map_or("", |s| s.as_str());
        Outcome::pass(id, path.clone()).actual(release.as_deref().map_or("none".into(), |r| {
            format!("{r} {status}").trim_end().to_owned()
        }))
    };
    let mut outcomes = vec![
        release("state/current", &document.current),
        release("state/last-known-good", &document.last_known_good),
    ];
    outcomes.push(match &document.lock {
        None => Outcome::pass("state/lock", path.clone()).actual("free"),
        Some(lock) if state::store::is_free(lock, Timestamp::now()) => {
            Outcome::pass("state/lock", path.clone())
                .actual(format!("left behind by {}, who is gone", lock.holder))
        }
        Some(lock) => Outcome::pass("state/lock", path.clone()).actual(format!(
            "held by {} for `{}` since {}, until {}",
            lock.holder, lock.operation, lock.acquired, lock.expires
        )),
    });
    outcomes.push(match &document.frozen {
        None => Outcome::pass("state/frozen", path.clone()).actual("no"),
        Some(frozen) => Outcome::fail("state/frozen", path.clone())
            .expected("not frozen")
            .actual(format!("by {} at {}", frozen.by, frozen.at))
            .reason(format!("the environment is frozen: {}", frozen.reason))
            .hint("when a person has looked: `rollback unfreeze`"),
    });
    let unfinished = Journal::unfinished(session.store.path()).map_err(journal_failure)?;
    outcomes.push(match unfinished {
        None => Outcome::pass("state/journal", path).actual("no unfinished rollback"),
        Some(journal) => Outcome::fail("state/journal", journal.path().display().to_string())
            .expected("no unfinished rollback")
            .actual(format!(
                "a rollback to {} has not ended",
                journal.plan().map_or("?", |plan| plan.0)
            ))
            .reason("a rollback was interrupted, or is running")
            .hint("if nobody is at it: `rollback resume`"),
    });
    Ok(session.report(outcomes))
}

/// The releases that were recorded.
pub(crate) fn history(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let Some(document) = session.read()? else {
        return Ok(session.report(vec![nothing_recorded(
            session.store.path().display().to_string(),
        )]));
    };
    let outcomes = document.history.iter().map(|entry| {
        let mut actual = format!(
            "{}, deployed at {:.0}",
            entry.status.as_str(),
            entry.deployed_at
        );
        for (name, value) in [("run", &entry.run), ("digest", &entry.digest)] {
            if let Some(value) = value {
                actual.push_str(&format!(", {name} {value}"));
            }
        }
        Outcome::pass(format!("release/{}", entry.release), entry.release.clone()).actual(actual)
    });
    Ok(session.report(outcomes.collect()))
}

fn nothing_recorded(path: String) -> Outcome {
    Outcome::inconclusive("state/file", path)
        .expected("a state file")
        .actual("no file")
        .reason("no release was recorded yet")
        .hint("after a deployment whose gate passed: `rollback record --release VERSION`")
}

//! A rollback undone: what it changed is put back, and what could not be can be resumed.

use cli::{Failure, Job};
use model::{Outcome, Report, Verdict};
use state::Document;

use super::Rollback;
use super::fleet::{Fleet, Made, Runs};
use crate::force::Force;
use crate::hooks;
use crate::session::{Session, failure};
use target::Transition;

/// Puts back what an unfinished rollback changed, the last step first.
pub(crate) async fn abort(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let ended = put_back(&session).await;
    hooks::after(&session, ended).await
}

pub(super) async fn put_back(session: &Session<'_>) -> Result<Report, Failure> {
    let job = session.job;
    let document = session.read().await?;
    let nothing =
        || Outcome::pass("abort/nothing", "").actual("nothing to abort: no rollback is unfinished");
    let Some(journal) = session.store.unfinished().await.map_err(failure)? else {
        return Ok(session.report(vec![match only_begun(document.as_ref()) {
            Some(destination) if job.dry_run => {
                let reason = "dry run: would give up the rollback that changed nothing yet";
                Outcome::skipped("abort/rollback", destination, reason)
            }
            Some(destination) => {
                let (lease, ()) = session.acquire("abort", |_, _| ()).await?;
                let released = session.store.release(&lease, |_| ()).await;
                released.map_err(failure)?;
                Outcome::pass("abort/rollback", destination)
                    .actual("it was interrupted before it changed anything, and is given up")
            }
            None => nothing(),
        }]));
    };
    if job.dry_run {
        let reason = "dry run: would put back what the unfinished rollback changed";
        let place = journal.place();
        return Ok(session.report(vec![Outcome::skipped("abort/rollback", place, reason)]));
    }
    // Not `rollback`: a lease of that name, killed, is a rollback to go on with.
    let (lease, ()) = session.acquire("abort", |_, _| ()).await?;
    // Whoever held the lease until now may have ended it.
    let found = session.store.unfinished().await.map_err(failure)?;
    let Some((journal, destination)) = found.and_then(|journal| {
        let destination = journal.plan()?.0.to_owned();
        Some((journal, destination))
    }) else {
        session
            .store
            .release(&lease, |_| ())
            .await
            .map_err(failure)?;
        return Ok(session.report(vec![nothing()]));
    };
    let rollback = Rollback::new(session, &destination, Force::told(Vec::new()));
    session.tale.borrow_mut().began = true;
    let target = rollback.target()?;
    let left = journal.plan().and_then(|(_, left)| left.map(str::to_owned));
    let transition = Transition {
        to: &destination,
        from: left.as_deref(),
    };
    let fleet = rollback.fleet(&*target, &lease, transition, journal);
    let reason = format!("aborted by {}", session.job.actor());
    let made = fleet.restore(&reason).await;
    let ended = rollback.put_back(fleet, made, Verdict::Pass).await;
    rollback.or_release(&lease, ended).await
}

/// Where a rollback was going that has the lock and no journal yet.
fn only_begun(document: Option<&Document>) -> Option<String> {
    let lock = document?.lock.as_ref()?;
    let ours = lock.operation == "rollback";
    lock.destination.clone().filter(|_| ours)
}

impl Rollback<'_> {
    /// What was before is back, or as much of it as could be; `verdict` where all of it is.
    pub(super) async fn put_back(
        &self,
        fleet: Fleet<'_>,
        made: Result<Made, Failure>,
        verdict: Verdict,
    ) -> Result<Report, Failure> {
        let made = made?;
        let mut outcomes = made.outcomes;
        if made.interrupted {
            return self.interrupted(fleet, outcomes).await;
        }
        let undone = |outcome: &&Outcome| outcome.id.starts_with("undo/");
        let tried = outcomes.iter().filter(undone).count();
        let vector = fleet.vector().await;
        let (total, left) = (fleet.steps.len(), fleet.transition.from.map(str::to_owned));
        let elsewhere = |runs: &&Runs| runs.release.is_some() && runs.release != left;
        let wrong = vector.iter().filter(elsewhere).count();
        let wrong = if left.is_some() { wrong } else { 0 };
        if let Some(left) = left.as_deref().filter(|_| total > 1 || wrong > 0) {
            outcomes.extend(vector.iter().map(|runs| runs.outcome(left)));
        }
        if let Some(trouble) = made.trouble {
            return self.stopped(fleet, outcomes, &vector, trouble).await;
        }
        let before = left.clone().unwrap_or_else(|| "what ran before".to_owned());
        let mut report = self.session.report(outcomes);
        let destination = self.destination;
        let whole = made.failed == 0;
        if whole && wrong > 0 {
            report.verdict = if wrong == total {
                Verdict::Fail
            } else {
                Verdict::Partial
            };
            report.reason = format!(
                "every step was put back, and {wrong} of {total} hosts do not run {before}"
            );
        } else if whole {
            report.verdict = verdict;
            report.reason = match verdict {
                Verdict::Pass => format!("aborted: {before} is back"),
                _ => format!("{}; {before} is back everywhere it was left", report.reason),
            };
        } else {
            report.verdict = Verdict::Partial;
            report.reason = format!(
                "{} of {tried} steps could not be put back to {before}: `rollback resume` tries those again",
                made.failed
            );
        }
        let released = self.session.store.release(fleet.lease, |document| {
            // A rollback that was good enough is recorded before it is finished.
            if whole && left.is_some() && document.current.as_deref() == Some(destination) {
                document.current.clone_from(&left);
            }
        });
        released.await.map_err(failure)?;
        // After the lock: an open journal is found again, a lock without one is only in the way.
        if whole {
            let mut journal = fleet.journal.into_inner();
            journal.end("aborted").await.map_err(failure)?;
        }
        self.illustrate(&mut report, &vector);
        Ok(report)
    }
}

//! A rollback undone: what it changed is put back, and what could not be can be resumed.

use std::time::Duration;

use cli::{Failure, Job};
use engine::{Conclusion, Execution, RevertEnd};
use model::{Outcome, Report, Verdict};
use state::Document;
use state::journal::ROLLBACK;

use super::Rollback;
use super::ends::Findings;
use crate::hooks::{self, HookContext};
use crate::session::Session;

/// Puts back what an unfinished rollback changed, the last step first.
pub(crate) async fn abort(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let mut hook_context = HookContext::default();
    let ended = put_back(&session, &mut hook_context).await;
    hooks::after(&session, hook_context, ended).await
}

pub(super) async fn put_back(
    session: &Session<'_>,
    hook_context: &mut HookContext,
) -> Result<Report, Failure> {
    let job = session.job;
    let document = session.read().await?;
    let nothing =
        || Outcome::pass("abort/nothing", "").actual("nothing to abort: no rollback is unfinished");
    let Some(journal) = session.store.unfinished(ROLLBACK).await? else {
        return Ok(session.report(vec![match only_begun(document.as_ref()) {
            Some(destination) if job.dry_run => {
                let reason = "dry run: would give up the rollback that changed nothing yet";
                Outcome::skipped("abort/rollback", destination, reason)
            }
            Some(destination) => {
                let (lease, ()) = session.acquire("abort", |_, _| ()).await?;
                let released = session.store.release(&lease, |_| ()).await;
                released?;
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
    // The previous holder of the lease may have ended it.
    let found = session.store.unfinished(ROLLBACK).await?;
    let Some((journal, destination)) = found.and_then(|journal| {
        let destination = journal.plan()?.0.to_owned();
        Some((journal, destination))
    }) else {
        session.store.release(&lease, |_| ()).await?;
        return Ok(session.report(vec![nothing()]));
    };
    let rollback = Rollback::new(session, &destination, document.as_ref())?;
    hook_context.begin(&destination);
    let target = rollback.target()?;
    let means = rollback.execution_context(&*target, &lease);
    let execution = Execution::resume(means, journal, rollback.until(Duration::ZERO));
    let ended = revert(&rollback, &execution, hook_context).await;
    rollback.or_release(&lease, ended).await
}

async fn revert(
    rollback: &Rollback<'_>,
    execution: &Execution<'_>,
    hook_context: &HookContext,
) -> Result<Report, Failure> {
    let reason = format!("aborted by {}", rollback.session.job.actor());
    let Conclusion {
        outcomes,
        bars: timeline,
        ends: _,
        places,
        answered: _,
        end,
    } = execution.revert(&reason).await?;
    let found = Findings {
        outcomes,
        timeline,
        places,
    };
    match end {
        RevertEnd::Interrupted => rollback.interrupted(execution, found).await,
        RevertEnd::Stopped(error) => {
            let trouble = Failure::from(error);
            rollback
                .stopped(execution, found, trouble, hook_context)
                .await
        }
        RevertEnd::Reverted(reverted) => {
            let verdict = Verdict::Pass;
            rollback.reverted(execution, found, reverted, verdict).await
        }
    }
}

/// Where a rollback was going that has the lock and no journal yet.
fn only_begun(document: Option<&Document>) -> Option<String> {
    let lock = document?.lock.as_ref()?;
    let ours = lock.operation == ROLLBACK;
    lock.destination.clone().filter(|_| ours)
}

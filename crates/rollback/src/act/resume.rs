//! A rollback that was interrupted, finished.

use cli::force::Lifting;
use cli::{Failure, Job};
use engine::{Execution, status};
use model::{Id, Outcome, Report, Verdict};
use state::journal::ROLLBACK;
use state::{Document, Status};

use super::abort::put_back;
use super::{Rollback, timed};
use crate::hooks::{self, HookContext};
use crate::refuse;
use crate::session::Session;
use target::Transition;

/// Finishes an interrupted rollback. Does nothing without one.
pub(crate) async fn resume(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let mut hook_context = HookContext::default();
    let ended = Box::pin(finish(&session, &mut hook_context)).await;
    let ended = ended.map(|report| Report {
        resumed: true,
        ..report
    });
    hooks::after(&session, hook_context, ended).await
}

async fn finish(session: &Session<'_>, hook_context: &mut HookContext) -> Result<Report, Failure> {
    let job = session.job;
    let document = session.read().await?;
    let unfinished = session.store.unfinished(ROLLBACK).await?;
    let found = match (&unfinished, &document) {
        (Some(journal), _) => journal
            .plan()
            .map(|(to, _)| (to.to_owned(), journal.forced().to_vec(), false)),
        // Killed between lease and journal: the lease says where it was going. A journal has what came of it.
        (None, Some(document)) => document
            .lock
            .as_ref()
            .filter(|lock| lock.operation == ROLLBACK)
            .and_then(|lock| {
                Some((
                    lock.destination.clone()?,
                    lock.forced.clone(),
                    lock.unjudged,
                ))
            }),
        (None, None) => None,
    };
    let Some((destination, forced, is_unjudged)) = found else {
        let found = match &document {
            Some(document) => no_rollback(session, document).await,
            None => vec![nothing("")],
        };
        return Ok(session.report(found));
    };
    if unfinished.is_some_and(|journal| journal.aborting().is_some()) {
        return put_back(session, hook_context).await;
    }
    if job.dry_run {
        let reason = format!("dry run: would finish the rollback to {destination}");
        return Ok(session.report(vec![Outcome::skipped(
            "resume/rollback",
            destination,
            reason,
        )]));
    }
    let mut force = Lifting::new(forced);
    let rollback = Rollback {
        is_unjudged,
        ..Rollback::new(session, &destination, document.as_ref())?
    };
    hook_context.begin(&destination);
    let target = rollback.target()?;
    let target = &*target;
    let acquiring = session.acquire("rollback", |document, lock| {
        lock.destination = Some(destination.clone());
        lock.forced = force.requested().to_vec();
        lock.unjudged = is_unjudged;
        document.clone()
    });
    let (acquired, waited) = timed(Box::pin(acquiring)).await;
    let (lease, document) = acquired?;
    // The previous holder of the lease may have ended the journal that was found earlier.
    let found = session.store.unfinished(ROLLBACK).await?;
    let asking = Box::pin(rollback.situation(target, document));
    let situation = rollback.or_interrupted(asking).await?;
    let Some(journal) = found else {
        // Nothing was changed yet, and perhaps not everything asked.
        let (document, to) = (Some(&situation.document), Some(destination.as_str()));
        if let Err(outcome) = refuse::destination(document, to, &mut force) {
            return rollback.give_up(&lease, vec![*outcome]).await;
        }
        return rollback
            .begin(target, &lease, &situation, force, waited, hook_context)
            .await;
    };
    let steps = target.steps(Transition::to(&destination));
    if status::is_foreign(&journal, &steps) {
        let outcome = Outcome::refused(Id::refused("other-steps"), &destination)
            .expected("the journal's steps are the configuration's")
            .actual(format!("it knows {}", status::begun(&journal).join(", ")))
            .reason("the configuration names none of the places where the rollback was begun")
            .hint("put the earlier configuration back and `rollback resume`; or `rollback run` begins anew");
        return rollback.give_up(&lease, vec![outcome]).await;
    }
    let means = rollback.execution_context(target, &lease);
    let execution = Execution::resume(means, journal, rollback.until(waited));
    rollback
        .go_on(execution, &situation, &force, hook_context)
        .await
}

fn nothing(current: &str) -> Outcome {
    Outcome::pass("resume/nothing", current).actual("nothing to resume: no rollback is unfinished")
}

/// What is unfinished where no rollback is: a freeze, or a deployment that was killed half-way.
async fn no_rollback(session: &Session<'_>, document: &Document) -> Vec<Outcome> {
    let current = document.current.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    if let Some(outcome) = refuse::frozen(document) {
        let reason = outcome.reason.clone().unwrap_or_default();
        found.push(
            Outcome {
                id: "resume/frozen".into(),
                verdict: Verdict::Fail,
                ..outcome
            }
            .reason(format!("no rollback is unfinished, but {reason}")),
        );
    }
    let fate = match &document.lock {
        Some(lock) => Some((lock, session.job.fate(lock).await)),
        None => None,
    };
    if let Some((lock, fate)) = &fate
        && fate.is_in_the_way()
    {
        found.push(
            Outcome::refused(Id::refused("locked"), lock.holder.to_string())
                .expected("no operation that is under way")
                .actual(format!("`{}` is under way", lock.operation))
                .reason(format!(
                    "locked by {}, {}, for `{}`: it has not ended",
                    lock.holder,
                    fate.reason(),
                    lock.operation
                ))
                .hint("wait for it; see `rollback status`"),
        );
    } else if document.status(current) == Some(Status::Pending)
        && let Some((lock, fate)) = &fate
    {
        let how = format!(
            "`{}` of {}, {}, left its lock behind",
            lock.operation,
            lock.holder,
            fate.reason()
        );
        found.push(
            Outcome::inconclusive("resume/deployment", current)
                .expected("no deployment that was interrupted")
                .actual(how.clone())
                .reason(format!(
                    "no rollback is unfinished, but the deployment of {current} may be half-way: {how}"
                ))
                .hint(format!(
                    "`healthgate --release {current}` checks whether it works, then `rollback record --release {current}` or `rollback run`"
                )),
        );
    }
    if let Some(rollout) = &document.rollout
        && !fate.as_ref().is_some_and(|(_, fate)| fate.is_in_the_way())
    {
        found.push(
            Outcome::inconclusive("resume/rollout", &rollout.release)
                .expected("no rollout in progress")
                .actual(rollout.to_string())
                .reason(format!(
                    "no rollback is unfinished, but a rollout of {} is in progress",
                    rollout.release
                ))
                .hint("`traffic resume` goes on with it; `rollback run` or `traffic abort` takes it back"),
        );
    }
    if found.is_empty() {
        let pending = document.status(current) == Some(Status::Pending);
        let more = format!("; {current} is deployed, and neither recorded as good nor rolled back");
        let outcome = nothing(current);
        let actual = outcome.actual.clone().unwrap_or_default();
        found.push(if pending {
            outcome.actual(actual + &more)
        } else {
            outcome
        });
    }
    found
}

//! What a person takes away or notes: a lock, a freeze, a drill.

use std::time::Duration;

use cli::force;
use cli::{Failure, Job};
use jiff::Timestamp;
use model::report::v1::millis;
use model::{Outcome, Report};
use state::{RehearsedRollback, Rule};

use crate::session::{Session, StateSession};

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct UnlockFlags {
    #[command(flatten)]
    force: force::Force<Rules>,
}

#[derive(Clone, Debug)]
struct Rules;

impl force::Rules for Rules {
    const ALL: &'static [Rule] = &[Rule::Locked];
}

/// Takes the lock away.
pub(crate) async fn unlock(job: &Job, flags: &UnlockFlags) -> Result<Report, Failure> {
    let session = StateSession::open(job)?;
    let lock = session.read().await?.and_then(|document| document.lock);
    let Some(lock) = lock else {
        return Ok(session.report(vec![
            Outcome::pass("lock/free", "").actual("no lock is held"),
        ]));
    };
    let subject = lock.holder.to_string();
    let fate = job.fate(&lock).await;
    let forced = flags.force.forced(job);
    let forced = force::of(Rule::Locked, &forced);
    let mut outcomes = Vec::new();
    if fate.is_gone() {
        outcomes.extend(forced.map(force::unused));
    } else {
        let fate = fate.reason();
        let held = Rule::Locked
            .refusal(subject.as_str())
            .expected("a holder that is gone")
            .actual(format!(
                "{}, {fate}, until {:.0}",
                lock.holder, lock.expires
            ))
            .reason(format!(
                "locked by {}, {fate}, for `{}`: it may be alive",
                lock.holder, lock.operation
            ));
        let Some(forced) = forced else {
            let hint = format!("wait for it; {}", force::flag(Rule::Locked));
            return Ok(session.report(vec![held.hint(hint)]));
        };
        outcomes.push(force::lifted(held, forced));
    }
    if job.dry_run {
        return Ok(session.report(vec![Outcome::skipped(
            "lock/free",
            subject,
            "dry run: would unlock",
        )]));
    }
    session
        .store
        .update(None, |document| {
            // Only the lock that was looked at: another may have been taken meanwhile.
            if document
                .lock
                .as_ref()
                .is_some_and(|held| held.token == lock.token)
            {
                document.lock = None;
            }
            Ok(())
        })
        .await?;
    outcomes.push(Outcome::pass("lock/free", subject).actual("the lock was taken away"));
    Ok(session.report(outcomes))
}

/// Allows deployments again.
pub(crate) async fn unfreeze(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let frozen = session.read().await?.and_then(|document| document.frozen);
    let Some(frozen) = frozen else {
        return Ok(session.report(vec![
            Outcome::pass("frozen/no", "").actual("nothing is frozen"),
        ]));
    };
    if job.dry_run {
        return Ok(session.report(vec![Outcome::skipped(
            "frozen/no",
            "",
            "dry run: would unfreeze",
        )]));
    }
    let (lease, ()) = session.acquire("unfreeze", |_, _| ()).await?;
    session
        .store
        .release(&lease, |document| document.frozen = None)
        .await?;
    Ok(session.report(vec![
        Outcome::pass("frozen/no", "")
            .actual(format!("was frozen by {}: {}", frozen.by, frozen.reason)),
    ]))
}

/// A rehearsal that found out how long a rollback takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drill<'d> {
    pub(crate) destination: &'d str,
    pub(crate) takes: Duration,
}

/// Records that a rollback was rehearsed now; `preflight.rollback-ready` reads it.
pub(crate) async fn record_drill(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    session.read().await?;
    let outcome = note_drill(&session, "record-drill", None).await?;
    Ok(session.report(vec![outcome]))
}

/// Remembers a drill that was made now, as this operation.
pub(crate) async fn note_drill(
    session: &Session<'_>,
    operation: &str,
    rehearsed: Option<Drill<'_>>,
) -> Result<Outcome, Failure> {
    let (id, place) = ("drill/recorded", session.store.place());
    if session.job.dry_run {
        return Ok(Outcome::skipped(id, place, "dry run: would record a drill"));
    }
    let now = Timestamp::now();
    let (lease, ()) = session.acquire(operation, |_, _| ()).await?;
    let released = session.store.release(&lease, |document| {
        document.last_drill = Some(now);
        if let Some(Drill { destination, takes }) = rehearsed {
            document.rehearsed = Some(RehearsedRollback {
                destination: destination.to_owned(),
                takes_ms: millis(takes),
                at: now,
            });
        }
    });
    released.await?;
    Ok(Outcome::pass(id, place).actual(format!("a drill is recorded at {now:.0}")))
}

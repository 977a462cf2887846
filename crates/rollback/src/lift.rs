//! What a person takes away or notes: a lock, a freeze, a drill.

use cli::{Failure, Job};
use jiff::Timestamp;
use model::{Outcome, Report};

use crate::session::{Session, failure};

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct UnlockFlags {
    /// Take the lock away although its holder may be alive
    #[arg(long)]
    pub(crate) force: bool,
}

/// Takes the lock away.
pub(crate) async fn unlock(job: &Job, flags: &UnlockFlags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let lock = session.read().await?.and_then(|document| document.lock);
    let Some(lock) = lock else {
        return Ok(session.report(vec![
            Outcome::pass("lock/free", "").actual("no lock is held"),
        ]));
    };
    let subject = lock.holder.to_string();
    let fate = job.fate(&lock).await;
    if !flags.force && !fate.is_gone() {
        let fate = fate.reason();
        return Ok(session.report(vec![
            Outcome::refused("refused/locked", subject)
                .expected("a holder that is gone")
                .actual(format!(
                    "{}, {fate}, until {:.0}",
                    lock.holder, lock.expires
                ))
                .reason(format!(
                    "locked by {}, {fate}, for `{}`: it may be alive",
                    lock.holder, lock.operation
                ))
                .hint("wait for it, or insist with `rollback unlock --force`"),
        ]));
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
        .await
        .map_err(failure)?;
    Ok(session.report(vec![
        Outcome::pass("lock/free", subject).actual("the lock was taken away"),
    ]))
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
        .await
        .map_err(failure)?;
    Ok(session.report(vec![
        Outcome::pass("frozen/no", "")
            .actual(format!("was frozen by {}: {}", frozen.by, frozen.reason)),
    ]))
}

/// Remembers when the way back was last walked; `preflight.rollback-ready` asks for it.
pub(crate) async fn drilled(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let path = session.store.place();
    session.read().await?;
    if job.dry_run {
        let why = "dry run: would record a drill";
        return Ok(session.report(vec![Outcome::skipped("drill/recorded", path, why)]));
    }
    let now = Timestamp::now();
    let (lease, ()) = session.acquire("drilled", |_, _| ()).await?;
    session
        .store
        .release(&lease, |document| document.last_drill = Some(now))
        .await
        .map_err(failure)?;
    Ok(session.report(vec![
        Outcome::pass("drill/recorded", path).actual(format!("a drill is recorded at {now:.0}")),
    ]))
}

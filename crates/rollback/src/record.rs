//! What a person or a pipeline tells the state: a release is good, pending; a lock or a freeze
//! goes away.

use cli::{Failure, Job};
use jiff::Timestamp;
use model::{Outcome, Report};
use state::{Document, Status};

use crate::session::{Session, failure};

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Flags {
    /// Only say that the release is being deployed; it is not good yet
    #[arg(long)]
    pub pending: bool,
    /// The image's digest
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    /// Record a release that is known bad, or in a frozen environment
    #[arg(long)]
    pub force: bool,
}

#[derive(clap::Args, Clone, Debug, Default)]
pub struct UnlockFlags {
    /// Take the lock away although its holder may be alive
    #[arg(long)]
    pub force: bool,
}

/// Records the job's release.
pub async fn record(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let Some(release) = &job.release else {
        return Err(Failure::usage("no release is named").hint("pass `--release VERSION`"));
    };
    let status = if flags.pending {
        Status::Pending
    } else {
        Status::Good
    };
    let refused = |document: &Document| forbidden(document, release).filter(|_| !flags.force);
    if let Some(outcome) = session.read().await?.as_ref().and_then(refused) {
        return Ok(session.report(vec![outcome]));
    }
    if job.dry_run {
        let reason = format!("dry run: would record {release} as {}", status.as_str());
        return Ok(session.report(vec![Outcome::skipped("record/release", release, reason)]));
    }
    let (lease, again) = session
        .acquire("record", |document, _| refused(document))
        .await?;
    // A rollback may have ended between the question and the lease.
    if let Some(outcome) = again {
        session
            .store
            .release(&lease, |_| ())
            .await
            .map_err(failure)?;
        return Ok(session.report(vec![outcome]));
    }
    // What is deployed now makes a rollback void that was killed before it.
    if let Some(mut journal) = session.store.unfinished().await.map_err(failure)? {
        journal.end("superseded").await.map_err(failure)?;
    }
    let run = session.run_name();
    session
        .store
        .release(&lease, |document| {
            document.service = job.config.service.clone().or(document.service.take());
            document.environment = job.environment.clone().or(document.environment.take());
            let entry = document.deployed(release, status, Timestamp::now(), run.clone());
            entry.digest = flags.digest.clone().or(entry.digest.take());
        })
        .await
        .map_err(failure)?;
    Ok(
        session.report(vec![Outcome::pass("record/release", release).actual(
            format!(
                "{release} is recorded as {} in {}",
                status.as_str(),
                session.store.place()
            ),
        )]),
    )
}

/// The rule that forbids to deploy or record this release.
fn forbidden(document: &Document, release: &str) -> Option<Outcome> {
    let (rule, reason) = if document.status(release) == Some(Status::Bad) {
        let reason = format!("{release} is known bad: it was rolled back from");
        ("known-bad", reason)
    } else {
        let reason = &document.frozen.as_ref()?.reason;
        ("frozen", format!("the environment is frozen: {reason}"))
    };
    Some(
        Outcome::refused(format!("refused/{rule}"), release)
            .reason(reason)
            .hint("insist with `--force`; see `rollback status`"),
    )
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

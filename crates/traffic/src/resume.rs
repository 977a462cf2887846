//! A rollout whose process has ended goes on from what the state has.

use cli::{Failure, Job};
use model::{Outcome, Report};
use operation::shares::work::{ShareChange, TRAFFIC};
use state::journal::Ending;
use state::{Document, Lease, Phase, Rollout};

use crate::abort::taken_back;
use crate::foreign;
use crate::old_side;
use crate::ramp::Ramp;
use crate::refuse;
use crate::session::{Session, rollout};
use crate::switch;

/// Goes on with what was interrupted.
pub(crate) async fn resume(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let Some(current) = rollout(document.as_ref()) else {
        return match document.as_ref().and_then(Document::side_to_stop) {
            Some((document, old)) => old_side::resume(&session, document, old).await,
            None => Ok(session.report(vec![refuse::nothing("resume")])),
        };
    };
    if job.dry_run {
        let reason = format!(
            "dry run: would go on with {} at {}",
            current.release, current.share
        );
        return Ok(session.report(vec![Outcome::skipped("resume", &current.release, reason)]));
    }
    let (lease, document) = session.acquire().await?;
    let ended = Box::pin(go_on(&session, &lease, &document, Asked::Resume)).await;
    session.or_release(&lease, ended).await
}

/// By what a rollout goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// What was interrupted, or changed by another, is set again.
    Resume,
    /// What another changed stays as it is.
    Promote { no_wait: bool },
}

/// The rest of a rollout, under its lease.
pub(crate) async fn go_on(
    session: &Session<'_>,
    lease: &Lease,
    document: &Document,
    asked: Asked,
) -> Result<Report, Failure> {
    let Some(current) = rollout(Some(document)) else {
        return session
            .give_up(lease, vec![refuse::nothing("resume")])
            .await;
    };
    if current.phase == Phase::Aborting || current.abort.is_some() {
        return Box::pin(taken_back(session, lease, document)).await;
    }
    if let Some(mut journal) = session.store.unfinished(TRAFFIC).await? {
        journal.end(Ending::Superseded).await?;
    }
    let work = session.work(Some(document));
    let context = work.context();
    let router = work.router(&context)?;
    let (share, limit) = (current.share, session.section.watch_interval.get());
    if matches!(asked, Asked::Promote { .. })
        && current.phase != Phase::Setting
        && let Some(disturbed) = foreign::look(&*router, current, share, limit).await
    {
        let mut ramp = Ramp::new(session, &work, &*router, lease, current.clone(), true);
        return ramp.disturbed(disturbed).await;
    }
    if is_at_its_end(current) {
        // Where another changed it, it is set again.
        if foreign::look(&*router, current, share, limit)
            .await
            .is_none()
        {
            let outcome = Outcome::pass("resume/nothing", &current.release).actual(format!(
                "nothing to resume: {} has {share}, as it was set",
                current.release
            ));
            return session.give_up(lease, vec![outcome]).await;
        }
    }
    if let Some(share) = current.set_by_hand() {
        let change = ShareChange {
            before: current.share,
            after: share,
            restores: true,
        };
        return switch::make(session, &work, &*router, lease, current, change).await;
    }
    let rollout = current.clone();
    let no_wait = asked == Asked::Promote { no_wait: true };
    let ramp = Ramp::new(session, &work, &*router, lease, rollout, no_wait);
    Box::pin(ramp.up()).await
}

/// A share that a person set, or a ramp whose last stage is below 100 %.
pub(crate) fn is_at_its_end(rollout: &Rollout) -> bool {
    rollout.phase == Phase::Held && rollout.stages.last() == Some(&rollout.share)
}

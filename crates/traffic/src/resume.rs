//! A rollout whose process has ended goes on from what the state has.

use cli::{Failure, Job};
use model::{Outcome, Report};
use operation::shares::work::TRAFFIC;
use router::Router;
use state::journal::{Ending, Event};
use state::{Document, Lease, Phase, Rollout};

use crate::abort::taken_back;
use crate::foreign::{self, Disturbed};
use crate::old_side;
use crate::promotion::{Promotion, is_at_its_end};
use crate::ramp::Ramp;
use crate::refuse;
use crate::session::{Session, rollout};
use crate::switch;

/// Goes on with what was interrupted.
pub(crate) async fn resume(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let Some(current) = rollout(document.as_ref()) else {
        if let Some((document, old)) = document.as_ref().and_then(Document::side_to_stop) {
            return old_side::resume(&session, document, old).await;
        }
        let nothing = refuse::nothing(&session, document.as_ref(), "resume").await?;
        return Ok(session.report(nothing));
    };
    if job.dry_run {
        return would_go_on(&session, document.as_ref(), current).await;
    }
    let (lease, document) = session.acquire().await?;
    let ended = Box::pin(go_on(&session, &lease, &document, Continuation::Resume)).await;
    session.or_release(&lease, ended).await
}

/// What `resume` would do, by the rules of [`go_on`].
async fn would_go_on(
    session: &Session<'_>,
    document: Option<&Document>,
    current: &Rollout,
) -> Result<Report, Failure> {
    let release = &current.release;
    let share = current.set_by_hand().unwrap_or(current.share);
    let does = if is_taken_back(current) {
        format!("take {release} back, and prove 0%")
    } else {
        let work = session.work(document);
        let context = work.context();
        let router = work.router(&context)?;
        let refused = refuse::go_on(&*router, current).await;
        if !refused.is_empty() {
            return Ok(session.report(refused));
        }
        match changed(session, &*router, current).await {
            Some(change) => format!("set {share} again: {change}"),
            None if is_left_alone(session, current).await? => {
                return Ok(session.report(vec![nothing_left(current)]));
            }
            None => format!("go on with {release} at {share}"),
        }
    };
    let reason = format!("dry run: would {does}");
    Ok(session.report(vec![Outcome::skipped("resume", release, reason)]))
}

/// By what a rollout goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continuation {
    /// What was interrupted, or changed by another, is set again.
    Resume,
    /// What another changed stays as it is.
    Promote { promotion: Promotion, no_wait: bool },
}

/// The rest of a rollout, under its lease.
pub(crate) async fn go_on(
    session: &Session<'_>,
    lease: &Lease,
    document: &Document,
    asked: Continuation,
) -> Result<Report, Failure> {
    let Some(current) = rollout(Some(document)) else {
        let nothing = refuse::nothing(session, Some(document), "resume").await?;
        return session.give_up(lease, nothing).await;
    };
    if is_taken_back(current) {
        return Box::pin(taken_back(session, lease, document)).await;
    }
    let work = session.work(Some(document));
    let context = work.context();
    let router = work.router(&context)?;
    let refused = refuse::go_on(&*router, current).await;
    if !refused.is_empty() {
        return session.give_up(lease, refused).await;
    }
    if let Some(mut journal) = session.store.unfinished(TRAFFIC).await? {
        journal.end(Ending::Superseded).await?;
    }
    let ramp =
        |rollout: Rollout, no_wait| Ramp::new(session, &work, &*router, lease, rollout, no_wait);
    if let Continuation::Promote { promotion, no_wait } = asked {
        if let Some(disturbed) = changed(session, &*router, current).await {
            return ramp(current.clone(), no_wait).disturbed(disturbed).await;
        }
        let ramp = ramp(promotion.of(current), no_wait).promoted_by(promotion);
        return Box::pin(ramp.up()).await;
    }
    // Where another changed it, it is set again.
    if is_left_alone(session, current).await? && changed(session, &*router, current).await.is_none()
    {
        return session.give_up(lease, vec![nothing_left(current)]).await;
    }
    if let Some(share) = current.set_by_hand() {
        return Box::pin(switch::again(
            session, &work, &*router, lease, current, share,
        ))
        .await;
    }
    Box::pin(ramp(current.clone(), false).up()).await
}

/// Whether nothing but its way back is left of a rollout.
pub(crate) fn is_taken_back(rollout: &Rollout) -> bool {
    rollout.phase == Phase::Aborting || rollout.abort.is_some()
}

/// What another changed of a share that was in effect.
pub(crate) async fn changed(
    session: &Session<'_>,
    router: &dyn Router,
    current: &Rollout,
) -> Option<Disturbed> {
    if current.phase == Phase::Setting {
        return None;
    }
    let limit = session.section.watch_interval.get();
    foreign::detect(router, current, current.share, limit).await
}

/// Whether the last share was set, proved and judged. One that another changed before that was not, also where it is set again
/// meanwhile.
async fn is_left_alone(session: &Session<'_>, current: &Rollout) -> Result<bool, Failure> {
    if !is_at_its_end(current) {
        return Ok(false);
    }
    let journals = session.store.journals().await?;
    let mut journals = journals.iter().rev().map(|(_, lines)| lines);
    let last = journals.find(|lines| {
        let first = lines.first().map(|line| &line.event);
        matches!(first, Some(Event::Begin { operation: Some(name), .. }) if name == TRAFFIC)
    });
    let end = last.and_then(|lines| lines.last()).map(|line| &line.event);
    let is_foreign = matches!(
        end,
        Some(Event::End {
            ending: Ending::ForeignChange
        })
    );
    Ok(!is_foreign)
}

fn nothing_left(current: &Rollout) -> Outcome {
    let Rollout { release, share, .. } = current;
    Outcome::pass("resume/nothing", release).actual(format!(
        "nothing to resume: {release} has {share}, as it was set"
    ))
}

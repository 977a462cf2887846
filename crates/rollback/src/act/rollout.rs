//! A rollout in progress, before a rollback: everything is given back to its stable release first.

use std::iter;

use cli::Failure;
use cli::rollout::in_progress;
use config::file::Traffic;
use model::{Id, Outcome, Report, Verdict};
use operation::shares::recall::recall;
use operation::shares::work::{WayBack, WayBackEnd, Work, no_way_back};
use state::{Document, Lease, Rollout, Status, release_shown};

use crate::session::Session;

/// What became of it.
pub(super) enum RolloutEnd {
    /// Its stable release has all requests, with what proves it.
    GivenBack(Vec<Outcome>),
    /// It still is in progress, so there is no rollback.
    Remains(Box<Report>),
}

/// Ends the rollout: its process does that, where it has one, and else it is done here.
pub(super) async fn end(
    session: &Session<'_>,
    document: &Document,
    rollout: &Rollout,
    to: Option<&str>,
) -> Result<RolloutEnd, Failure> {
    if let Some(outcome) = refused(session, document, rollout, to)? {
        let report = session.report(vec![outcome]);
        return Ok(RolloutEnd::Remains(Box::new(report)));
    }
    let (job, store) = (session.job, &session.store);
    let Some(section) = job.config.traffic()? else {
        // It was refused above.
        return Ok(RolloutEnd::GivenBack(Vec::new()));
    };
    job.progress
        .show(&format!("the rollout of {} is taken back", rollout.release));
    let (lease, document) = recall(job, section, store, "a rollback").await?;
    let back = match &document.rollout {
        None => Ok(Ok(None)),
        Some(current) => Box::pin(take_back(session, section, &lease, &document, current))
            .await
            .map(|back| back.map(Some)),
    };
    let released = store.release(&lease, |_| ()).await;
    let back = back?;
    released?;
    Ok(match back {
        Ok(back) => rollout_end(session, rollout, back),
        Err(refused) => RolloutEnd::Remains(Box::new(session.report(refused))),
    })
}

/// Gives everything back, under the rollout's lease; or why nothing of it can be.
async fn take_back(
    session: &Session<'_>,
    section: &Traffic,
    lease: &Lease,
    document: &Document,
    rollout: &Rollout,
) -> Result<Result<WayBack, Vec<Outcome>>, Failure> {
    let (store, known) = (session.store.clone(), document.history.clone());
    let work = Work::new(session.job, section, store, known);
    let context = work.context();
    let router = work.router(&context)?;
    let refused = work.no_way_back(&*router, lease, rollout).await?;
    if !refused.is_empty() {
        return Ok(Err(refused));
    }
    let reason = rollout.abort.as_ref().map_or("", |asked| &asked.reason);
    let left = (Some(Status::RolledBack), reason);
    work.take_back(&*router, lease, rollout, left).await.map(Ok)
}

/// Why the rollout is not ended by a rollback.
fn refused(
    session: &Session<'_>,
    document: &Document,
    rollout: &Rollout,
    to: Option<&str>,
) -> Result<Option<Outcome>, Failure> {
    if session.job.config.traffic()?.is_none() {
        let outcome = in_progress(Id::refused("rollout"), rollout);
        let reason = outcome.reason.clone().unwrap_or_default();
        let outcome = outcome
            .reason(format!(
                "{reason}, and no router is configured that could take it back"
            ))
            .hint("add the section `traffic:` that it was begun with; or run `traffic abort` where that is");
        return Ok(Some(outcome));
    }
    let to = to.map(|to| document.name_of(to));
    let is_rolled_out = to.is_some_and(|to| to == document.name_of(&rollout.release));
    Ok(is_rolled_out.then(|| {
        in_progress(Id::refused("rollout"), rollout)
            .hint("`traffic promote` lets it have more; `traffic abort` takes it back")
    }))
}

/// The same for a plan, which also asks what the sides of the rollout run.
pub(super) async fn refused_by_plan(
    session: &Session<'_>,
    document: &Document,
    rollout: &Rollout,
    to: Option<&str>,
) -> Result<Vec<Outcome>, Failure> {
    if let Some(outcome) = refused(session, document, rollout, to)? {
        return Ok(vec![outcome]);
    }
    let Some(section) = session.job.config.traffic()? else {
        // It was refused above.
        return Ok(Vec::new());
    };
    let (store, known) = (session.store.clone(), document.history.clone());
    let work = Work::new(session.job, section, store, known);
    let context = work.context();
    let router = work.router(&context)?;
    Ok(no_way_back(&*router, rollout).await)
}

/// `back` is `None` where its own process has taken it back.
fn rollout_end(session: &Session<'_>, rollout: &Rollout, back: Option<WayBack>) -> RolloutEnd {
    let Rollout { release, share, .. } = rollout;
    let known = back.as_ref().and_then(|back| back.stable.clone());
    let stable = release_shown(known.as_deref().or(rollout.stable.as_deref()));
    let ended = |how: &str| {
        Outcome::pass("rollout", release).actual(format!(
            "{release} had {share}; {how}: {stable} has 100% again"
        ))
    };
    let Some(back) = back else {
        return RolloutEnd::GivenBack(vec![ended("its own process has taken it back")]);
    };
    let (end, outcomes) = (back.end, back.outcomes.into_iter().map(|one| one.outcome));
    if end == WayBackEnd::Whole {
        let outcomes = iter::once(ended("it was taken back"))
            .chain(outcomes)
            .collect();
        return RolloutEnd::GivenBack(outcomes);
    }
    let mut report = session.report(outcomes.collect());
    report.verdict = Verdict::Partial;
    report.reason = format!(
        "the rollout of {release} is not taken back everywhere, so there was no rollback: repair that, then `rollback run` again; {}",
        report.reason
    );
    RolloutEnd::Remains(Box::new(report))
}

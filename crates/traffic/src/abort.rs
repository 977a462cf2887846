//! The way back that a person or another job asks for: all requests to the stable release.

use cli::{Failure, Job};
use model::{Outcome, Report, Verdict};
use operation::shares::recall::recall;
use operation::shares::work::{WayBackEnd, no_way_back, places_gone, unconfigured};
use state::{AbortRequest, Document, Lease, Rollout, release_shown};

use crate::refuse;
use crate::rollout_report::RolloutReport;
use crate::session::{Session, rollout};

/// What is told of a way back that a signal left no time to prove.
pub(crate) const UNPROVED: &str = "0% is set, not yet proved: `traffic resume` proves it";

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// Why, for the job that has the ramp and for `traffic history`
    #[arg(long, value_name = "TEXT", default_value = "no reason was given")]
    reason: String,
    /// A machine that is gone for good and keeps the share it had. Remove it from the configuration first. Repeatable
    #[arg(long, value_name = "PLACE")]
    forget: Vec<String>,
}

impl Flags {
    pub(crate) fn because(reason: &str) -> Self {
        Flags {
            reason: reason.to_owned(),
            forget: Vec::new(),
        }
    }
}

/// Gives all requests back to the stable release.
pub(crate) async fn abort(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let Some(current) = rollout(document.as_ref()) else {
        let nothing = refuse::nothing(&session, document.as_ref(), "abort").await?;
        return Ok(session.report(nothing));
    };
    let reason = if flags.forget.is_empty() {
        flags.reason.clone()
    } else {
        check_gone(&session, document.as_ref(), current, &flags.forget)?;
        format!("{}; forgotten: {}", flags.reason, flags.forget.join(", "))
    };
    if job.dry_run {
        return would_take_back(&session, document.as_ref(), (current, flags), &reason).await;
    }
    let (lease, document) = recall(job, session.section, &session.store, &reason).await?;
    let ended = Box::pin(forget_and_take_back(
        &session,
        &lease,
        document,
        &flags.forget,
    ))
    .await;
    session.or_release(&lease, ended).await
}

/// What `abort` would do, by the rules of [`taken_back`].
async fn would_take_back(
    session: &Session<'_>,
    document: Option<&Document>,
    (current, flags): (&Rollout, &Flags),
    reason: &str,
) -> Result<Report, Failure> {
    let work = session.work(document);
    let context = work.context();
    let router = work.router(&context)?;
    let refused = no_way_back(&*router, current).await;
    if !refused.is_empty() {
        return Ok(session.report(refused));
    }
    let Rollout { release, .. } = current;
    let stable = current.stable_shown();
    let told = format!("dry run: would give everything back to {stable}: {reason}");
    let mut outcomes = vec![Outcome::skipped("abort", release, told)];
    let mut gone = places_gone(&*router, current);
    gone.retain(|place| !flags.forget.iter().any(|forgotten| forgotten == place));
    let kept = gone
        .iter()
        .map(|place| unconfigured(format!("share/{place}"), place, release));
    outcomes.extend(kept);
    let mut report = session.report(outcomes);
    if !gone.is_empty() {
        report.verdict = Verdict::Partial;
        report.reason = format!(
            "dry run: would give everything back to {stable}, and not at {}",
            gone.join(", ")
        );
    }
    Ok(report)
}

/// Refuses to let a place go that the rollout does not have, or that can be reached.
fn check_gone(
    session: &Session<'_>,
    document: Option<&Document>,
    current: &Rollout,
    forget: &[String],
) -> Result<(), Failure> {
    let work = session.work(document);
    let context = work.context();
    let router = work.router(&context)?;
    let gone = places_gone(&*router, current);
    let other = forget.iter().find(|place| !gone.contains(&place.as_str()));
    other.map_or(Ok(()), |place| {
        let fault = format!("`{place}` is not an unconfigured place of the rollout");
        let hint = match &gone[..] {
            [] => "all places of the rollout are configured: leave `--forget` out".to_owned(),
            gone => format!("the places that can be forgotten: {}", gone.join(", ")),
        };
        Err(Failure::usage(fault).hint(hint))
    })
}

async fn forget_and_take_back(
    session: &Session<'_>,
    lease: &Lease,
    mut document: Document,
    forget: &[String],
) -> Result<Report, Failure> {
    if !forget.is_empty() {
        let forgotten = session.store.update(Some(lease), |document| {
            if let Some(rollout) = &mut document.rollout {
                rollout.sides.retain(|place, _| !forget.contains(place));
            }
            Ok(document.clone())
        });
        document = forgotten.await?;
    }
    taken_back(session, lease, &document).await
}

/// The same under the lease.
pub(crate) async fn taken_back(
    session: &Session<'_>,
    lease: &Lease,
    document: &Document,
) -> Result<Report, Failure> {
    let Some(current) = rollout(Some(document)) else {
        let outcome = Outcome::pass("abort", "").actual("its own process has taken it back");
        return session.give_up(lease, vec![outcome]).await;
    };
    let work = session.work(Some(document));
    let context = work.context();
    let router = work.router(&context)?;
    let refused = work.no_way_back(&*router, lease, current).await?;
    if !refused.is_empty() {
        return session.give_up(lease, refused).await;
    }
    let mut found = RolloutReport::new(work.clock);
    found.mark(current.share);
    let reason = current.abort.as_ref().map(AbortRequest::to_string);
    let reason = reason.unwrap_or_else(|| "a way back was interrupted".to_owned());
    if current.abort.is_some() {
        let asked = Outcome::pass("abort/reason", &current.release);
        found.outcomes.push(asked.actual(&reason));
    }
    let finding = (Some(state::Status::RolledBack), reason.as_str());
    let mut back = work.take_back(&*router, lease, current, finding).await?;
    found.add_taken_back(&mut back);
    session.release(lease).await?;
    let mut report = session.report(found.outcomes.clone());
    let (release, stable) = (&current.release, release_shown(back.stable.as_deref()));
    match back.end {
        WayBackEnd::Whole => {
            report.headline = Some(format!("{stable} has 100% again, {release} has none"));
            report.reason = format!("{reason}; {}", report.reason);
        }
        WayBackEnd::Unproved => report.reason = format!("{reason}; {UNPROVED}"),
        WayBackEnd::Partial => {
            report.verdict = Verdict::Partial;
            report.reason = format!(
                "{stable} does not have 100% everywhere again: repair it, then `traffic abort` again; {}",
                report.reason
            );
        }
    }
    found.illustrate(&mut report);
    Ok(report)
}

//! A ramp that waits for a person is let go on, from any job or machine.

use cli::{Failure, Job};
use config::value::Share;
use model::{ExitCode, Id, Outcome, Report};
use operation::shares::work::Work;
use router::Router;
use state::{Document, Lease, Rollout};

use crate::promotion::{Promotion, left};
use crate::provable::{self, stays};
use crate::refuse;
use crate::resume::{Continuation, changed, go_on, is_taken_back};
use crate::session::{Session, rollout};

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// Up to this share. Default: the next stage; all of them where only `max-share` holds it back
    #[arg(long, value_name = "SHARE")]
    to: Option<Share>,
    /// Where no process has the ramp: end with exit code 3 at the next share that needs a promotion,
    /// instead of waiting there
    #[arg(long)]
    no_wait: bool,
}

/// Lets a ramp go on.
pub(crate) async fn promote(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let Some(current) = rollout(document.as_ref()) else {
        return Ok(session.report(vec![nothing_to_promote()]));
    };
    let to = flags.to.unwrap_or_else(|| next(&session, current));
    if is_taken_back(current) {
        return Ok(session.report(vec![being_taken_back(current)]));
    }
    if to <= current.share {
        return Err(Failure::usage(format!(
            "{} has {} already: `--to {to}` promotes nothing",
            current.release, current.share
        )));
    }
    let promotion = Promotion {
        to,
        is_named: flags.to.is_some(),
    };
    if job.dry_run {
        return would_promote(&session, document.as_ref(), current, promotion).await;
    }
    let go_on = async |lease: Lease, document: Document| {
        let asked = Continuation::Promote {
            promotion,
            no_wait: flags.no_wait,
        };
        let ended = Box::pin(go_on(&session, &lease, &document, asked)).await;
        session.or_release(&lease, ended).await
    };
    if let Ok((lease, document)) = session.acquire_now().await {
        return go_on(lease, document).await;
    }
    // Its own process goes on with it.
    let refused = {
        let work = session.work(document.as_ref());
        let context = work.context();
        let router = work.router(&context)?;
        unprovable(&work, &*router, current, promotion).await
    };
    if !refused.is_empty() {
        return Ok(session.report(refused));
    }
    let promoted = session.store.update(None, |document| {
        let rollout = document.rollout.as_mut();
        Ok(rollout.map(|rollout| promotion.apply(rollout)).is_some())
    });
    if !promoted.await? {
        return Ok(session.report(vec![nothing_to_promote()]));
    }
    let release = &current.release;
    let outcome =
        Outcome::pass("promote", release).actual(format!("{release} may have up to {to}"));
    match session.acquire_now().await {
        // It has ended since.
        Ok((lease, document)) => go_on(lease, document).await,
        Err(failure) if failure.code == ExitCode::Refused => Ok(session.report(vec![outcome])),
        Err(failure) => {
            let unknown = Outcome::inconclusive("promote/lock", release)
                .expected("a process that goes on with the ramp")
                .actual("not known")
                .reason(failure.chain())
                .hint("the promotion is recorded: `traffic resume` goes on with the ramp");
            Ok(session.report(vec![outcome, unknown]))
        }
    }
}

/// Why shares that a promotion allows cannot be set or proved in time; empty where all can.
async fn unprovable(
    work: &Work<'_>,
    router: &dyn Router,
    current: &Rollout,
    promotion: Promotion,
) -> Vec<Outcome> {
    let refused = refuse::go_on(router, current).await;
    if !refused.is_empty() {
        return refused;
    }
    let shares = left(&promotion.of(current));
    stays(provable::refusals(work, router, current, &shares).await)
}

/// What `promote` would do: what another changed stays as it is.
async fn would_promote(
    session: &Session<'_>,
    document: Option<&Document>,
    current: &Rollout,
    promotion: Promotion,
) -> Result<Report, Failure> {
    let release = &current.release;
    let work = session.work(document);
    let context = work.context();
    let router = work.router(&context)?;
    let reason = if let Some(change) = changed(session, &*router, current).await {
        format!("dry run: would promote nothing: {change}")
    } else {
        let refused = unprovable(&work, &*router, current, promotion).await;
        if !refused.is_empty() {
            return Ok(session.report(refused));
        }
        format!("dry run: would let {release} have up to {}", promotion.to)
    };
    Ok(session.report(vec![Outcome::skipped("promote", release, reason)]))
}

/// Up to where a promotion lets a ramp go that names no share.
fn next(session: &Session<'_>, rollout: &Rollout) -> Share {
    if session.section.auto_promote {
        return Share::ALL;
    }
    let later = rollout.stages.iter().copied();
    later
        .filter(|share| *share > rollout.share)
        .min()
        .unwrap_or(Share::ALL)
}

fn nothing_to_promote() -> Outcome {
    Outcome::refused(Id::refused("no-rollout"), "")
        .expected("a rollout in progress")
        .actual("none")
        .reason("there is nothing to promote: no rollout is in progress")
        .hint("`traffic ramp --release RELEASE` begins one")
}

/// To go on with it would end with the stable release everywhere, and with success.
fn being_taken_back(rollout: &Rollout) -> Outcome {
    Outcome::refused(Id::refused("taken-back"), &rollout.release)
        .expected("a rollout that goes on")
        .actual(rollout.to_string())
        .reason(format!("{} is being taken back", rollout.release))
        .hint("`traffic abort` finishes that; then `traffic ramp` begins anew")
}

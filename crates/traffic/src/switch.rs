//! One change to a share that stays: all requests to the other side, or a share that a person sets.

use std::time::Duration;

use cli::{Failure, Job};
use config::value::{Share, Side};
use model::{Outcome, Report, Verdict};
use operation::shares::work::{ChangeEnd, ShareChange, ShareChanged, Work};
use router::Router;
use state::{Document, Lease, Phase, Rollout};

use crate::finish;
use crate::old_side::Keep;
use crate::plan;
use crate::provable::{self, ProofTime};
use crate::ramp::Ramp;
use crate::refuse;
use crate::rollout_report::RolloutReport;
use crate::session::{Session, is_at_work, rollout};
use crate::side_choice::{self, Goal, OtherSide, Pair};

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct SwitchFlags {
    /// The side (`blue`, `green`) or the release that gets all requests. Default: the idle side
    #[arg(long, value_name = "SIDE|RELEASE")]
    pub(crate) to: Option<String>,
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SetFlags {
    /// The share that `--release` gets, such as `25%`
    #[arg(value_name = "SHARE")]
    pub(crate) share: Share,
}

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
struct SwitchRequest<'a> {
    goal: &'a Goal<'a>,
    share: Share,
}

/// Gives all requests to the idle side, or to the one that is named.
pub(crate) async fn switch(job: &Job, flags: &SwitchFlags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let named = flags.to.as_deref().or(job.release.as_deref());
    let goal = match named {
        Some("blue") => Goal::Side(Side::Blue),
        Some("green") => Goal::Side(Side::Green),
        Some(release) => {
            cli::check_release("--to", release)?;
            Goal::Release(release)
        }
        None => Goal::Idle,
    };
    let wish = SwitchRequest {
        goal: &goal,
        share: Share::ALL,
    };
    to(&session, wish).await
}

/// Gives `--release` this share.
pub(crate) async fn set(job: &Job, flags: &SetFlags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let goal = Goal::Release(session.named()?);
    let wish = SwitchRequest {
        goal: &goal,
        share: flags.share,
    };
    to(&session, wish).await
}

async fn to(session: &Session<'_>, wish: SwitchRequest<'_>) -> Result<Report, Failure> {
    let document = session.read().await?;
    if let Some(outcome) = forbidden(session, document.as_ref(), wish).await? {
        return Ok(session.report(vec![outcome]));
    }
    if session.job.dry_run {
        return plan::one(session, document.as_ref(), wish.goal, wish.share).await;
    }
    let (lease, document) = session.acquire().await?;
    let ended = Box::pin(under(session, &lease, &document, wish)).await;
    session.or_release(&lease, ended).await
}

/// A share that was set by hand may be set again; a ramp goes its own way.
async fn forbidden(
    session: &Session<'_>,
    document: Option<&Document>,
    wish: SwitchRequest<'_>,
) -> Result<Option<Outcome>, Failure> {
    let release = match wish.goal {
        Goal::Release(release) => *release,
        Goal::Side(_) | Goal::Idle => "",
    };
    if let Some(rollout) = rollout(document)
        && rollout.phase == Phase::Held
        && rollout.release == release
    {
        let mut without = document.cloned();
        if let Some(document) = &mut without {
            document.rollout = None;
        }
        return refuse::begin(session, without.as_ref(), release).await;
    }
    refuse::begin(session, document, release).await
}

async fn under(
    session: &Session<'_>,
    lease: &Lease,
    document: &Document,
    wish: SwitchRequest<'_>,
) -> Result<Report, Failure> {
    if let Some(outcome) = forbidden(session, Some(document), wish).await? {
        return session.give_up(lease, vec![outcome]).await;
    }
    let work = session.work(Some(document));
    let context = work.context();
    let router = work.router(&context)?;
    if let Some(rollout) = &document.rollout {
        let refused = refuse::go_on(&*router, rollout).await;
        if !refused.is_empty() {
            return session.give_up(lease, refused).await;
        }
    }
    let beside = if wish.share.is_all() {
        OtherSide::MayBeDown
    } else {
        OtherSide::Answers
    };
    let mut pair = match side_choice::pair(&work, &*router, wish.goal.clone(), beside).await {
        Ok(pair) => pair,
        Err(outcome) => return session.give_up(lease, vec![*outcome]).await,
    };
    if document.known_bad(&pair.release).is_some() && wish.share > pair.share {
        let known_bad = refuse::begin(session, Some(document), &pair.release).await?;
        if let Some(outcome) = known_bad {
            return session.give_up(lease, vec![outcome]).await;
        }
    }
    if wish.share > pair.share {
        let gate = config::healthgate_for(&session.job.config, &pair.release)?;
        let unhealthy = side_choice::unhealthy(&work, &*router, &pair, gate.as_ref()).await;
        if let Some(outcome) = unhealthy {
            return session.give_up(lease, vec![outcome]).await;
        }
        if !session.section.switch_delay.get().is_zero() {
            if let Some(outcome) = delay(session, lease, &pair.release).await? {
                return session.give_up(lease, vec![outcome]).await;
            }
            // What was true before the delay may have ended in it.
            let goal = Goal::Release(&pair.release);
            let again = side_choice::pair(&work, &*router, goal, beside).await;
            let unhealthy = match &again {
                Ok(pair) => side_choice::unhealthy(&work, &*router, pair, gate.as_ref()).await,
                Err(outcome) => Some((**outcome).clone()),
            };
            if let Some(outcome) = unhealthy {
                return session.give_up(lease, vec![outcome]).await;
            }
            pair = again.unwrap_or(pair);
        }
    }
    if wish.share < pair.share
        && let Some(outcome) = gains(session, document, &work, &*router, &pair).await?
    {
        return session.give_up(lease, vec![outcome]).await;
    }
    let proof = ProofTime::measure(&work, &*router, &pair.sides, &pair.release).await;
    let refused = proof.refusals(&*router, &pair.sides, pair.share, &[wish.share]);
    if !refused.is_empty() {
        return session.give_up(lease, refused).await;
    }
    let share = wish.share.max(pair.share);
    let rollout = pair.rollout(session.job, share, vec![wish.share]);
    let change = ShareChange {
        before: pair.share,
        after: wish.share,
        restores: true,
    };
    let begun = session.begin_rollout(lease, &rollout);
    let changing = work.change_once(&*router, lease, &rollout, change, begun);
    let changed = Box::pin(changing).await?;
    let before = document.rollout.clone();
    conclude(
        session,
        &work,
        &*router,
        (lease, &rollout, before),
        change,
        changed,
    )
    .await
}

/// Why the release beside the one that is named may not get what that one loses. The stable release of a
/// rollout gets it back in any case.
async fn gains(
    session: &Session<'_>,
    document: &Document,
    work: &Work<'_>,
    router: &dyn Router,
    pair: &Pair,
) -> Result<Option<Outcome>, Failure> {
    let Some(other) = pair.other_side() else {
        return Ok(None);
    };
    if rollout(Some(document)).is_some_and(|rollout| rollout.stable == pair.stable) {
        return Ok(None);
    }
    if document.known_bad(&other.release).is_some() {
        return refuse::begin(session, Some(document), &other.release).await;
    }
    let gate = config::healthgate_for(&session.job.config, &other.release)?;
    Ok(side_choice::unhealthy(work, router, &other, gate.as_ref()).await)
}

/// Waits before the switch; the outcome, where a signal came before it.
async fn delay(
    session: &Session<'_>,
    lease: &Lease,
    release: &str,
) -> Result<Option<Outcome>, Failure> {
    let progress = &session.job.progress;
    progress.show(&format!("{release} is healthy; the switch waits"));
    tokio::select! {
        () = tokio::time::sleep(session.section.switch_delay.get()) => Ok(None),
        error = session.keep(lease) => Err(error.into()),
        _ = session.job.interrupt.wait() => Ok(Some(
            Outcome::inconclusive("switch/interrupted", release)
                .expected("the switch is made")
                .actual("interrupted before it")
                .reason("interrupted before the switch; nothing was changed")
                .hint("run it again"),
        )),
    }
}

/// Sets the share of a rollout that was written down again. What a person left as it is stays so where that fails; what
/// a process changed that has ended goes back, because nothing tells which share was in effect before.
pub(crate) async fn again(
    session: &Session<'_>,
    work: &Work<'_>,
    router: &dyn Router,
    lease: &Lease,
    rollout: &Rollout,
    share: Share,
) -> Result<Report, Failure> {
    let was_at_work = is_at_work(rollout.phase);
    let change = ShareChange {
        before: rollout.share,
        after: share,
        restores: !was_at_work,
    };
    let back = || Ramp::new(session, work, router, lease, rollout.clone(), true);
    let refused = provable::refusals(work, router, rollout, &[share]).await;
    if !refused.is_empty() {
        return back().unprovable(refused).await;
    }
    let changed = work.change(router, lease, rollout, change).await?;
    match &changed.end {
        ChangeEnd::Impossible
        | ChangeEnd::Failed
        | ChangeEnd::Unproved
        | ChangeEnd::PutBack { .. }
            if was_at_work =>
        {
            back().again_in_vain(share, changed).await
        }
        _ => {
            let before = Some(rollout.clone());
            let of = (lease, rollout, before);
            conclude(session, work, router, of, change, changed).await
        }
    }
}

/// What is written down of a change that was made, or not; `before` is the rollout of before it.
async fn conclude(
    session: &Session<'_>,
    work: &Work<'_>,
    router: &dyn Router,
    (lease, rollout, before): (&Lease, &Rollout, Option<Rollout>),
    change: ShareChange,
    mut changed: ShareChanged,
) -> Result<Report, Failure> {
    let mut found = RolloutReport::new(work.clock);
    found.mark_at(Duration::ZERO, change.before);
    found.changed(change.after, &mut changed);
    let failed = match changed.end {
        ChangeEnd::Made { failed } => failed,
        ChangeEnd::Impossible => {
            session.put_back_rollout(lease, before).await?;
            return reported(session, lease, found).await;
        }
        ChangeEnd::Failed | ChangeEnd::Unproved | ChangeEnd::PutBack { .. } => {
            let whole = matches!(changed.end, ChangeEnd::PutBack { failed: 0 });
            if whole {
                session.put_back_rollout(lease, before).await?;
            }
            let mut report = reported(session, lease, found).await?;
            let Rollout { release, .. } = rollout;
            let back = if whole {
                format!("{release} has {} as before", change.before)
            } else {
                "not every place has its share of before: `traffic status`, `traffic abort`"
                    .to_owned()
            };
            report.verdict = if whole {
                Verdict::Fail
            } else {
                Verdict::Partial
            };
            report.reason = format!("{}; {back}", report.reason);
            return Ok(report);
        }
        ChangeEnd::Foreign(others) => {
            let held = work.note(lease, |noted| noted.phase = Phase::Held);
            held.await?;
            found.overtaken("share/foreign-change", (rollout, change.after), &others, "");
            return reported(session, lease, found).await;
        }
        ChangeEnd::Interrupted => {
            found.outcomes.push(
                Outcome::inconclusive("share/interrupted", &rollout.release)
                    .expected(format!("{} is in effect", change.after))
                    .actual("interrupted")
                    .reason(format!("interrupted before {} was proved", change.after))
                    .hint("`traffic resume` finishes it, `traffic abort` gives everything back"),
            );
            return reported(session, lease, found).await;
        }
        ChangeEnd::Stopped(error) => return Err(error.into()),
    };
    found.mark(change.after);
    if change.after.is_all() && failed == 0 {
        let keep = change.before.is_all().then_some(Keep::HadNothing);
        return finish::finish(session, work, router, lease, rollout, found, keep).await;
    }
    kept(session, work, lease, change.after).await?;
    let mut report = reported(session, lease, found).await?;
    if failed > 0 {
        report.verdict = Verdict::Partial;
        report.reason = format!(
            "{failed} of {} places do not have {}; the others have it",
            rollout.sides.len(),
            change.after
        );
    } else {
        let Rollout { release, .. } = rollout;
        report.headline = Some(format!("{release} has {}", change.after));
    }
    Ok(report)
}

/// The share stays as it is: a rollout that a person holds, or none where one side has everything.
async fn kept(
    session: &Session<'_>,
    work: &Work<'_>,
    lease: &Lease,
    share: Share,
) -> Result<(), Failure> {
    if share.is_none() || share.is_all() {
        return session.end_rollout(lease).await;
    }
    let held = work.note(lease, |noted| {
        noted.phase = Phase::Held;
        noted.share = share;
    });
    held.await
}

async fn reported(
    session: &Session<'_>,
    lease: &Lease,
    found: RolloutReport,
) -> Result<Report, Failure> {
    session.release(lease).await?;
    let mut report = session.report(found.outcomes.clone());
    found.illustrate(&mut report);
    Ok(report)
}

//! What a person or another job does to a rollout in progress: promote, abort, resume; and what was done.

use cli::{Failure, Job};
use config::value::Share;
use model::{ExitCode, Outcome, Report, Table, Verdict};
use operation::shares::recall::recall;
use operation::shares::work::{ShareChange, TRAFFIC};
use state::journal::Event;
use state::{Document, Lease, Phase, Rollout, release_shown};

use crate::foreign;
use crate::found::Found;
use crate::ramp::Ramp;
use crate::refuse;
use crate::session::{Session, rollout};
use crate::switch;

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct PromoteFlags {
    /// Up to this share. Default: the next stage; all of them where only `max-share` holds it back
    #[arg(long, value_name = "SHARE")]
    to: Option<Share>,
    /// Where no process has the ramp: end with exit code 3 at the next share that needs a promotion,
    /// instead of waiting there
    #[arg(long)]
    no_wait: bool,
}

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct AbortFlags {
    /// Why, for the log of the job that has the ramp
    #[arg(long, value_name = "TEXT", default_value = "no reason was given")]
    reason: String,
}

impl AbortFlags {
    pub(crate) fn because(reason: &str) -> Self {
        AbortFlags {
            reason: reason.to_owned(),
        }
    }
}

/// Lets a ramp go on.
pub(crate) async fn promote(job: &Job, flags: &PromoteFlags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let Some(current) = rollout(document.as_ref()) else {
        return Ok(session.report(vec![refused("promote")]));
    };
    let to = flags.to.unwrap_or_else(|| next(&session, current));
    if to <= current.share {
        return Err(Failure::usage(format!(
            "{} has {} already: `--to {to}` promotes nothing",
            current.release, current.share
        )));
    }
    if job.dry_run {
        let reason = format!("dry run: would let {} have up to {to}", current.release);
        return Ok(session.report(vec![Outcome::skipped("promote", &current.release, reason)]));
    }
    let release = current.release.clone();
    let promoted = session.store.update(None, |document| {
        let Some(rollout) = &mut document.rollout else {
            return Ok(false);
        };
        rollout.promoted = rollout.promoted.max(Some(to));
        if is_at_its_end(rollout) {
            // Nothing is left of what was planned: the promotion is the next stage.
            rollout.stages.push(to);
        }
        Ok(true)
    });
    if !promoted.await? {
        return Ok(session.report(vec![refused("promote")]));
    }
    let outcome =
        Outcome::pass("promote", &release).actual(format!("{release} may have up to {to}"));
    match session.acquire_now().await {
        Ok((lease, document)) => {
            let ended = Box::pin(go_on(&session, &lease, &document, flags.no_wait)).await;
            session.or_release(&lease, ended).await
        }
        // Its own process goes on with it.
        Err(failure) if failure.code == ExitCode::Refused => Ok(session.report(vec![outcome])),
        Err(failure) => {
            let unknown = Outcome::inconclusive("promote/lock", &release)
                .expected("a process that goes on with the ramp")
                .actual("not known")
                .reason(failure.chain())
                .hint("the promotion is recorded: `traffic resume` goes on with the ramp");
            Ok(session.report(vec![outcome, unknown]))
        }
    }
}

/// A share that a person set, or a ramp whose last stage is below 100 %.
fn is_at_its_end(rollout: &Rollout) -> bool {
    rollout.phase == Phase::Held && rollout.stages.last() == Some(&rollout.share)
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

/// Gives all requests back to the stable release.
pub(crate) async fn abort(job: &Job, flags: &AbortFlags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let Some(current) = rollout(document.as_ref()) else {
        return Ok(session.report(vec![refuse::nothing("abort")]));
    };
    if job.dry_run {
        let stable = current.stable_shown();
        let reason = format!("dry run: would give everything back to {stable}");
        return Ok(session.report(vec![Outcome::skipped("abort", &current.release, reason)]));
    }
    let (lease, document) = recall(job, session.section, &session.store, &flags.reason).await?;
    let ended = Box::pin(taken_back(&session, &lease, &document)).await;
    session.or_release(&lease, ended).await
}

async fn taken_back(
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
    let mut found = Found::new(work.clock);
    found.mark(current.share);
    let back = work.back(&*router, lease, current, Some(state::Status::RolledBack));
    let mut back = back.await?;
    found.back(&mut back);
    session.release(lease).await?;
    let mut report = session.report(found.outcomes.clone());
    let (release, stable) = (&current.release, release_shown(back.stable.as_deref()));
    if back.is_whole {
        report.headline = Some(format!("{stable} has 100% again, {release} has none"));
    } else {
        report.verdict = Verdict::Partial;
        report.reason = format!(
            "{stable} does not have 100% everywhere again: repair it, then `traffic abort` again; {}",
            report.reason
        );
    }
    found.illustrate(&mut report);
    Ok(report)
}

/// Goes on with what was interrupted.
pub(crate) async fn resume(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let Some(current) = rollout(document.as_ref()) else {
        return Ok(session.report(vec![refuse::nothing("resume")]));
    };
    if job.dry_run {
        let reason = format!(
            "dry run: would go on with {} at {}",
            current.release, current.share
        );
        return Ok(session.report(vec![Outcome::skipped("resume", &current.release, reason)]));
    }
    let (lease, document) = session.acquire().await?;
    let ended = Box::pin(go_on(&session, &lease, &document, false)).await;
    session.or_release(&lease, ended).await
}

/// The rest of a rollout, under its lease.
async fn go_on(
    session: &Session<'_>,
    lease: &Lease,
    document: &Document,
    no_wait: bool,
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
        journal.end("superseded").await?;
    }
    let work = session.work(Some(document));
    let context = work.context();
    let router = work.router(&context)?;
    if is_at_its_end(current) {
        let (share, limit) = (current.share, session.section.watch_interval.get());
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
    if let [share] = current.stages[..] {
        let change = ShareChange {
            before: current.share,
            after: share,
            restores: true,
        };
        return switch::make(session, &work, &*router, lease, current, change).await;
    }
    let rollout = current.clone();
    let ramp = Ramp::new(session, &work, &*router, lease, rollout, no_wait);
    Box::pin(ramp.up()).await
}

fn refused(what: &str) -> Outcome {
    Outcome::refused(model::Id::refused("no-rollout"), "")
        .expected("a rollout in progress")
        .actual("none")
        .reason(format!(
            "there is nothing to {what}: no rollout is in progress"
        ))
        .hint("`traffic ramp --release VERSION` begins one")
}

/// The changes that were made, newest first.
pub(crate) async fn history(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let mut rows = Vec::new();
    for (_, lines) in session.store.journals().await?.into_iter().rev() {
        let Some(first) = lines.first() else { continue };
        let Event::Begin {
            destination,
            left,
            operation: Some(operation),
            ..
        } = &first.event
        else {
            continue;
        };
        if operation != TRAFFIC {
            continue;
        }
        let end = lines.last().map(|line| &line.event);
        let verdict = match end {
            Some(Event::End { verdict }) => verdict.clone(),
            _ => "unfinished".to_owned(),
        };
        rows.push(vec![
            format!("{:.0}", first.at),
            left.clone().unwrap_or_default(),
            destination.clone(),
            verdict,
        ]);
    }
    let outcome = match rows.len() {
        0 => Outcome::pass("history", "").actual("no share was changed yet"),
        count => Outcome::pass("history", "").actual(format!("changes: {count}")),
    };
    let mut report = session.report(vec![outcome]);
    if !rows.is_empty() {
        report.tables.push(Table {
            title: "Changes of shares".to_owned(),
            header: vec!["when", "from", "to", "verdict"],
            rows,
            only_in_summary: false,
        });
    }
    Ok(report)
}

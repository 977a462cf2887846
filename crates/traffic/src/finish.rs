//! The end of a rollout that passed: the release has everything, and the side that it left is kept, or
//! drained and stopped.

use std::time::{Duration, Instant};

use cli::{Failure, hooks};
use config::file::Hook;
use config::value::{Share, Side, Span};
use futures_util::future::join_all;
use jiff::Timestamp;
use model::{Outcome, Report, Severity, Verdict};
use operation::shares::work::{Work, sides_of};
use place::Place;
use router::{Router, Splits};
use state::{Document, Lease, Rollout, Status};

use crate::found::RolloutReport;
use crate::session::Session;

/// How often a router is asked what is still open.
const POLL: Duration = Duration::from_millis(250);

/// Why the side that was left is not stopped, whatever the configuration has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing was taken from it: it may be what another job prepares.
    HadNothing,
    /// So many places still give it requests.
    Serves(usize),
}

/// Records that the release has everything, and looks after the side that it left.
pub(crate) async fn finish(
    session: &Session<'_>,
    work: &Work<'_>,
    router: &dyn Router,
    lease: &Lease,
    rollout: &Rollout,
    mut found: RolloutReport,
    keep: Option<Keep>,
) -> Result<Report, Failure> {
    let run = session.job.run_name();
    let recorded = session.store.update(Some(lease), |document| {
        document.rollout = None;
        // Whether it is good is for `rollback record` to say, unless that is known.
        let known = document.status(&rollout.release);
        let status = known.filter(|status| *status == Status::Good);
        document.deployed(
            &rollout.release,
            status.unwrap_or(Status::Pending),
            Timestamp::now(),
            run.clone(),
        );
        Ok(())
    });
    recorded.await?;
    found.mark(Share::ALL);
    found
        .outcomes
        .extend(old_side(session, work, router, lease, rollout, keep).await?);
    let mut report = session.report(found.outcomes.clone());
    let Rollout { release, .. } = rollout;
    report.headline = Some(match keep {
        Some(Keep::Serves(failed)) => {
            let places = router.places().len();
            report.verdict = Verdict::Partial;
            report.reason = format!(
                "{failed} of {places} places do not give everything to {release}: repair them, then `traffic set 100% \
                 --release {release}`"
            );
            format!(
                "{release} has 100% at {} of {places} places",
                places - failed
            )
        }
        Some(Keep::HadNothing) | None => {
            format!("{release} has 100%, {} has none", rollout.stable_shown())
        }
    });
    found.illustrate(&mut report);
    Ok(report)
}

/// The side that was left: kept, or drained and stopped after its time. Gives the lease back.
async fn old_side(
    session: &Session<'_>,
    work: &Work<'_>,
    router: &dyn Router,
    lease: &Lease,
    rollout: &Rollout,
    keep: Option<Keep>,
) -> Result<Vec<Outcome>, Failure> {
    let section = work.section;
    let is_kept = section.keep_old || keep.is_some();
    let Some(stop) = section.stop.as_ref().filter(|_| !is_kept) else {
        session.release(lease).await?;
        let outcome = Outcome::pass("old-side", rollout.stable_shown());
        return Ok(vec![outcome.actual("kept: a switch back needs no start")]);
    };
    if section.keep_for.get().is_zero() {
        let stopped = under_lease(session, work, router, lease, rollout, stop).await;
        session.release(lease).await?;
        return Ok(stopped);
    }
    // The way back is what it is kept for: nothing may be locked meanwhile.
    session.release(lease).await?;
    let skipped = |why: String| vec![Outcome::skipped("old-side", rollout.stable_shown(), why)];
    let progress = &work.job.progress;
    progress.show(&format!(
        "{} is kept for {}",
        rollout.stable_shown(),
        section.keep_for
    ));
    tokio::select! {
        () = tokio::time::sleep(section.keep_for.get()) => {}
        _ = work.job.interrupt.wait() => return Ok(skipped("interrupted: it is kept".to_owned())),
    }
    let (lease, document) = match session.acquire().await {
        Ok(acquired) => acquired,
        Err(failure) => return Ok(skipped(format!("it is kept: {}", failure.chain()))),
    };
    let outcomes = match changed_since(router, &document, rollout).await {
        None => under_lease(session, work, router, &lease, rollout, stop).await,
        Some(why) => skipped(format!("it is kept: {why}")),
    };
    session.release(&lease).await?;
    Ok(outcomes)
}

/// Why a side that was left may have requests again, or get them.
async fn changed_since(
    router: &dyn Router,
    document: &Document,
    rollout: &Rollout,
) -> Option<String> {
    if let Some(next) = &document.rollout {
        return Some(format!("a rollout of {} is in progress", next.release));
    }
    if document.current.as_ref() != Some(&rollout.release) {
        let now = document.current.as_deref().unwrap_or("no release");
        return Some(format!("{now} is live now"));
    }
    let sides = sides_of(router, rollout);
    let looking = sides.iter().map(|(place, side)| async move {
        match Splits::read(router, place).await {
            Ok(Splits { configured, in_use }) => [in_use, configured]
                .into_iter()
                .find(|split| !split.of(*side).is_all())
                .map(|split| format!("{place} has {split} now")),
            Err(error) => Some(format!("{place} cannot be asked ({error})")),
        }
    });
    join_all(looking).await.into_iter().flatten().next()
}

/// Drains and stops it at each place, for as long as the lease is held.
async fn under_lease(
    session: &Session<'_>,
    work: &Work<'_>,
    router: &dyn Router,
    lease: &Lease,
    rollout: &Rollout,
    stop: &str,
) -> Vec<Outcome> {
    let sides = sides_of(router, rollout);
    let stopping = sides.iter().map(|(place, side)| {
        let old = side.other();
        async move {
            let open = drained(router, place, old, work.section.drain_timeout).await;
            stopped(work, rollout, (place, old), stop, open).await
        }
    });
    tokio::select! {
        outcomes = join_all(stopping) => outcomes,
        error = session.keep(lease) => {
            let why = format!("whether it is stopped is not known: {error}");
            vec![Outcome::skipped("old-side", rollout.stable_shown(), why)]
        }
    }
}

/// Waits until nothing is open at a side; how much still is at the end, where the router can tell.
async fn drained(router: &dyn Router, place: &Place, side: Side, within: Span) -> Option<u64> {
    let end = Instant::now() + within.get();
    loop {
        let open = router.open(place, side).await.ok().flatten();
        match open {
            Some(0) => return open,
            // A router that cannot tell gets the whole time.
            _ if Instant::now() >= end => return open,
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

async fn stopped(
    work: &Work<'_>,
    rollout: &Rollout,
    (place, side): (&Place, Side),
    stop: &str,
    open: Option<u64>,
) -> Outcome {
    let id = match place {
        Place::Here => "old-side".to_owned(),
        Place::Host(name) => format!("old-side/{name}"),
    };
    let env = vec![
        ("SIDE".to_owned(), side.to_string()),
        // Set even where it is not known: the caller's own is another one.
        (
            "RELEASE".to_owned(),
            rollout.stable.clone().unwrap_or_default(),
        ),
        ("HOST".to_owned(), place.to_string()),
    ];
    let left = match open {
        Some(0) => "nothing was open there".to_owned(),
        Some(open) => format!("{open} connections were still open there"),
        None => format!("after {}", work.section.drain_timeout),
    };
    let done = match place {
        Place::Here => {
            let hook = Hook {
                name: "stop".to_owned(),
                run: stop.to_owned(),
                timeout: work.section.deadline,
            };
            let ran = hooks::script(work.job, &hook, env, Duration::ZERO).await;
            ran.map(drop).map_err(|failure| failure.chain())
        }
        Place::Host(_) => {
            let limit = work.section.deadline.get();
            let text = format!("(\n{stop}\n)");
            let effect = place::Effect::Changes;
            let ran = work
                .places
                .full_output(place, "`traffic.stop`", &text, &env, effect, limit);
            ran.await.map(drop).map_err(|error| error.to_string())
        }
    };
    let release = rollout.stable_shown();
    match done {
        Ok(()) => Outcome::pass(id, release).actual(format!("{side} is stopped; {left}")),
        Err(reason) => Outcome::fail(id, release)
            .severity(Severity::Advisory)
            .expected(format!("{side} is stopped"))
            .actual(reason.clone())
            .reason(reason)
            .hint("it has no traffic any more: stop it by hand"),
    }
}

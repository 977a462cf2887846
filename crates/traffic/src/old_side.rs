//! The side that a rollout left: kept, or drained and stopped after its time. What is to be stopped is written down, so
//! that `resume` finishes it where its process has ended.

use std::time::{Duration, Instant};

use cli::{Failure, hooks};
use config::file::{Hook, Traffic};
use config::value::{Side, Span};
use engine::FINISH;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use model::{Outcome, Report, Severity, Verdict};
use operation::shares::work::{Work, configured_sides};
use place::Place;
use router::{Router, Splits};
use state::{Document, Lease, OldSide, Rollout};

use crate::session::Session;

/// How often a router is asked what is still open.
const POLL: Duration = Duration::from_millis(250);
/// What is told of one that was to be stopped, where the configuration has no such command any more.
const KEPT: &str = "it is kept: `traffic` has no `stop`, or has `keep-old: true` now";
/// The outcome of it.
const ID: &str = "old-side";

/// Why the side that was left is not stopped, whatever the configuration has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing was taken from it: it may be what another job prepares.
    HadNothing,
    /// So many places still give it requests.
    Serves(usize),
}

/// The command that stops a side, where the configuration has one to be stopped.
fn stop(section: &Traffic) -> Option<&str> {
    section.stop.as_deref().filter(|_| !section.keep_old)
}

/// What is written down of the side that a rollout leaves; `None` where it is kept.
pub(crate) fn to_stop(
    session: &Session<'_>,
    rollout: &Rollout,
    keep: Option<Keep>,
) -> Option<OldSide> {
    let section = session.section;
    if stop(section).is_none() || keep.is_some() {
        return None;
    }
    let kept_for = SignedDuration::try_from(section.keep_for.get()).unwrap_or_default();
    Some(OldSide {
        release: rollout.release.clone(),
        stable: rollout.stable.clone(),
        sides: rollout.sides.clone(),
        until: Timestamp::now().saturating_add(kept_for).ok()?,
        holder: session.job.holder(),
    })
}

/// After a rollout, under its lease: the side that was left is kept, or stopped when its time has come.
pub(crate) async fn after(
    session: &Session<'_>,
    work: &Work<'_>,
    router: &dyn Router,
    (lease, rollout): (&Lease, &Rollout),
    old: Option<OldSide>,
) -> Result<Vec<Outcome>, Failure> {
    let Some((old, stop)) = old.zip(stop(session.section)) else {
        session.release(lease).await?;
        let outcome = Outcome::pass(ID, rollout.stable_shown());
        return Ok(vec![outcome.actual("kept: a switch back needs no start")]);
    };
    if session.section.keep_for.get().is_zero() {
        let stopping = OldSideStop {
            session,
            work,
            router,
            old: &old,
            stop,
        };
        let outcomes = stopping.under(lease).await;
        session.release(lease).await?;
        return outcomes;
    }
    // The way back is what it is kept for: nothing may be locked meanwhile.
    session.release(lease).await?;
    OldSideStop {
        session,
        work,
        router,
        old: &old,
        stop,
    }
    .in_time()
    .await
}

/// Finishes what a process that has ended was to stop.
pub(crate) async fn resume(
    session: &Session<'_>,
    document: &Document,
    old: &OldSide,
) -> Result<Report, Failure> {
    let release = old.stable_shown();
    let Some(stop) = stop(session.section) else {
        if !session.job.dry_run {
            let (lease, document) = session.acquire().await?;
            // Another operation may have left another side since.
            if document.old_side.as_ref() == Some(old) {
                forget(session, &lease).await?;
            }
            session.release(&lease).await?;
        }
        return Ok(session.report(vec![Outcome::pass(ID, release).actual(KEPT)]));
    };
    if session.job.dry_run {
        let reason = format!(
            "dry run: would wait until {:.0}, then drain {release} and stop it",
            old.until
        );
        return Ok(session.report(vec![Outcome::skipped(ID, release, reason)]));
    }
    let work = session.work(Some(document));
    let context = work.context();
    let router = work.router(&context)?;
    let stopping = OldSideStop {
        session,
        work: &work,
        router: &*router,
        old,
        stop,
    };
    Ok(session.report(stopping.in_time().await?))
}

/// What `status` tells of it: a failure where the process that was to stop it has ended.
pub(crate) async fn status(session: &Session<'_>, old: &OldSide) -> Outcome {
    let told = Outcome::pass(ID, old.stable_shown());
    if stop(session.section).is_none() {
        return told.actual(KEPT);
    }
    let told = told.actual(old.to_string());
    if !session.job.holder_fate(&old.holder).await.is_gone() {
        return told;
    }
    Outcome {
        verdict: Verdict::Fail,
        ..told
    }
    .expected("a process that stops it")
    .reason(format!(
        "{old}, and the process that was to do it has ended"
    ))
    .hint(
        "`traffic resume` waits for the rest of the time and stops it; a switch back uses it again",
    )
}

async fn forget(session: &Session<'_>, lease: &Lease) -> Result<(), Failure> {
    let forgotten = session.store.update(Some(lease), |document| {
        document.old_side = None;
        Ok(())
    });
    forgotten.await.map_err(Failure::from)
}

/// The stop of a side that was left.
struct OldSideStop<'a> {
    session: &'a Session<'a>,
    work: &'a Work<'a>,
    router: &'a dyn Router,
    old: &'a OldSide,
    stop: &'a str,
}

impl OldSideStop<'_> {
    fn skipped(&self, why: String) -> Vec<Outcome> {
        vec![Outcome::skipped(ID, self.old.stable_shown(), why)]
    }

    /// Waits for the rest of its time without the lease, and stops it then.
    async fn in_time(&self) -> Result<Vec<Outcome>, Failure> {
        let (session, old) = (self.session, self.old);
        let rest = Timestamp::now().duration_until(old.until);
        if let Ok(rest) = Duration::try_from(rest) {
            let progress = &session.job.progress;
            progress.show(&format!("{old}"));
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = session.job.interrupt.wait() => {
                    let why = "interrupted: it is kept; `traffic resume` stops it";
                    return Ok(self.skipped(why.to_owned()));
                }
            }
        }
        let (lease, document) = match session.acquire().await {
            Ok(acquired) => acquired,
            Err(failure) => {
                let why = format!("it is kept: {}; `traffic resume` stops it", failure.chain());
                return Ok(self.skipped(why));
            }
        };
        let outcomes = match self.changed_since(&document).await {
            Ok(None) => self.under(&lease).await,
            Ok(Some(why)) => {
                let forgotten = forget(session, &lease).await;
                forgotten.map(|()| self.skipped(format!("it is kept: {why}")))
            }
            Err(why) => Ok(self.skipped(format!("it is kept: {why}; `traffic resume` stops it"))),
        };
        session.release(&lease).await?;
        outcomes
    }

    /// Why a side that was left may have requests again, or get them; an error where that is not known.
    async fn changed_since(&self, document: &Document) -> Result<Option<String>, String> {
        let old = self.old;
        if let Some(next) = &document.rollout {
            return Ok(Some(format!(
                "a rollout of {} is in progress",
                next.release
            )));
        }
        if document.current.as_ref() != Some(&old.release) {
            let now = document.current.as_deref().unwrap_or("no release");
            return Ok(Some(format!("{now} is live now")));
        }
        if document.old_side.as_ref() != Some(old) {
            return Ok(Some("another operation had it since".to_owned()));
        }
        let sides = configured_sides(self.router, &old.sides);
        let looking = sides.iter().map(|(place, side)| async move {
            let splits = Splits::read(self.router, place).await;
            let splits = splits.map_err(|error| format!("{place} cannot be queried ({error})"))?;
            let mut both = [splits.in_use, splits.configured].into_iter();
            if let Some(split) = both.find(|split| !split.of(*side).is_all()) {
                return Ok(Some(format!("{place} has {split} now")));
            }
            let Some(stable) = old.stable.as_deref() else {
                return Ok(None);
            };
            let left = side.other();
            let answer = self.router.side_release(place, left, stable).await;
            let other = answer.ok().filter(|answer| answer != stable);
            Ok(other.map(|answer| format!("{left} runs {answer} now")))
        });
        let found: Result<Vec<_>, String> = join_all(looking).await.into_iter().collect();
        Ok(found?.into_iter().flatten().next())
    }

    /// Drains and stops it at each place, for as long as the lease is held, and forgets it then.
    async fn under(&self, lease: &Lease) -> Result<Vec<Outcome>, Failure> {
        let sides = configured_sides(self.router, &self.old.sides);
        let stopping = sides.iter().map(|(place, side)| {
            let left = side.other();
            async move {
                let within = self.session.section.drain_timeout;
                tokio::select! {
                    open = drained(self.router, place, left, within) => self.stopped((place, left), open).await,
                    _ = self.session.job.interrupt.wait() => self.interrupted(place, left),
                }
            }
        });
        tokio::select! {
            outcomes = join_all(stopping) => {
                // What is not stopped is left to `resume`.
                if outcomes.iter().all(|one| one.verdict == Verdict::Pass) {
                    forget(self.session, lease).await?;
                }
                Ok(outcomes)
            }
            error = self.session.keep(lease) => {
                Ok(self.skipped(format!("whether it is stopped is not known: {error}; `traffic resume` stops it")))
            }
        }
    }

    /// A signal came while it was drained.
    fn interrupted(&self, place: &Place, side: Side) -> Outcome {
        let release = self.old.stable_shown();
        let why = format!(
            "interrupted while {side} was drained: {} serves, and {release} still runs; `traffic resume` drains and stops it",
            self.old.release
        );
        Outcome::skipped(id_at(place), release, why)
    }

    async fn stopped(&self, (place, side): (&Place, Side), open: Option<u64>) -> Outcome {
        let id = id_at(place);
        let section: &Traffic = self.session.section;
        let left = match open {
            Some(0) => "nothing was open there".to_owned(),
            Some(open) => format!("{open} connections were still open there"),
            None => format!("after {}", section.drain_timeout),
        };
        let release = self.old.stable_shown();
        match self.run(place, side).await {
            Ok(()) => Outcome::pass(id, release).actual(format!("{side} is stopped; {left}")),
            Err(reason) => Outcome::fail(id, release)
                .severity(Severity::Advisory)
                .expected(format!("{side} is stopped"))
                .actual(reason.clone())
                .reason(reason)
                .hint("it has no traffic any more: `traffic resume` stops it"),
        }
    }

    /// The command that stops it.
    async fn run(&self, place: &Place, side: Side) -> Result<(), String> {
        let env = vec![
            ("SIDE".to_owned(), side.to_string()),
            // Set even where it is not known: the caller's own is another one.
            (
                "RELEASE".to_owned(),
                self.old.stable.clone().unwrap_or_default(),
            ),
            ("HOST".to_owned(), place.to_string()),
        ];
        let limit = self.session.section.deadline;
        match place {
            Place::Here => {
                let hook = Hook {
                    name: "stop".to_owned(),
                    run: self.stop.to_owned().into(),
                    timeout: limit,
                };
                let ran = hooks::script(self.session.job, &hook, env, Duration::ZERO).await;
                ran.map(drop).map_err(|failure| failure.chain())
            }
            Place::Host(_) => {
                let text = format!("(\n{}\n)", self.stop);
                let effect = place::Effect::Changes;
                let places = &self.work.places;
                let ran =
                    places.full_output(place, "`traffic.stop`", &text, &env, effect, limit.get());
                tokio::select! {
                    ran = ran => ran.map(drop).map_err(|error| error.to_string()),
                    () = self.session.job.interrupt.and(FINISH) => {
                        Err("interrupted: whether it is stopped is not known".to_owned())
                    }
                }
            }
        }
    }
}

fn id_at(place: &Place) -> String {
    match place {
        Place::Here => ID.to_owned(),
        Place::Host(name) => format!("{ID}/{name}"),
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

//! The rollback itself: refuse, lease, prepare, journal, switch, verify, record.
//!
//! Every step is written down before it is made, so that after a kill at any point [`resume`]
//! knows where we were; steps are safe to make twice.

mod capture;
mod fleet;
mod gone;
mod idle;
mod ready;
pub(crate) mod rehearse;
mod running;
pub(crate) mod standing;
mod verify;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cli::{Failure, Job};
use model::{Outcome, Report, Verdict};
use state::{Document, Forced, Journal, Lease};

use crate::force::{self, Force, Rule};
use crate::hooks;
use crate::picture::{self, Bar};
use crate::refuse::{self, Wish};
use crate::session::{Session, failure};
use crate::target::{self, Move, Place, Places, Step, Target};
use crate::tree::Tree;
use fleet::{Fleet, Made, Runs};
use running::Running;
use standing::Standing;

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Flags {
    /// Go to this release instead of last-known-good
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<String>,
    /// Lift this safety rule: `frozen`, `known-bad`, `unknown-release`, `schema`, `window` or
    /// `unhealthy`; may be given again
    #[arg(long, value_name = "RULE", value_parser = force::rule, requires = "reason")]
    pub force: Vec<Rule>,
    /// Why the rules are lifted; it is written down with them
    #[arg(long, value_name = "TEXT", value_parser = force::reason, requires = "force")]
    pub reason: Option<String>,
}

impl Flags {
    fn force(&self, session: &Session<'_>) -> Force {
        let reason = self.reason.as_deref().map(|reason| session.clean(reason));
        Force::new(&self.force, reason.as_deref(), &session.actor())
    }

    fn wish<'f>(&'f self, force: &'f Force) -> Wish<'f> {
        Wish {
            to: self.to.as_deref(),
            force,
        }
    }
}

/// What `run` would do.
pub(crate) async fn plan(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let force = flags.force(&session);
    let document = session.read().await?;
    let destination = match refuse::destination(document.as_ref(), flags.wish(&force)) {
        Ok(destination) => destination,
        Err(outcome) => return Ok(session.report(vec![*outcome])),
    };
    let document = document.unwrap_or_else(|| Document::new(None, None));
    if let Some(lock) = &document.lock
        && let fate = job.fate(lock).await
        && !fate.is_gone()
    {
        return Ok(session.report(vec![
            Outcome::refused("refused/locked", lock.holder.to_string())
                .reason(format!(
                    "locked by {}, {}, for `{}`",
                    lock.holder,
                    fate.reason(),
                    lock.operation
                ))
                .hint("wait for it, or see `rollback status`"),
        ]));
    }
    let rollback = Rollback::new(&session, &destination, force);
    let target = rollback.target()?;
    let target = &*target;
    let running = rollback.what_runs(target, &document).await;
    if let Some(outcome) = rollback.already_there(&running, &document) {
        return Ok(session.report(vec![outcome]));
    }
    let (left, evidence) = (&running.release, &running.evidence);
    let moving = Move {
        destination: &destination,
        left: left.as_deref(),
    };
    let ready = match rollback.proved(target, moving, &document, false).await {
        Ok(ready) => ready,
        Err(refusals) => return Ok(session.report(refusals)),
    };
    let mut outcomes = vec![
        Outcome::pass("plan/destination", &destination).actual(format!(
            "from {} ({evidence}) to {destination}",
            left.as_deref().unwrap_or("an unknown release")
        )),
    ];
    outcomes.extend(rollback.force.outcomes());
    outcomes.extend(rollback.window_passed(&document));
    outcomes.extend(ready.into_iter().map(|(step, ready)| {
        let id = format!("plan/{}", step.name);
        match ready {
            Ok(does) => Outcome::pass(id, "").actual(format!("would {does}")),
            Err(reason) => ready::unready(id, &destination, reason),
        }
    }));
    let gate = rollback.gate_size();
    outcomes.push(Outcome::pass("plan/verify", "").actual(match gate {
        0 => "no probe is configured under `healthgate:`".to_owned(),
        probes => format!("would verify {destination} with {probes} probe(s) of `healthgate:`"),
    }));
    let mut report = session.report(outcomes);
    report.reason = format!("would roll back to {destination}; nothing was changed");
    Ok(report)
}

/// Rolls back.
pub async fn run(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    session.tale.borrow_mut().began = true;
    let ended = roll_back(&session, flags).await;
    hooks::after(&session, ended).await
}

async fn roll_back(session: &Session<'_>, flags: &Flags) -> Result<Report, Failure> {
    let force = flags.force(session);
    let document = session.read().await?;
    let destination = match refuse::destination(document.as_ref(), flags.wish(&force)) {
        Ok(destination) => destination,
        Err(outcome) => return Ok(session.report(vec![*outcome])),
    };
    let rollback = Rollback::new(session, &destination, force);
    let wish = flags.wish(&rollback.force);
    let target = rollback.target()?;
    let target = &*target;
    // The lease names the destination: from here on a kill leaves enough to resume.
    let (lease, again) = session
        .acquire("rollback", |document, lock| {
            lock.destination = Some(destination.clone());
            lock.forced = rollback.force.all().to_vec();
            // What was true before the lease must be true under it.
            refuse::destination(Some(document), wish).map(|now| (now, document.clone()))
        })
        .await?;
    let document = match again {
        Ok((now, document)) if now == destination => document,
        Ok((now, _)) => {
            let outcome = Outcome::refused("refused/changed", &destination)
                .reason(format!("last-known-good became {now} meanwhile"))
                .hint("run `rollback run` again");
            return rollback.give_up(&lease, vec![outcome]).await;
        }
        Err(outcome) => return rollback.give_up(&lease, vec![*outcome]).await,
    };
    let mut unfinished = session.store.unfinished().await.map_err(failure)?;
    let running = rollback.what_runs(target, &document).await;
    if let Some(journal) = &unfinished
        && let Some(reason) = journal.aborting()
    {
        let outcome = Outcome::refused("refused/aborting", &destination)
            .expected("no unfinished rollback that is being undone")
            .actual(format!("one is being undone: {reason}"))
            .reason("what an earlier rollback changed is not put back yet")
            .hint("`rollback resume` puts the rest back; see `rollback status`");
        return rollback.give_up(&lease, vec![outcome]).await;
    }
    if let Some(journal) = unfinished.take_if(|journal| rollback.continues(journal, &running)) {
        let unready = rollback.still_unready(target, &journal).await;
        return rollback
            .go(target, &lease, journal, &running, unready)
            .await;
    }
    if let Some(mut journal) = unfinished {
        journal.end("superseded").await.map_err(failure)?;
    }
    if let Some(outcome) = rollback.already_there(&running, &document) {
        return rollback.give_up(&lease, vec![outcome]).await;
    }
    rollback.begin(target, &lease, &document, &running).await
}

/// Finishes an interrupted rollback. Does nothing where there is none.
pub(crate) async fn resume(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let ended = finish(&session).await;
    hooks::after(&session, ended).await
}

async fn finish(session: &Session<'_>) -> Result<Report, Failure> {
    let job = session.job;
    let document = session.read().await?;
    let unfinished = session.store.unfinished().await.map_err(failure)?;
    let found = match (&unfinished, &document) {
        (Some(journal), _) => journal
            .plan()
            .map(|(destination, _)| (destination.to_owned(), journal.forced().to_vec())),
        // Killed between lease and journal: the lease says where it was going.
        (None, Some(document)) => document
            .lock
            .as_ref()
            .filter(|lock| lock.operation == "rollback")
            .and_then(|lock| Some((lock.destination.clone()?, lock.forced.clone()))),
        (None, None) => None,
    };
    let Some((destination, forced)) = found else {
        let current = document.and_then(|document| document.current);
        return Ok(session.report(vec![
            Outcome::pass("resume/nothing", current.unwrap_or_default())
                .actual("nothing to resume: no rollback is unfinished"),
        ]));
    };
    if unfinished.is_some_and(|journal| journal.aborting().is_some()) {
        return put_back(session).await;
    }
    if job.dry_run {
        let reason = format!("dry run: would finish the rollback to {destination}");
        return Ok(session.report(vec![Outcome::skipped(
            "resume/rollback",
            destination,
            reason,
        )]));
    }
    let rollback = Rollback::new(session, &destination, Force::told(forced));
    session.tale.borrow_mut().began = true;
    let target = rollback.target()?;
    let target = &*target;
    let (lease, document) = session
        .acquire("rollback", |document, lock| {
            lock.destination = Some(destination.clone());
            lock.forced = rollback.force.all().to_vec();
            document.clone()
        })
        .await?;
    // Whoever held the lease until now may have ended the journal that was found before it.
    let found = session.store.unfinished().await.map_err(failure)?;
    let running = rollback.what_runs(target, &document).await;
    let Some(journal) = found else {
        // Nothing was changed yet, and perhaps not everything asked.
        let wish = Wish {
            to: Some(&destination),
            force: &rollback.force,
        };
        if let Err(outcome) = refuse::destination(Some(&document), wish) {
            return rollback.give_up(&lease, vec![*outcome]).await;
        }
        return rollback.begin(target, &lease, &document, &running).await;
    };
    let unready = rollback.still_unready(target, &journal).await;
    rollback
        .go(target, &lease, journal, &running, unready)
        .await
}

/// Puts back what an unfinished rollback changed, the last step first.
pub(crate) async fn abort(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let ended = put_back(&session).await;
    hooks::after(&session, ended).await
}

async fn put_back(session: &Session<'_>) -> Result<Report, Failure> {
    let job = session.job;
    session.read().await?;
    let nothing =
        || Outcome::pass("abort/nothing", "").actual("nothing to abort: no rollback is unfinished");
    let Some(journal) = session.store.unfinished().await.map_err(failure)? else {
        return Ok(session.report(vec![nothing()]));
    };
    if job.dry_run {
        let reason = "dry run: would put back what the unfinished rollback changed";
        let place = journal.place();
        return Ok(session.report(vec![Outcome::skipped("abort/rollback", place, reason)]));
    }
    // Not `rollback`: a lease of that name, killed, is a rollback to go on with.
    let (lease, ()) = session.acquire("abort", |_, _| ()).await?;
    // Whoever held the lease until now may have ended it.
    let found = session.store.unfinished().await.map_err(failure)?;
    let Some((journal, destination)) = found.and_then(|journal| {
        let destination = journal.plan()?.0.to_owned();
        Some((journal, destination))
    }) else {
        session
            .store
            .release(&lease, |_| ())
            .await
            .map_err(failure)?;
        return Ok(session.report(vec![nothing()]));
    };
    let rollback = Rollback::new(session, &destination, Force::told(Vec::new()));
    session.tale.borrow_mut().began = true;
    let target = rollback.target()?;
    let left = journal.plan().and_then(|(_, left)| left.map(str::to_owned));
    let moving = Move {
        destination: &destination,
        left: left.as_deref(),
    };
    let fleet = rollback.fleet(&*target, &lease, moving, journal);
    let reason = format!("aborted by {}", session.actor());
    let made = fleet.restore(&reason).await;
    let ended = rollback.put_back(fleet, made, Verdict::Pass).await;
    rollback.or_release(&lease, ended).await
}

/// One rollback to one destination.
struct Rollback<'a> {
    session: &'a Session<'a>,
    destination: &'a str,
    force: Force,
    places: Places,
    clock: Instant,
    bars: RefCell<Vec<Bar>>,
    tree: Tree,
    /// What came of capturing and of hooks before the act.
    beside: RefCell<Vec<Outcome>>,
}

impl<'a> Rollback<'a> {
    fn new(session: &'a Session<'a>, destination: &'a str, force: Force) -> Self {
        destination.clone_into(&mut session.tale.borrow_mut().destination);
        Rollback {
            session,
            destination,
            force,
            places: Places::new(session.job),
            clock: Instant::now(),
            bars: RefCell::default(),
            tree: Tree::new(&session.job.progress),
            beside: RefCell::default(),
        }
    }
}

impl Rollback<'_> {
    fn target(&self) -> Result<Box<dyn Target + '_>, Failure> {
        let (section, job) = (self.session.section, self.session.job);
        target::of(section, job, &self.places, self.session.known()).map_err(Failure::usage)
    }

    fn fleet<'f>(
        &'f self,
        target: &'f dyn Target,
        lease: &'f Lease,
        moving: Move<'f>,
        journal: Journal,
    ) -> Fleet<'f> {
        Fleet {
            rollback: self,
            target,
            lease,
            moving,
            steps: target.steps(moving),
            journal: journal.into(),
            until: self.clock + self.session.section.deadline.get(),
        }
    }

    /// How many of so many steps may fail.
    fn max_failed(&self, total: usize) -> usize {
        self.session.section.max_failed.at_most(total)
    }

    fn interrupted_now(&self) -> bool {
        self.session.job.interrupt.caught().is_some()
    }

    /// What the work gives, or nothing where a signal came and the work did not end within `grace`.
    async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = T>,
        grace: Duration,
    ) -> Option<T> {
        let interrupt = &self.session.job.interrupt;
        tokio::select! {
            biased;
            done = self.tree.drawn(work) => Some(done),
            () = async { interrupt.wait().await; tokio::time::sleep(grace).await } => None,
        }
    }

    /// Shows that something begins there; when that is, since the rollback's start.
    fn begins(&self, place: &Place, what: &'static str) -> Duration {
        self.tree.begins(&place.to_string(), what);
        self.clock.elapsed()
    }

    fn bar(&self, place: &Place, what: &'static str, start: Duration, verdict: Verdict) {
        let worked = verdict == Verdict::Pass;
        self.tree.ends(&place.to_string(), what, worked);
        self.bars.borrow_mut().push(Bar {
            place: place.to_string(),
            what,
            start,
            end: self.clock.elapsed(),
            worked,
        });
    }

    /// Proves that the rollback may and can be made, writes down that it begins, and makes it.
    async fn begin(
        &self,
        target: &dyn Target,
        lease: &Lease,
        document: &Document,
        running: &Running,
    ) -> Result<Report, Failure> {
        let store = &self.session.store;
        let left = running.release.clone();
        let left = left.filter(|left| left != self.destination);
        let left = left.or_else(|| self.left_by_record(document));
        let moving = Move {
            destination: self.destination,
            left: left.as_deref(),
        };
        let (proved, captured) = tokio::join!(
            self.proved(target, moving, document, true),
            self.capture(target, moving)
        );
        let ready = match proved {
            Ok(ready) => ready,
            Err(mut refusals) => {
                refusals.extend(captured);
                return self.give_up(lease, refusals).await;
            }
        };
        let session = self.session;
        let env = session.tale.borrow().env(session.job);
        let saved = hooks::run(session.job, "backup", &session.section.backup, &env).await;
        self.beside
            .borrow_mut()
            .extend(captured.into_iter().chain(saved));
        let forced = self.force.lifted();
        if !forced.is_empty() {
            let noted = store.update(Some(lease), |document| {
                document.forced(self.destination, &forced);
                Ok(())
            });
            noted.await.map_err(failure)?;
        }
        let begun = store.begin_journal(self.destination, left.as_deref(), lease.token, &forced);
        let journal = begun.await.map_err(failure)?;
        let unready = ready::unready_of(ready);
        self.go(target, lease, journal, running, unready).await
    }

    /// Makes what is not made yet, verifies, records.
    async fn go(
        &self,
        target: &dyn Target,
        lease: &Lease,
        journal: Journal,
        running: &Running,
        unready: BTreeMap<String, String>,
    ) -> Result<Report, Failure> {
        let ended = self.through(target, lease, journal, running, unready).await;
        self.or_release(lease, ended).await
    }

    /// A rollback that ended without a report still gives its lease back.
    async fn or_release(
        &self,
        lease: &Lease,
        ended: Result<Report, Failure>,
    ) -> Result<Report, Failure> {
        if ended.is_err() {
            // Where that fails too, the lock goes with its holder.
            let _ = self.session.store.release(lease, |_| ()).await;
        }
        ended
    }

    async fn through(
        &self,
        target: &dyn Target,
        lease: &Lease,
        journal: Journal,
        running: &Running,
        unready: BTreeMap<String, String>,
    ) -> Result<Report, Failure> {
        let session = self.session;
        let left = journal.plan().and_then(|(_, left)| left.map(str::to_owned));
        let moving = Move {
            destination: self.destination,
            left: left.as_deref(),
        };
        let forced = journal.forced().to_vec();
        session.tale.borrow_mut().left.clone_from(&left);
        let done: Vec<String> = target
            .steps(moving)
            .into_iter()
            .filter(|step| standing::standing(&journal, &step.name) == Standing::Done)
            .map(|step| step.name)
            .collect();
        // What the journal says is done is not made again where it still is: a deployment since
        // the interruption may have undone it.
        let known = |step: &Step| {
            let still = match running.at.get(&step.name) {
                Some(release) => release == self.destination,
                None => running.trusted(self.destination),
            };
            still && !target.undoes() && done.contains(&step.name)
        };
        let mut fleet = self.fleet(target, lease, moving, journal);
        let Made {
            mut outcomes,
            failed,
            interrupted,
        } = fleet.commit(known, &unready).await?;
        outcomes.extend(self.told_forced(&forced));
        outcomes.append(&mut self.beside.borrow_mut());
        if interrupted {
            return self.interrupted(fleet, outcomes).await;
        }
        let (total, most) = (fleet.steps.len(), fleet.most());
        if failed > most && fleet.restores() {
            // Its own time: the way there has used up the first.
            fleet.until = Instant::now() + session.section.deadline.get();
            let reason = format!("failed ({failed}) > max-failed ({most})");
            let mut made = fleet.restore(&reason).await;
            if let Ok(made) = &mut made {
                outcomes.append(&mut made.outcomes);
                made.outcomes = outcomes;
            }
            return self.put_back(fleet, made, Verdict::Fail).await;
        }
        let vector = if total > 1 || failed > 0 {
            fleet.vector().await
        } else {
            Vec::new()
        };
        let on = |runs: &&Runs| runs.release.as_deref() == Some(self.destination);
        let changed = if vector.is_empty() {
            total
        } else {
            vector.iter().filter(on).count()
        };
        let wrong = total - changed;
        if total > 1 {
            outcomes.extend(vector.iter().map(|runs| runs.outcome(self.destination)));
        }
        if failed > most || wrong > most {
            return self
                .failed(fleet, outcomes, &vector, failed.max(wrong))
                .await;
        }
        let ttl = session.section.lock_ttl.get();
        session.store.renew(lease, ttl).await.map_err(failure)?;
        let start = self.begins(&Place::Here, "verify");
        let verified = self.tree.drawn(self.verify(target)).await;
        if self.interrupted_now() {
            outcomes.extend(verified);
            return self.interrupted(fleet, outcomes).await;
        }
        let verdict = Verdict::of(verified.iter().map(Outcome::weighs));
        self.bar(&Place::Here, "verify", start, verdict);
        outcomes.extend(verified);
        self.record(lease, left.as_deref(), verdict, &forced)
            .await?;
        // What is missing can be resumed.
        if wrong == 0 {
            let mut journal = fleet.journal.into_inner();
            journal.end(verdict.as_str()).await.map_err(failure)?;
        }
        let mut report = session.report(outcomes);
        // Only an escalation needs it, and is told without where it cannot be read.
        let now = match verdict {
            Verdict::Fail => session.store.read().await.ok().flatten(),
            _ => None,
        };
        self.conclude(&mut report, left.as_deref(), verdict, now.as_ref());
        if wrong > 0 {
            report.verdict = Verdict::Partial;
            report.reason = format!(
                "{}; {wrong} of {total} hosts do not run it, {most} may fail: `rollback resume` tries those again",
                report.reason
            );
        }
        self.illustrate(&mut report, &vector);
        Ok(report)
    }

    fn illustrate(&self, report: &mut Report, vector: &[Runs]) {
        report.pictures.extend(picture::gantt(&self.bars.borrow()));
        if vector.len() > 1 {
            report.tables.push(Runs::table(vector));
        }
    }

    /// More steps than may did not work. What was undone is over; the rest can be resumed.
    async fn failed(
        &self,
        fleet: Fleet<'_>,
        outcomes: Vec<Outcome>,
        vector: &[Runs],
        failed: usize,
    ) -> Result<Report, Failure> {
        let session = self.session;
        let on = |runs: &&Runs| runs.release.as_deref() == Some(self.destination);
        let total = vector.len();
        // A host may say the destination although its step did not end well.
        let changed = vector.iter().filter(on).count().min(total - failed);
        let mut report = session.report(outcomes);
        if fleet.target.undoes() && changed == 0 {
            let mut journal = fleet.journal.into_inner();
            journal.end(Verdict::Fail.as_str()).await.map_err(failure)?;
        }
        let released = session.store.release(fleet.lease, |_| ()).await;
        released.map_err(failure)?;
        if changed > 0 {
            report.verdict = Verdict::Partial;
            report.reason = format!(
                "{changed} of {total} hosts run {}, {failed} do not or failed: `rollback resume` tries those again",
                self.destination
            );
            let escalation = self.degraded(vector, &report.outcomes);
            report.outcomes.push(escalation);
        }
        self.illustrate(&mut report, vector);
        Ok(report)
    }

    /// What was before is back, or as much of it as could be; `verdict` where all of it is.
    async fn put_back(
        &self,
        fleet: Fleet<'_>,
        made: Result<Made, Failure>,
        verdict: Verdict,
    ) -> Result<Report, Failure> {
        let made = made?;
        let mut outcomes = made.outcomes;
        if made.interrupted {
            return self.interrupted(fleet, outcomes).await;
        }
        let vector = fleet.vector().await;
        let (total, left) = (fleet.steps.len(), fleet.moving.left.map(str::to_owned));
        if let (true, Some(left)) = (total > 1, &left) {
            outcomes.extend(vector.iter().map(|runs| runs.outcome(left)));
        }
        let before = left.clone().unwrap_or_else(|| "what ran before".to_owned());
        let mut report = self.session.report(outcomes);
        let destination = self.destination;
        let whole = made.failed == 0;
        if whole {
            report.verdict = verdict;
            report.reason = match verdict {
                Verdict::Pass => format!("aborted: {before} is back"),
                _ => format!("{}; {before} is back everywhere it was left", report.reason),
            };
        } else {
            report.verdict = Verdict::Partial;
            report.reason = format!(
                "{} of {total} hosts could not be put back to {before}: `rollback resume` tries those again",
                made.failed
            );
        }
        let released = self.session.store.release(fleet.lease, |document| {
            // A rollback that was good enough is recorded before it is finished.
            if whole && left.is_some() && document.current.as_deref() == Some(destination) {
                document.current.clone_from(&left);
            }
        });
        released.await.map_err(failure)?;
        // After the lock: an open journal is found again, a lock without one is only in the way.
        if whole {
            let mut journal = fleet.journal.into_inner();
            journal.end("aborted").await.map_err(failure)?;
        }
        self.illustrate(&mut report, &vector);
        Ok(report)
    }

    /// The rules that were lifted, now or before an interruption.
    fn told_forced(&self, forced: &[Forced]) -> Vec<Outcome> {
        let mut outcomes = self.force.outcomes();
        outcomes.retain(|outcome| {
            outcome.verdict != Verdict::Skipped
                || forced.iter().all(|f| !outcome.id.ends_with(&f.rule))
        });
        for earlier in forced {
            let id = format!("forced/{}", earlier.rule);
            if outcomes.iter().all(|outcome| outcome.id != id) {
                outcomes.push(force::lifted(earlier, self.destination, ""));
            }
        }
        outcomes
    }

    fn gate_size(&self) -> usize {
        let gate = self.session.job.config.healthgate.as_ref();
        gate.map_or(0, |gate| probe::kinds::planned(gate).len())
    }

    /// Gives the lease back and reports why nothing was done.
    async fn give_up(&self, lease: &Lease, outcomes: Vec<Outcome>) -> Result<Report, Failure> {
        self.session
            .store
            .release(lease, |_| ())
            .await
            .map_err(failure)?;
        Ok(self.session.report(outcomes))
    }
}

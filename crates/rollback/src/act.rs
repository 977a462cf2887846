//! The rollback itself: refuse, lease, journal, switch, verify, record.
//!
//! Every step is written down before it is made, so that after a kill at any point [`resume`]
//! knows where we were; steps are safe to make twice.

use std::time::{Duration, Instant};

use cli::{Failure, Job};
use jiff::Timestamp;
use model::{Outcome, Report, Verdict};
use state::{Document, Frozen, Journal, Lease};

use crate::picture::{self, Bar};
use crate::refuse::{self, Wish};
use crate::session::{Session, failure};
use crate::target::{self, ASK, Move, Place, Places, Question, Step, Target};

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Flags {
    /// Go to this release instead of last-known-good
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<String>,
    /// Also to a release that is known bad or unknown, also in a frozen environment
    #[arg(long)]
    pub force: bool,
}

impl Flags {
    fn wish(&self) -> Wish<'_> {
        Wish {
            to: self.to.as_deref(),
            force: self.force,
        }
    }
}

/// What `run` would do.
pub(crate) async fn plan(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let destination = match refuse::destination(document.as_ref(), flags.wish()) {
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
    let rollback = Rollback {
        session: &session,
        destination: &destination,
        places: Places::new(job),
    };
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
    let steps = match planned(target, moving).await {
        Ok(steps) => steps,
        Err(reason) => return Ok(session.report(vec![impossible(&destination, reason)])),
    };
    let mut outcomes = vec![
        Outcome::pass("plan/destination", &destination).actual(format!(
            "from {} ({evidence}) to {destination}",
            left.as_deref().unwrap_or("an unknown release")
        )),
    ];
    outcomes.extend(rollback.window(&document));
    outcomes.extend(steps.into_iter().map(|(step, does)| {
        Outcome::pass(format!("plan/{}", step.name), "").actual(format!("would {does}"))
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
    let document = session.read().await?;
    let destination = match refuse::destination(document.as_ref(), flags.wish()) {
        Ok(destination) => destination,
        Err(outcome) => return Ok(session.report(vec![*outcome])),
    };
    let rollback = Rollback {
        session: &session,
        destination: &destination,
        places: Places::new(job),
    };
    let target = rollback.target()?;
    let target = &*target;
    // The lease names the destination: from here on a kill leaves enough to resume.
    let (lease, again) = session
        .acquire("rollback", |document, lock| {
            lock.destination = Some(destination.clone());
            // What was true before the lease must be true under it.
            refuse::destination(Some(document), flags.wish()).map(|now| (now, document.clone()))
        })
        .await?;
    let document = match again {
        Ok((now, document)) if now == destination => document,
        Ok((now, _)) => {
            let outcome = Outcome::refused("refused/changed", &destination)
                .reason(format!("last-known-good became {now} meanwhile"))
                .hint("run `rollback run` again");
            return rollback.give_up(&lease, outcome).await;
        }
        Err(outcome) => return rollback.give_up(&lease, *outcome).await,
    };
    let mut unfinished = session.store.unfinished().await.map_err(failure)?;
    let running = rollback.what_runs(target, &document).await;
    if let Some(journal) = unfinished.take_if(|journal| rollback.continues(journal, &running)) {
        let trusted = rollback.seen(&running);
        return rollback.go(target, &lease, journal, trusted).await;
    }
    if let Some(mut journal) = unfinished {
        journal.end("superseded").await.map_err(failure)?;
    }
    if let Some(outcome) = rollback.already_there(&running, &document) {
        return rollback.give_up(&lease, outcome).await;
    }
    let left = running.release.as_deref();
    let moving = Move {
        destination: &destination,
        left,
    };
    if let Err(reason) = planned(target, moving).await {
        return rollback
            .give_up(&lease, impossible(&destination, reason))
            .await;
    }
    let journal = session
        .store
        .begin_journal(&destination, left, lease.token)
        .await
        .map_err(failure)?;
    rollback.go(target, &lease, journal, false).await
}

/// Finishes an interrupted rollback. Does nothing where there is none.
pub(crate) async fn resume(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let unfinished = session.store.unfinished().await.map_err(failure)?;
    let destination = match (&unfinished, &document) {
        (Some(journal), _) => journal
            .plan()
            .map(|(destination, _)| destination.to_owned()),
        // Killed between lease and journal: the lease says where it was going.
        (None, Some(document)) => document
            .lock
            .as_ref()
            .filter(|lock| lock.operation == "rollback")
            .and_then(|lock| lock.destination.clone()),
        (None, None) => None,
    };
    let Some(destination) = destination else {
        let current = document.and_then(|document| document.current);
        return Ok(session.report(vec![
            Outcome::pass("resume/nothing", current.unwrap_or_default())
                .actual("nothing to resume: no rollback is unfinished"),
        ]));
    };
    if job.dry_run {
        let reason = format!("dry run: would finish the rollback to {destination}");
        return Ok(session.report(vec![Outcome::skipped(
            "resume/rollback",
            destination,
            reason,
        )]));
    }
    let rollback = Rollback {
        session: &session,
        destination: &destination,
        places: Places::new(job),
    };
    let target = rollback.target()?;
    let target = &*target;
    let (lease, document) = session
        .acquire("rollback", |document, lock| {
            lock.destination = Some(destination.clone());
            document.clone()
        })
        .await?;
    // Whoever held the lease until now may have ended the journal that was found before it.
    let found = session.store.unfinished().await.map_err(failure)?;
    let running = rollback.what_runs(target, &document).await;
    let journal = if let Some(journal) = found {
        journal
    } else {
        let left = running.release.clone().filter(|left| *left != destination);
        let left = left.or_else(|| rollback.left_by_record(&document));
        let begun = session
            .store
            .begin_journal(&destination, left.as_deref(), lease.token);
        begun.await.map_err(failure)?
    };
    // Recording a deployment ends the journal, so where nobody can be asked it still holds.
    let trusted = rollback.seen(&running) || running.answer == Answer::Nobody;
    rollback.go(target, &lease, journal, trusted).await
}

/// Every step, proved possible, with what it would do.
async fn planned(target: &dyn Target, moving: Move<'_>) -> Result<Vec<(Step, String)>, String> {
    let mut planned = Vec::new();
    for step in target.steps(moving) {
        let does = target.plan(&step, moving).await;
        let does = does.map_err(|reason| match &step.place {
            Place::Here => reason,
            Place::Host(name) => format!("{name}: {reason}"),
        })?;
        planned.push((step, does));
    }
    Ok(planned)
}

fn impossible(destination: &str, reason: String) -> Outcome {
    Outcome::refused("refused/destination", destination)
        .expected(format!("{destination} can be made live"))
        .actual(reason.clone())
        .reason(reason)
        .hint("nothing was changed; start the destination, or choose another with `--to`")
}

/// What runs before a rollback acts.
struct Running {
    release: Option<String>,
    /// How that is known, in words.
    evidence: String,
    answer: Answer,
}

/// Who said so just now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The service or the target itself.
    Given,
    /// Somebody was asked and did not answer.
    Missing,
    /// Nobody can be asked: `--release` or the state have to do.
    Nobody,
}

/// One rollback to one destination.
struct Rollback<'a> {
    session: &'a Session<'a>,
    destination: &'a str,
    places: Places,
}

impl Rollback<'_> {
    fn target(&self) -> Result<Box<dyn Target + '_>, Failure> {
        target::of(self.session.section, self.session.job, &self.places).map_err(Failure::usage)
    }

    fn gate_size(&self) -> usize {
        let gate = self.session.job.config.healthgate.as_ref();
        gate.map_or(0, |gate| probe::kinds::planned(gate).len())
    }

    /// Gives the lease back and reports why nothing was done.
    async fn give_up(&self, lease: &Lease, outcome: Outcome) -> Result<Report, Failure> {
        self.session
            .store
            .release(lease, |_| ())
            .await
            .map_err(failure)?;
        Ok(self.session.report(vec![outcome]))
    }

    /// The release that runs now, asked in this order: the target, the gate's own probes,
    /// `--release`, the state.
    async fn what_runs(&self, target: &dyn Target, document: &Document) -> Running {
        let destination = self.destination;
        let mut asked = match target::everywhere(target, destination).await {
            Ok(Some(release)) => Some(Ok((release, "the target says so"))),
            Ok(None) => None,
            Err(reason) => Some(Err(reason)),
        };
        if !matches!(asked, Some(Ok(_)))
            && let Some(question) = Question::of_gate(self.session.job)
        {
            let answer = question.ask(None, destination, ASK).await;
            asked = match (answer, asked) {
                (Ok(release), _) => Some(Ok((release, "the service says so"))),
                // The target's own reason says more.
                (Err(_), Some(target)) => Some(target),
                (Err(reason), None) => Some(Err(reason)),
            };
        }
        let by_record = self.left_by_record(document);
        let answer = match &asked {
            Some(_) => Answer::Missing,
            None => Answer::Nobody,
        };
        let (release, evidence) = match asked {
            Some(Ok((release, evidence))) => {
                return Running {
                    // It goes into state and journal: whatever the service calls itself, without
                    // secrets.
                    release: Some(self.session.clean(&release)),
                    evidence: evidence.to_owned(),
                    answer: Answer::Given,
                };
            }
            // What does not answer is not the healthy destination.
            Some(Err(reason)) => (by_record, format!("nobody can be asked: {reason}")),
            None if self.session.job.release.is_some() && by_record.is_some() => {
                (by_record, "`--release`".to_owned())
            }
            None => (
                by_record.or(Some(destination.to_owned())),
                "the state says so".to_owned(),
            ),
        };
        Running {
            release,
            evidence,
            answer,
        }
    }

    /// The refusal to go where the service already is.
    fn already_there(&self, running: &Running, document: &Document) -> Option<Outcome> {
        (running.release.as_deref() == Some(self.destination))
            .then(|| refuse::already_there(document, self.destination, &running.evidence))
    }

    /// Whether a journal that was left open is about the rollback that is wanted now, and not
    /// about one from a release that was deployed over since.
    fn continues(&self, journal: &Journal, running: &Running) -> bool {
        let runs = running.release.as_deref();
        journal.plan().is_some_and(|(destination, left)| {
            destination == self.destination
                && (runs.is_none() || runs == Some(destination) || runs == left)
        })
    }

    /// Whether the destination was seen to run just now, so that what a journal says is done
    /// still is.
    fn seen(&self, running: &Running) -> bool {
        running.answer == Answer::Given && running.release.as_deref() == Some(self.destination)
    }

    /// A note where the window to go back in has passed: what the destination needs may be gone.
    fn window(&self, document: &Document) -> Option<Outcome> {
        let window = self.session.section.window?;
        let current = document.current.as_deref()?;
        let since = document.entry(current)?.deployed_at;
        let age = Duration::try_from(Timestamp::now().duration_since(since)).unwrap_or_default();
        (age > window.get() && current != self.destination).then(|| {
            Outcome::inconclusive("rollback/window", self.destination)
                .severity(model::Severity::Advisory)
                .expected(format!("{current} was deployed within {window}"))
                .actual(format!("deployed at {since:.0}"))
                .reason(format!(
                    "the window of {window} has passed: what {} needs may be gone",
                    self.destination
                ))
                .hint("see that its images and files are still there before you rely on it")
        })
    }

    /// The release to leave, as far as `--release` and the state know.
    fn left_by_record(&self, document: &Document) -> Option<String> {
        let named = self.session.job.release.clone();
        named
            .or(document.current.clone())
            .filter(|release| release != self.destination)
    }

    /// Makes what is not made yet, verifies, records. `trusted`: what the journal says is done is
    /// not made again; a deployment since the interruption may have undone it.
    async fn go(
        &self,
        target: &dyn Target,
        lease: &Lease,
        journal: Journal,
        trusted: bool,
    ) -> Result<Report, Failure> {
        let ended = self.steps(target, lease, journal, trusted).await;
        if ended.is_err() {
            // Where that fails too, the lock goes with its holder.
            let _ = self.session.store.release(lease, |_| ()).await;
        }
        ended
    }

    async fn steps(
        &self,
        target: &dyn Target,
        lease: &Lease,
        mut journal: Journal,
        trusted: bool,
    ) -> Result<Report, Failure> {
        let session = self.session;
        let left = journal.plan().and_then(|(_, left)| left.map(str::to_owned));
        let moving = Move {
            destination: self.destination,
            left: left.as_deref(),
        };
        let clock = Instant::now();
        let mut bars: Vec<Bar> = Vec::new();
        let mut outcomes = Vec::new();
        for step in target.steps(moving) {
            if session.job.interrupt.caught().is_some() {
                return self.interrupted(lease, outcomes, &journal).await;
            }
            session
                .job
                .progress
                .say(&format!("{} → {}", step.name, self.destination));
            let start = clock.elapsed();
            // Whoever lost the lock acts no more.
            let ttl = session.section.lock_ttl.get();
            session.store.renew(lease, ttl).await.map_err(failure)?;
            let known = trusted && journal.is_done(&step.name);
            let outcome = if known && !target.undoes() {
                Outcome::pass(format!("step/{}", step.name), self.destination)
                    .actual("done before the interruption")
            } else {
                self.one_step(target, &step, moving, &mut journal).await?
            };
            bars.push((
                step.name,
                start,
                clock.elapsed(),
                outcome.verdict == Verdict::Pass,
            ));
            outcomes.push(outcome);
        }
        let failed = outcomes
            .iter()
            .filter(|outcome| outcome.verdict != Verdict::Pass)
            .count();
        if failed > 0 {
            return self.failed(target, lease, journal, outcomes, failed).await;
        }
        let ttl = session.section.lock_ttl.get();
        session.store.renew(lease, ttl).await.map_err(failure)?;
        let start = clock.elapsed();
        let verified = self.verify(target).await;
        if session.job.interrupt.caught().is_some() {
            outcomes.extend(verified);
            return self.interrupted(lease, outcomes, &journal).await;
        }
        let verdict = Verdict::of(verified.iter().map(Outcome::weighs));
        bars.push((
            "verify".to_owned(),
            start,
            clock.elapsed(),
            verdict == Verdict::Pass,
        ));
        outcomes.extend(verified);
        self.record(lease, left.as_deref(), verdict).await?;
        journal.end(verdict.as_str()).await.map_err(failure)?;
        let mut report = session.report(outcomes);
        report.pictures.extend(picture::gantt(&bars));
        self.conclude(&mut report, left.as_deref(), verdict, clock.elapsed());
        Ok(report)
    }

    async fn one_step(
        &self,
        target: &dyn Target,
        step: &Step,
        moving: Move<'_>,
        journal: &mut Journal,
    ) -> Result<Outcome, Failure> {
        let id = format!("step/{}", step.name);
        let clock = Instant::now();
        let before = match journal.before(&step.name) {
            Some(before) => Ok(Some(before.to_owned())),
            None => target.before(step, moving).await,
        };
        let result = match before {
            Ok(before) => {
                journal
                    .intent(&step.name, before.clone())
                    .await
                    .map_err(failure)?;
                target.act(step, moving, before.as_deref()).await
            }
            Err(reason) => Err(reason),
        };
        let outcome = match result {
            Ok(detail) => {
                journal.done(&step.name).await.map_err(failure)?;
                Outcome::pass(id, self.destination).actual(detail)
            }
            Err(reason) => {
                let clean = self.session.clean(&reason);
                journal.failed(&step.name, &clean).await.map_err(failure)?;
                Outcome::fail(id, self.destination)
                    .expected(format!("{} is live", self.destination))
                    .actual(reason.clone())
                    .reason(reason)
                    .hint(format!(
                        "mend it, then `rollback resume`; journal: {}",
                        journal.place()
                    ))
            }
        };
        Ok(outcome.took(clock.elapsed()))
    }

    /// Some steps did not work. What was undone is over; the rest can be resumed.
    async fn failed(
        &self,
        target: &dyn Target,
        lease: &Lease,
        mut journal: Journal,
        outcomes: Vec<Outcome>,
        failed: usize,
    ) -> Result<Report, Failure> {
        if target.undoes() {
            journal.end(Verdict::Fail.as_str()).await.map_err(failure)?;
        }
        self.session
            .store
            .release(lease, |_| ())
            .await
            .map_err(failure)?;
        let changed = outcomes.len() - failed;
        let mut report = self.session.report(outcomes);
        if changed > 0 {
            report.verdict = Verdict::Partial;
            report.reason = format!(
                "{changed} of {} hosts run {}, {failed} do not: `rollback resume` tries those again",
                changed + failed,
                self.destination
            );
        }
        Ok(report)
    }

    /// The journal is what `resume` needs; the lock would only keep the next run out.
    async fn interrupted(
        &self,
        lease: &Lease,
        mut outcomes: Vec<Outcome>,
        journal: &Journal,
    ) -> Result<Report, Failure> {
        self.session
            .store
            .release(lease, |_| ())
            .await
            .map_err(failure)?;
        outcomes.push(
            Outcome::inconclusive("rollback/interrupted", self.destination)
                .expected("the rollback is finished")
                .actual("interrupted")
                .reason("interrupted; the journal is kept")
                .hint(format!(
                    "`rollback resume` finishes it; journal: {}",
                    journal.place()
                )),
        );
        Ok(self.session.report(outcomes))
    }

    /// Asks the gate whether the destination is healthy and answers.
    async fn verify(&self, target: &dyn Target) -> Vec<Outcome> {
        let job = self.session.job;
        let gate = job
            .config
            .healthgate
            .as_ref()
            .filter(|_| self.gate_size() > 0);
        let proof = target.proof(self.destination).await;
        let Some(gate) = gate else {
            return vec![
                match proof {
                    Some(proof) => Outcome::pass("verify/release", self.destination).actual(proof),
                    // The command's own exit status is all there is, and is shown as that.
                    None => Outcome::inconclusive("verify/release", self.destination)
                        .severity(model::Severity::Advisory)
                        .expected(format!("somebody says that {} answers", self.destination))
                        .actual("only the command's exit status says so")
                        .reason("nobody verified that the release answers")
                        .hint("add probes under `healthgate:`, or `rollback.command.current`"),
                },
                Outcome::pass("verify/command", self.destination)
                    .actual("every step ended with success"),
            ];
        };
        let interrupt = job.interrupt.clone();
        let interrupted = move || -> probe::gate::Interrupted {
            let interrupt = interrupt.clone();
            Box::pin(async move {
                interrupt.wait().await;
            })
        };
        let say = |text: &str| job.progress.say(&format!("verify {text}"));
        let watch = probe::gate::Watch {
            selects: &|_| true,
            observer: &probe::observer::Line::new(&say),
            interrupted: &interrupted,
            around: probe::kinds::Surroundings {
                env: job.env.clone(),
                hosts: self.places.hosts(),
                redactor: job.redactor.clone(),
                shard: None,
            },
            forever: false,
        };
        let mut outcomes = probe::gate::run(gate, Some(self.destination), &watch).await;
        for outcome in &mut outcomes {
            // The switch's own proof says who answers where the probes do not.
            if outcome.id == "release/identity"
                && let Some(proof) = &proof
            {
                *outcome =
                    Outcome::pass("release/identity", self.destination).actual(proof.clone());
            }
            outcome.id = format!("verify/{}", outcome.id);
        }
        outcomes
    }

    /// Writes down what runs now; freezes the environment if it is not healthy.
    async fn record(
        &self,
        lease: &Lease,
        left: Option<&str>,
        verdict: Verdict,
    ) -> Result<(), Failure> {
        let session = self.session;
        let now = Timestamp::now();
        let frozen = (verdict == Verdict::Fail).then(|| Frozen {
            reason: format!(
                "the rollback to {} did not restore the service",
                self.destination
            ),
            by: session.actor(),
            at: now,
        });
        session
            .store
            .release(lease, |document| {
                document.rolled_back(left, self.destination, verdict == Verdict::Pass, now);
                if frozen.is_some() {
                    document.frozen.clone_from(&frozen);
                }
            })
            .await
            .map_err(failure)
    }

    fn conclude(&self, report: &mut Report, left: Option<&str>, verdict: Verdict, took: Duration) {
        let from = left.unwrap_or("an unknown release");
        let ms = took.as_millis();
        match verdict {
            Verdict::Pass => {
                report.reason =
                    format!("rolled back from {from} to {} in {ms} ms", self.destination);
                report
                    .outputs
                    .push(("restored-release".to_owned(), self.destination.to_owned()));
            }
            Verdict::Fail => {
                report.reason = format!(
                    "{} is live, but the service is not healthy: {}",
                    self.destination, report.reason
                );
                report.outcomes.push(self.escalation(from));
            }
            _ => {
                report.reason = format!(
                    "{} is live, but it could not be verified: {}",
                    self.destination, report.reason
                );
            }
        }
    }

    /// What a person has to do when the last-known-good release is not healthy either.
    fn escalation(&self, from: &str) -> Outcome {
        Outcome::fail("rollback/escalate", self.destination)
            .expected(format!("{} is healthy", self.destination))
            .actual("it is live and not healthy")
            .reason(format!(
                "tried: {from} → {}; the environment is frozen, no deployment is allowed",
                self.destination
            ))
            .hint(
                "a person has to look: 1. do not deploy; 2. `healthgate` tells what is wrong; \
                 3. check what the release depends on (database, cache, network); 4. `rollback \
                 history`, then `rollback run --force --to VERSION` for an older release; \
                 5. `rollback unfreeze` when the service is healthy",
            )
    }
}

//! The way through: the steps, what runs where after them, the proof, the record.

use std::collections::BTreeMap;
use std::time::Instant;

use cli::Failure;
use model::{ExitCode, Outcome, Report, Verdict};
use state::{Forced, Journal, Lease};

use super::Rollback;
use super::fleet::{Fleet, Made, Runs};
use super::running::Running;
use super::standing::{self, Standing};
use crate::force;
use crate::picture;
use crate::session::failure;
use target::{Place, Step, Target, Transition};

/// What came of the steps.
struct Arrived {
    outcomes: Vec<Outcome>,
    vector: Vec<Runs>,
    proof: Option<String>,
    failed: usize,
    wrong: usize,
}

impl Rollback<'_> {
    /// Makes what is not made yet, verifies, records.
    pub(super) async fn go(
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
        let transition = Transition {
            to: self.destination,
            from: left.as_deref(),
        };
        let forced = journal.forced().to_vec();
        session.tale.borrow_mut().left.clone_from(&left);
        let done: Vec<String> = target
            .steps(transition)
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
            still && !target.capabilities().self_reverting && done.contains(&step.name)
        };
        let lost = standing::elsewhere(&journal, &target.steps(transition), self.destination);
        let mut fleet = self.fleet(target, lease, transition, journal);
        let Made {
            mut outcomes,
            failed,
            interrupted,
            trouble,
            answered,
        } = fleet.commit(known, &unready).await;
        self.restored.set(answered.unwrap_or_else(Instant::now));
        outcomes.extend(lost);
        outcomes.extend(self.told_forced(&forced));
        outcomes.append(&mut self.beside.borrow_mut());
        if interrupted {
            return self.interrupted(fleet, outcomes).await;
        }
        let (total, most) = (fleet.steps.len(), fleet.most());
        if failed > most && fleet.restores() && trouble.is_none() {
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
        let proof = if failed <= most && trouble.is_none() {
            target.proof(self.destination).await
        } else {
            None
        };
        let vector = if total > 1 || failed > 0 || proof.is_none() {
            fleet.vector().await
        } else {
            Vec::new()
        };
        // A single place that cannot be asked is left to the gate.
        let elsewhere = |runs: &&Runs| match &runs.release {
            Some(release) => release != self.destination,
            None => total > 1 || failed > 0,
        };
        let wrong = vector.iter().filter(elsewhere).count();
        if total > 1 || wrong > 0 {
            outcomes.extend(vector.iter().map(|runs| runs.outcome(self.destination)));
        }
        if let Some(trouble) = trouble {
            return self.stopped(fleet, outcomes, &vector, trouble).await;
        }
        if total == 1 && failed == 0 && wrong == 1 {
            return self.denied(fleet, outcomes).await;
        }
        // What changed nowhere was no rollback, however many may fail.
        if failed > most || wrong > most || wrong == total {
            return self
                .failed(fleet, outcomes, &vector, failed.max(wrong))
                .await;
        }
        let arrived = Arrived {
            outcomes,
            vector,
            proof,
            failed,
            wrong,
        };
        self.settle(fleet, arrived).await
    }

    /// Verifies, and writes down what came of it.
    async fn settle(&self, fleet: Fleet<'_>, arrived: Arrived) -> Result<Report, Failure> {
        let Arrived {
            mut outcomes,
            vector,
            proof,
            failed,
            wrong,
        } = arrived;
        let (session, lease) = (self.session, fleet.lease);
        let (total, most) = (fleet.steps.len(), fleet.most());
        let left = fleet.transition.from;
        let forced = fleet.journal.lock().await.forced().to_vec();
        let ttl = session.section.lock_ttl.get();
        if let Err(error) = session.store.renew(lease, ttl).await {
            return self.stopped(fleet, outcomes, &vector, failure(error)).await;
        }
        let start = self.begins(&Place::Here, "verify");
        let verifying = self.verify(proof, &vector, total - failed);
        let verified = self.tree.drawn(verifying).await;
        if self.interrupted_now() {
            outcomes.extend(verified);
            return self.interrupted(fleet, outcomes).await;
        }
        let verdict = Verdict::of(verified.iter().map(Outcome::weighs));
        self.bar(&Place::Here, "verify", start, verdict);
        outcomes.extend(verified);
        let mut recorded = self.record(lease, left, verdict, &forced).await;
        // What is missing can be resumed.
        if wrong == 0 && recorded.is_ok() {
            let ended = fleet.journal.lock().await.end(verdict.as_str()).await;
            recorded = ended.map_err(failure);
        }
        if let Err(trouble) = recorded {
            return self.stopped(fleet, outcomes, &vector, trouble).await;
        }
        let mut report = session.report(outcomes);
        // Only an escalation needs it, and is told without where it cannot be read.
        let now = match verdict {
            Verdict::Fail => session.store.read().await.ok().flatten(),
            _ => None,
        };
        self.conclude(&mut report, left, verdict, now.as_ref());
        if wrong > 0 {
            report.verdict = Verdict::Partial;
            let right = total.saturating_sub(wrong);
            report.headline = report
                .headline
                .map(|told| format!("{told} on {right} of {total} hosts"));
            report.reason = format!(
                "{}; {wrong} of {total} hosts do not run it, {most} may fail: `rollback resume` tries those again",
                report.reason
            );
        }
        self.illustrate(&mut report, &vector);
        Ok(report)
    }

    pub(super) fn illustrate(&self, report: &mut Report, vector: &[Runs]) {
        let bars = self.bars.borrow();
        report.pictures.extend(picture::gantt(&bars));
        report.timeline.clone_from(&bars);
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
        if fleet.target.capabilities().self_reverting && changed == 0 {
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

    /// The only step ended with success, and its place runs something else all the same.
    async fn denied(&self, fleet: Fleet<'_>, outcomes: Vec<Outcome>) -> Result<Report, Failure> {
        let session = self.session;
        let mut report = session.report(outcomes);
        let mut now = None;
        let released = session.store.release(fleet.lease, |document| {
            document.frozen = Some(self.frozen());
            now = Some(document.clone());
        });
        released.await.map_err(failure)?;
        let from = fleet.transition.from.unwrap_or("an unknown release");
        let escalation = self.escalation(from, now.as_ref(), "is not what runs");
        report.outcomes.push(escalation);
        self.illustrate(&mut report, &[]);
        Ok(report)
    }

    /// The journal, the lock or the state could not be written: nothing more is done, and what was
    /// done until then is told.
    pub(super) async fn stopped(
        &self,
        fleet: Fleet<'_>,
        mut outcomes: Vec<Outcome>,
        vector: &[Runs],
        trouble: Failure,
    ) -> Result<Report, Failure> {
        let session = self.session;
        // Where that fails too, the lock goes with its holder.
        let _ = session.store.release(fleet.lease, |_| ()).await;
        let on = |runs: &&Runs| runs.release.as_deref() == Some(self.destination);
        let (total, changed) = (vector.len(), vector.iter().filter(on).count());
        let reason = trouble.chain();
        let mut outcome = Outcome::error("rollback/stopped", fleet.journal.into_inner().place())
            .expected("journal, lock and state can be written")
            .actual(reason.clone())
            .reason(reason.clone());
        outcome.hint = trouble.hint;
        outcomes.push(outcome);
        let mut report = session.report(outcomes);
        report.verdict = match trouble.code {
            _ if changed > 0 && changed < total => Verdict::Partial,
            ExitCode::Refused => Verdict::Refused,
            _ => Verdict::Error,
        };
        report.reason = match report.verdict {
            Verdict::Partial => format!(
                "stopped: {reason}; {changed} of {total} hosts run {}: `rollback resume` goes on",
                self.destination
            ),
            _ => format!("stopped: {reason}; `rollback resume` goes on"),
        };
        if report.verdict == Verdict::Partial {
            let escalation = self.degraded(vector, &report.outcomes);
            report.outcomes.push(escalation);
        }
        self.illustrate(&mut report, vector);
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
}

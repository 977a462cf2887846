//! The way through: the steps, what runs where after them, the proof, the record.

use std::collections::BTreeMap;
use std::time::Instant;

use cli::Failure;
use model::{Outcome, Report, Verdict};
use state::{Forced, Journal, Lease};

use super::Rollback;
use super::fleet::{Fleet, Made, Runs};
use super::running::Running;
use super::standing::{self, Standing};
use crate::force;
use crate::picture;
use crate::session::failure;
use crate::target::{Move, Place, Step, Target};

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
        self.restored
            .set(target.answered().unwrap_or_else(Instant::now));
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

    pub(super) fn illustrate(&self, report: &mut Report, vector: &[Runs]) {
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

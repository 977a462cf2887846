//! How a rollback can end, in words, with what becomes of its lock and its journal.

use std::time::Instant;

use cli::Failure;
use cli::force::{self, Lifting};
use engine::{Execution, PlaceRelease, Reverted};
use model::report::Bar;
use model::{Id, Outcome, Report, Severity, Verdict};
use state::Forced;
use state::journal::Ending;

use super::Rollback;
use crate::hooks::HookContext;
use operation::gantt;

/// What is reported about a rollback, however it ends.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) timeline: Vec<Bar>,
    /// What each place runs, where that was asked.
    pub(super) places: Vec<PlaceRelease>,
}

impl Findings {
    /// How many places run the release.
    fn run(&self, release: &str) -> usize {
        let on = |place: &&PlaceRelease| place.runs(release);
        self.places.iter().filter(on).count()
    }

    pub(super) fn illustrate(&self, report: &mut Report) {
        report.pictures.extend(gantt::drawn(&self.timeline));
        report.timeline.clone_from(&self.timeline);
        if self.places.len() > 1 {
            report.tables.push(PlaceRelease::table(&self.places));
        }
    }
}

impl Rollback<'_> {
    fn reported(&self, found: &mut Findings) -> Report {
        let mut report = self.session.report(std::mem::take(&mut found.outcomes));
        let all = found.places.len();
        report.hosts = (all > 1).then(|| (all - found.run(self.destination), all));
        report
    }

    /// The destination is live, verified or not, and that is recorded.
    pub(super) async fn concluded(
        &self,
        execution: &Execution<'_>,
        mut found: Findings,
        verdict: Verdict,
        restored: Instant,
        wrong: usize,
        hook_context: &HookContext,
    ) -> Result<Report, Failure> {
        let (total, most) = (execution.total(), execution.most());
        let mut report = self.reported(&mut found);
        // Only an escalation needs it, and is reported without it if it cannot be read.
        let now = match verdict {
            Verdict::Fail => self.session.store.read().await.ok().flatten(),
            _ => None,
        };
        let from = execution.from();
        self.conclude(
            &mut report,
            (from, restored),
            verdict,
            now.as_ref(),
            hook_context,
        );
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
        found.illustrate(&mut report);
        Ok(report)
    }

    /// The journal is what `resume` needs; the lock would only keep the next run out.
    pub(super) async fn interrupted(
        &self,
        execution: &Execution<'_>,
        mut found: Findings,
    ) -> Result<Report, Failure> {
        let lease = execution.means().lease;
        let released = self.session.store.release(lease, |_| ()).await;
        released?;
        let place = execution.place().await;
        found.outcomes.push(
            Outcome::inconclusive("rollback/interrupted", self.destination)
                .expected("the rollback is finished")
                .actual("interrupted")
                .reason("interrupted; the journal is kept")
                .hint(format!(
                    "`rollback resume` finishes it, `rollback abort` puts back what was; journal: {place}"
                )),
        );
        Ok(self.reported(&mut found))
    }

    /// What was before is back, or as much of it as could be; `verdict` where all of it is.
    pub(super) async fn reverted(
        &self,
        execution: &Execution<'_>,
        mut found: Findings,
        Reverted {
            tried,
            failed,
            wrong,
        }: Reverted,
        verdict: Verdict,
    ) -> Result<Report, Failure> {
        let left = execution.from().map(str::to_owned);
        let total = execution.total();
        let before = left.clone().unwrap_or_else(|| "what ran before".to_owned());
        let mut report = self.reported(&mut found);
        let whole = failed == 0;
        if whole && wrong > 0 {
            report.verdict = if wrong == total {
                Verdict::Fail
            } else {
                Verdict::Partial
            };
            report.reason = format!(
                "every step was put back, and {wrong} of {total} hosts do not run {before}"
            );
        } else if whole {
            report.verdict = verdict;
            report.reason = match verdict {
                Verdict::Pass => format!("aborted: {before} is back"),
                _ => format!("{}; {before} is back everywhere it was left", report.reason),
            };
        } else {
            report.verdict = Verdict::Partial;
            report.reason = format!(
                "{failed} of {tried} steps could not be put back to {before}: `rollback resume` tries those again"
            );
        }
        let lease = execution.means().lease;
        let released = self.session.store.release(lease, |document| {
            // A rollback that was good enough is recorded before it is finished.
            if whole && left.is_some() && document.current.as_deref() == Some(self.destination) {
                document.current.clone_from(&left);
            }
        });
        released.await?;
        // After the lock: an open journal is found again, a lock without one is only in the way.
        if whole {
            execution.end(Ending::Aborted).await?;
        }
        found.illustrate(&mut report);
        Ok(report)
    }

    /// More steps than may did not work. What was undone is over; the rest can be resumed.
    pub(super) async fn failed(
        &self,
        execution: &Execution<'_>,
        mut found: Findings,
        failed: usize,
        hook_context: &HookContext,
    ) -> Result<Report, Failure> {
        let total = found.places.len();
        // A host may say the destination although its step did not end well.
        let changed = found.run(self.destination).min(total - failed);
        let mut report = self.reported(&mut found);
        let reverting = execution.means().target.capabilities().self_reverting;
        if reverting && changed == 0 {
            let ended = execution.end(Verdict::Fail).await;
            ended?;
        }
        let lease = execution.means().lease;
        let released = self.session.store.release(lease, |_| ()).await;
        released?;
        if changed > 0 {
            report.verdict = Verdict::Partial;
            report.reason = format!(
                "{changed} of {total} hosts run {}, {failed} do not or failed: `rollback resume` tries those again",
                self.destination
            );
            let escalation = self.degraded(&found.places, &report.outcomes, hook_context);
            report.outcomes.push(escalation);
        }
        found.illustrate(&mut report);
        Ok(report)
    }

    /// The only step ended with success, and its place runs something else all the same.
    pub(super) async fn denied(
        &self,
        execution: &Execution<'_>,
        mut found: Findings,
        hook_context: &HookContext,
    ) -> Result<Report, Failure> {
        let mut report = self.reported(&mut found);
        let mut now = None;
        let lease = execution.means().lease;
        let released = self.session.store.release(lease, |document| {
            document.frozen = Some(self.frozen());
            now = Some(document.clone());
        });
        released.await?;
        let from = state::release_shown(execution.from());
        let escalation = self.escalation(from, now.as_ref(), "is not what runs", hook_context);
        report.outcomes.push(escalation);
        found.illustrate(&mut report);
        Ok(report)
    }

    /// The journal, the lock or the state could not be written: the rollback stops, and reports what
    /// it did until then.
    pub(super) async fn stopped(
        &self,
        execution: &Execution<'_>,
        mut found: Findings,
        trouble: Failure,
        hook_context: &HookContext,
    ) -> Result<Report, Failure> {
        // Where that fails too, the lock goes with its holder.
        let lease = execution.means().lease;
        let _ = self.session.store.release(lease, |_| ()).await;
        let (total, changed) = (found.places.len(), found.run(self.destination));
        let reason = trouble.chain();
        let mut outcome = Outcome::error(Id::stopped(), execution.place().await)
            .expected("journal, lock and state can be written")
            .actual(reason.clone())
            .reason(reason.clone());
        outcome.hint = trouble.hint;
        found.outcomes.push(outcome);
        let mut report = self.reported(&mut found);
        report.verdict = match trouble.code {
            _ if changed > 0 && changed < total => Verdict::Partial,
            code => code.verdict(),
        };
        report.reason = match report.verdict {
            Verdict::Partial => format!(
                "stopped: {reason}; {changed} of {total} hosts run {}: `rollback resume` goes on",
                self.destination
            ),
            _ => format!("stopped: {reason}; `rollback resume` goes on"),
        };
        if report.verdict == Verdict::Partial {
            let escalation = self.degraded(&found.places, &report.outcomes, hook_context);
            report.outcomes.push(escalation);
        }
        found.illustrate(&mut report);
        Ok(report)
    }

    /// What was begun and did not end well where the configuration no longer looks.
    pub(super) async fn lost(&self, execution: &Execution<'_>) -> Vec<Outcome> {
        let outcome = |name: String| {
            Outcome::inconclusive(format!("journal/{name}"), self.destination)
                .severity(Severity::Advisory)
                .expected("a step of the configuration")
                .actual("it was begun, and only the journal knows it")
                .reason(
                    "the configuration no longer names its place: what it runs is not looked at",
                )
                .hint("if it still serves, put it back into the configuration and roll it back")
        };
        execution.lost().await.into_iter().map(outcome).collect()
    }

    /// The rules that were lifted, now or before an interruption.
    pub(super) fn forced_outcomes(&self, force: &Lifting, forced: &[Forced]) -> Vec<Outcome> {
        let mut outcomes = force.outcomes();
        outcomes.retain(|outcome| {
            outcome.verdict != Verdict::Skipped
                || forced.iter().all(|f| outcome.id != Id::forced(&f.rule))
        });
        for earlier in forced {
            let id = Id::forced(&earlier.rule);
            if outcomes.iter().all(|outcome| outcome.id != id) {
                let outcome = Outcome::inconclusive(id, self.destination);
                outcomes.push(force::lifted(outcome, earlier));
            }
        }
        outcomes
    }
}

//! A rollback from its start to its end, in order: refuse, lease, prove, capture, journal, steps,
//! verify, record. `resume` enters the sequence where a kill has left it.

use std::collections::BTreeMap;
use std::time::Duration;

use cli::force::Lifting;
use cli::rollout::in_progress;
use cli::{Failure, Job};
use engine::{Conclusion, CurrentRelease, Execution, ExecutionEnd, Grounds};
use jiff::Timestamp;
use model::report::Bar;
use model::{Id, Outcome, Report, Verdict};
use operation::shares::work::TRAFFIC;
use state::journal::{Ending, ROLLBACK};
use state::{Document, Lease, Rollout};
use target::Target;

use super::course::Course;
use super::ends::Findings;
use super::rollout::{self, RolloutEnd};
use super::schema::{self, WayDown};
use super::{Flags, Rollback, Situation, timed};
use crate::hooks::{self, HookContext};
use crate::refuse;
use crate::session::Session;

/// Rolls back.
pub async fn run(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let mut hook_context = HookContext::begun();
    // It holds every step's future.
    let ended = Box::pin(roll_back(&session, flags, &mut hook_context)).await;
    hooks::after(&session, hook_context, ended).await
}

async fn roll_back(
    session: &Session<'_>,
    flags: &Flags,
    hook_context: &mut HookContext,
) -> Result<Report, Failure> {
    let document = session.read().await?;
    let Some((known, rollout)) = in_rollout(document.as_ref()) else {
        return Box::pin(go_back(
            session,
            flags,
            document,
            hook_context,
            After::Nothing,
        ))
        .await;
    };
    // What the state forbids is refused before the rollout is touched.
    let allowed = refuse::destination(Some(known), flags.to(), &mut flags.force(session));
    if let Err(outcome) = allowed {
        return Ok(session.report(vec![*outcome]));
    }
    // A rollout in progress is taken back first.
    let given_back = match rollout::end(session, known, rollout, flags.to()).await? {
        RolloutEnd::GivenBack(outcomes) => outcomes,
        RolloutEnd::Remains(report) => return Ok(*report),
    };
    let document = session.read().await?;
    let back = go_back(session, flags, document, hook_context, After::Rollout);
    let mut report = Box::pin(back).await?;
    report.outcomes.splice(0..0, given_back);
    Ok(report)
}

fn in_rollout(document: Option<&Document>) -> Option<(&Document, &Rollout)> {
    let document = document?;
    Some((document, document.rollout.as_ref()?))
}

/// What this rollback has done before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    /// A rollout was in progress, and is taken back.
    Rollout,
}

/// A rollback where no rollout is in progress.
async fn go_back(
    session: &Session<'_>,
    flags: &Flags,
    document: Option<Document>,
    hook_context: &mut HookContext,
    after: After,
) -> Result<Report, Failure> {
    // Refuse what the state forbids.
    let mut force = flags.force(session);
    let destination = match refuse::destination(document.as_ref(), flags.to(), &mut force) {
        Ok(destination) => destination,
        Err(outcome) => {
            let Some(known) = &document else {
                return Ok(session.report(vec![*outcome]));
            };
            let undone = match Box::pin(schema::go_down(session, known, outcome)).await? {
                WayDown::Fits(undone) => undone,
                WayDown::Refused(outcomes) => return Ok(session.report(outcomes)),
            };
            let document = session.read().await?;
            let back = go_back(session, flags, document, hook_context, after);
            let mut report = Box::pin(back).await?;
            report.outcomes.splice(0..0, undone);
            return Ok(report);
        }
    };
    hook_context.destination.clone_from(&destination);
    let rollback = Rollback {
        is_unjudged: flags.is_unjudged(),
        ..Rollback::new(session, &destination, document.as_ref())?
    };
    let target = rollback.target()?;
    let target = &*target;
    // The lease names the destination: from here on a kill leaves enough to resume.
    let acquiring = session.acquire("rollback", |document, lock| {
        lock.destination = Some(destination.clone());
        lock.forced = force.requested().to_vec();
        lock.unjudged = rollback.is_unjudged;
        // What was true before the lease must be true under it.
        let now = refuse::destination(Some(document), flags.to(), &mut force);
        now.map(|now| (now, document.clone()))
    });
    let (acquired, waited) = timed(Box::pin(acquiring)).await;
    let (lease, again) = acquired?;
    let document = match again {
        Ok((now, document)) if now == destination => document,
        Ok((now, _)) => {
            let outcome = Outcome::refused(Id::refused("changed"), &destination)
                .reason(format!("last-known-good became {now} meanwhile"))
                .hint("run `rollback run` again");
            return rollback.give_up(&lease, vec![outcome]).await;
        }
        Err(outcome) => return rollback.give_up(&lease, vec![*outcome]).await,
    };
    if let Some(rollout) = &document.rollout {
        let outcome = in_progress(Id::refused("rollout"), rollout);
        let outcome = outcome.hint("it began just now: `rollback run` again takes it back");
        return rollback.give_up(&lease, vec![outcome]).await;
    }
    // A change of a share that a kill left behind is void by what follows.
    if let Some(mut journal) = session.store.unfinished(TRAFFIC).await? {
        journal.end(Ending::Superseded).await?;
    }
    // What runs, and what a kill left behind.
    let unfinished = session.store.unfinished(ROLLBACK).await?;
    let asking = Box::pin(rollback.situation(target, document));
    let situation = rollback.or_interrupted(asking).await?;
    match rollback.course(unfinished, target, &situation) {
        Course::AlreadyThere(_) if after == After::Rollout => {
            let mut report = rollback
                .give_up(&lease, vec![rollback.reached(&situation)])
                .await?;
            report.headline = Some(format!("{destination} has all requests again"));
            return Ok(report);
        }
        Course::Refused(outcome) | Course::AlreadyThere(outcome) => {
            return rollback.give_up(&lease, vec![*outcome]).await;
        }
        Course::Continue(journal) => {
            let means = rollback.execution_context(target, &lease);
            let execution = Execution::resume(means, journal, rollback.until(waited));
            return rollback
                .go_on(execution, &situation, &force, hook_context)
                .await;
        }
        Course::Begin(Some(mut superseded)) => {
            superseded.end(Ending::Superseded).await?;
        }
        Course::Begin(None) => {}
    }
    rollback
        .begin(target, &lease, &situation, force, waited, hook_context)
        .await
}

impl Rollback<'_> {
    /// A new rollback, under its lease. `uncounted` is time that does not count against the deadline.
    pub(super) async fn begin(
        &self,
        target: &dyn Target,
        lease: &Lease,
        situation: &Situation,
        force: Lifting,
        uncounted: Duration,
        hook_context: &mut HookContext,
    ) -> Result<Report, Failure> {
        let session = self.session;
        let started = Timestamp::now();
        // Prove that it may and can be made; capture what it would wipe away.
        hook_context.left = self.replaced_release(situation);
        let evidence = session.evidence(hook_context);
        let proving = async {
            let proved = self.prove(target, situation, force).await?;
            self.fetch(target, proved).await
        };
        let asking =
            Box::pin(async { tokio::join!(proving, self.capture(target, hook_context, evidence)) });
        let (proved, captured) = self.or_interrupted(asking).await?;
        let proved = match proved {
            Ok(proved) => proved,
            Err(mut refusals) => {
                refusals.extend(captured);
                return self.give_up(lease, refusals).await;
            }
        };
        let env = hook_context.env(session.job);
        let backup = &session.section.backup;
        let saving = cli::hooks::run(session.job, "backup", backup, &env, hooks::NO_TIME);
        let (saved, saving) = timed(saving).await;
        // Journal: the whole intention, before the first change.
        let forced = proved.force.lifted();
        if !forced.is_empty() {
            let noted = session.store.update(Some(lease), |document| {
                document.forced(self.destination, &forced);
                Ok(())
            });
            noted.await?;
        }
        let (means, until) = (
            self.execution_context(target, lease),
            self.until(uncounted + saving),
        );
        let grounds = Grounds {
            forced: &forced,
            // Bad is what was judged, or what was seen to run: a login that failed says nothing of the release.
            spared: self.is_unjudged && !situation.current.is_seen(),
            ..Grounds::plain(started)
        };
        let begun = Execution::begin(means, &proved.plan, grounds, until).await;
        let execution = begun?;
        let mut notes = self.forced_outcomes(&proved.force, &forced);
        notes.extend(captured.into_iter().chain(saved));
        let unready = proved.plan.unready();
        let current = &situation.current;
        self.finish(
            execution,
            current,
            unready,
            notes,
            proved.bars,
            hook_context,
        )
        .await
    }

    /// The rest of a rollback that was interrupted, under its lease.
    pub(super) async fn go_on(
        &self,
        execution: Execution<'_>,
        situation: &Situation,
        force: &Lifting,
        hook_context: &mut HookContext,
    ) -> Result<Report, Failure> {
        let current = &situation.current;
        let preparing = Box::pin(execution.prepare_rest(current, self.patience()));
        let unready = self.or_interrupted(preparing).await?;
        let mut notes = self.lost(&execution).await;
        notes.extend(self.forced_outcomes(force, &execution.forced().await));
        self.finish(execution, current, unready, notes, Vec::new(), hook_context)
            .await
    }

    /// The steps, and what comes after them; a failure releases the lease. `notes` are reported after
    /// the steps.
    async fn finish(
        &self,
        execution: Execution<'_>,
        current: &CurrentRelease,
        unready: BTreeMap<String, target::Error>,
        notes: Vec<Outcome>,
        timeline: Vec<Bar>,
        hook_context: &mut HookContext,
    ) -> Result<Report, Failure> {
        let lease = execution.means().lease;
        let ended = self
            .through(execution, current, unready, notes, timeline, hook_context)
            .await;
        self.or_release(lease, ended).await
    }

    async fn through(
        &self,
        mut execution: Execution<'_>,
        current: &CurrentRelease,
        unready: BTreeMap<String, target::Error>,
        notes: Vec<Outcome>,
        mut timeline: Vec<Bar>,
        hook_context: &mut HookContext,
    ) -> Result<Report, Failure> {
        // Steps.
        hook_context.left = execution.from().map(str::to_owned);
        let forced = execution.forced().await;
        let ran = execution.run(current, &unready, notes).await;
        let Conclusion {
            outcomes,
            bars,
            ends: _,
            places,
            answered,
            end,
        } = ran?;
        timeline.extend(bars);
        let found = Findings {
            outcomes,
            timeline,
            places,
        };
        let (proof, failed, wrong) = match end {
            ExecutionEnd::Live {
                proof,
                failed,
                wrong,
            } => (proof, failed, wrong),
            ExecutionEnd::Interrupted => return self.interrupted(&execution, found).await,
            ExecutionEnd::Stopped(error) => {
                let trouble = Failure::from(error);
                return self.stopped(&execution, found, trouble, hook_context).await;
            }
            ExecutionEnd::Reverted(reverted) => {
                let verdict = Verdict::Fail;
                return self.reverted(&execution, found, reverted, verdict).await;
            }
            ExecutionEnd::Denied => return self.denied(&execution, found, hook_context).await,
            ExecutionEnd::Failed { failed } => {
                return self.failed(&execution, found, failed, hook_context).await;
            }
        };
        // Verify.
        if let Err(error) = execution.renew().await {
            let trouble = Failure::from(error);
            return self.stopped(&execution, found, trouble, hook_context).await;
        }
        let made = execution.total() - failed;
        let (verdict, found) = self.verified(found, proof, made).await;
        if self.is_interrupted() {
            return self.interrupted(&execution, found).await;
        }
        // Record.
        let mut recorded = self.record(&execution, verdict, &forced).await;
        // What is missing can be resumed.
        if wrong == 0 && recorded.is_ok() {
            recorded = execution.end(verdict).await.map_err(Failure::from);
        }
        if let Err(trouble) = recorded {
            return self.stopped(&execution, found, trouble, hook_context).await;
        }
        self.concluded(&execution, found, verdict, answered, wrong, hook_context)
            .await
    }
}

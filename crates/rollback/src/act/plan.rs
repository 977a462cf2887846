//! What a rollback would do, without a change.

use cli::{Failure, Job};
use engine::Plan;
use model::{Id, Outcome, Report};
use state::Document;
use state::journal::ROLLBACK;

use super::course::Course;
use super::prove::unready;
use super::{Flags, Rollback, rollout};
use crate::refuse;
use crate::session::Session;

/// What `run` would do.
pub(crate) async fn plan(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let mut force = flags.force(&session);
    let document = session.read().await?;
    let destination = match refuse::destination(document.as_ref(), flags.to(), &mut force) {
        Ok(destination) => destination,
        Err(outcome) => return Ok(session.report(vec![*outcome])),
    };
    let document = document.unwrap_or_else(|| Document::new(None, None));
    let rollout = document.rollout.clone();
    let mut first = Vec::new();
    if let Some(rollout) = &rollout {
        let refused = rollout::refused_by_plan(&session, &document, rollout, flags.to()).await?;
        if !refused.is_empty() {
            return Ok(session.report(refused));
        }
        first.push(
            Outcome::pass("plan/rollout", &rollout.release).actual(format!(
                "{rollout}: would give everything back to {} first",
                rollout.stable_shown()
            )),
        );
    }
    // The process that has a rollout is asked to end it.
    if rollout.is_none()
        && let Some(lock) = &document.lock
        && let fate = job.fate(lock).await
        && fate.is_in_the_way()
    {
        return Ok(session.report(vec![
            Outcome::refused(Id::refused("locked"), lock.holder.to_string())
                .reason(format!(
                    "locked by {}, {}, for `{}`",
                    lock.holder,
                    fate.reason(),
                    lock.operation
                ))
                .hint("wait for it, or see `rollback status`"),
        ]));
    }
    let unfinished = session.store.unfinished(ROLLBACK).await?;
    let rollback = Rollback::new(&session, &destination, Some(&document))?;
    let target = rollback.target()?;
    let target = &*target;
    let situation = rollback.situation(target, document).await;
    match rollback.course(unfinished, target, &situation) {
        Course::AlreadyThere(_) if rollout.is_some() => {
            first.push(rollback.reached(&situation));
            let mut report = session.report(first);
            report.reason = "would take the rollout back; nothing was changed".to_owned();
            return Ok(report);
        }
        Course::Refused(outcome) | Course::AlreadyThere(outcome) => {
            return Ok(session.report(vec![*outcome]));
        }
        Course::Continue(journal) => {
            session.store.prove_writable().await?;
            let mut report =
                session.report(vec![Outcome::pass("plan/continue", &destination).actual(
                    format!(
                        "would go on with the rollback to {destination} of {}",
                        journal.place()
                    ),
                )]);
            report.reason =
                format!("would finish the rollback to {destination}; nothing was changed");
            return Ok(report);
        }
        Course::Begin(_) => {}
    }
    let plan = match rollback.prove(target, &situation, force).await {
        Ok(proved) => proved.plan,
        Err(refusals) => return Ok(session.report(refusals)),
    };
    // The lock, the journal and the record are written by the act.
    session.store.prove_writable().await?;
    let mut report = rollback.plan_report(&plan);
    report.outcomes.splice(0..0, first);
    Ok(report)
}

impl Rollback<'_> {
    /// What a plan says it would do.
    fn plan_report(&self, plan: &Plan) -> Report {
        let destination = plan.to();
        let mut outcomes = vec![
            Outcome::pass("plan/destination", destination).actual(format!(
                "from {} ({}) to {destination}",
                state::release_shown(plan.from()),
                plan.evidence()
            )),
        ];
        outcomes.extend_from_slice(plan.preconditions());
        outcomes.extend(plan.steps().iter().map(|planned| {
            let id = format!("plan/{}", planned.step.name);
            match &planned.ready {
                Ok(does) => Outcome::pass(id, "").actual(format!("would {does}")),
                Err(error) => unready(id, destination, error.to_string()),
            }
        }));
        let gate = self.gate_size();
        outcomes.push(Outcome::pass("plan/verify", "").actual(match gate {
            0 => "no probe is configured under `healthgate:`".to_owned(),
            probes => format!("would verify {destination} with {probes} probe(s) of `healthgate:`"),
        }));
        let mut report = self.session.report(outcomes);
        report.reason = format!("would roll back to {destination}; nothing was changed");
        report
    }

    pub(super) fn gate_size(&self) -> usize {
        let gate = self.gate.as_ref();
        gate.map_or(0, |gate| probe::kinds::planned(gate).len())
    }
}

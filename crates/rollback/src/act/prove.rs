//! Whether the rollback may and can be made: every place is asked, side by side, before anything
//! that is live changes.

use std::time::Instant;

use cli::force::Lifting;
use engine::Plan;
use model::report::Bar;
use model::{Id, Outcome};
use state::Rule;
use target::{Error, Place, Step, Target, Transition};

use super::{Rollback, Situation};

pub(super) fn unready(id: impl Into<Id>, destination: &str, reason: String) -> Outcome {
    Outcome::refused(id, destination)
        .expected(format!("{destination} can be made live"))
        .actual(reason.clone())
        .reason(reason)
        .hint(
            "nothing was changed; start the destination, choose another with `--to`, or let some \
             hosts fail with `rollback.max-failed`",
        )
}

/// A plan that no rule forbids, and how long asking for it took.
pub(super) struct ProvedPlan {
    pub(super) plan: Plan,
    pub(super) bars: Vec<Bar>,
    /// With the rules that were lifted for it.
    pub(super) force: Lifting,
    /// When it was begun to be proved.
    pub(super) since: Instant,
}

impl Rollback<'_> {
    /// Every rule that asks more than the state: the plan, or the refusals. It is what `plan` shows
    /// and what `run` executes.
    pub(super) async fn prove(
        &self,
        target: &dyn Target,
        situation: &Situation,
        mut force: Lifting,
    ) -> Result<ProvedPlan, Vec<Outcome>> {
        let since = Instant::now();
        let Situation { document, current } = situation;
        let from = self.replaced_release(situation);
        let transition = Transition {
            to: self.destination,
            from: from.as_deref(),
        };
        let way = (self.destination, from.as_deref());
        let drafting = Plan::draft(self.watch(), target, way, current, self.patience());
        let (drafted, unhealthy) = tokio::join!(drafting, self.unhealthy(target, transition));
        let (plan, bars) = drafted;
        let refused = |outcome: Box<Outcome>| vec![*outcome];
        if let Some(gone) = self.refuse_missing_artifacts(target, document, &plan).await {
            force.refuse(Rule::Window, gone).map_err(refused)?;
        }
        if let Some(refusals) = self.impossible(&plan) {
            return Err(refusals);
        }
        if let Some(outcome) = unhealthy {
            force.refuse(Rule::Unhealthy, outcome).map_err(refused)?;
        }
        let mut preconditions = force.outcomes();
        preconditions.extend(self.window_passed(document));
        Ok(ProvedPlan {
            plan: plan.noting(preconditions),
            bars,
            force,
            since,
        })
    }

    /// The same plan after each place was brought what its step needs: nothing is brought anywhere
    /// before every rule was asked.
    pub(super) async fn fetch(
        &self,
        target: &dyn Target,
        proved: ProvedPlan,
    ) -> Result<ProvedPlan, Vec<Outcome>> {
        let ProvedPlan {
            plan,
            bars,
            force,
            since,
        } = proved;
        let fetching = plan.fetched(self.watch(), target, since, self.patience());
        let (plan, more) = fetching.await;
        match self.impossible(&plan) {
            Some(refusals) => Err(refusals),
            None => Ok(ProvedPlan {
                plan,
                bars: [bars, more].concat(),
                force,
                since,
            }),
        }
    }

    /// The release that is left.
    pub(super) fn replaced_release(
        &self,
        Situation { document, current }: &Situation,
    ) -> Option<String> {
        let other = |release: &String| release != self.destination;
        let running = current.release.clone().filter(other);
        running.or_else(|| {
            let (named, recorded) = self.by_record(document);
            named.or(recorded).filter(other)
        })
    }

    /// The refusal, where more steps than may fail cannot be made, or none can.
    fn impossible(&self, plan: &Plan) -> Option<Vec<Outcome>> {
        let failed = plan.impossible(self.session.section.max_failed)?;
        let outcome = |(step, error): (&Step, &Error)| {
            let (id, reason) = match &step.place {
                Place::Here => (Id::refused("destination"), error.to_string()),
                Place::Host(name) => (
                    Id::refused(format!("destination/{name}")),
                    format!("{name}: {error}"),
                ),
            };
            unready(id, self.destination, reason)
        };
        Some(failed.into_iter().map(outcome).collect())
    }
}

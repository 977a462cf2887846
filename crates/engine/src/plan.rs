//! What an operation would do, step by step. It is made before anything that is live changes, and
//! never changed: what shows it and what executes it have the same value.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use config::value::Portion;
use futures_util::future::join_all;
use model::Outcome;
use model::report::Bar;
use target::{Error, Step, Target, Transition};

use crate::current::CurrentRelease;
use crate::watch::Watch;

/// From which release to which, by which steps.
#[derive(Clone, Debug)]
pub struct Plan {
    to: String,
    from: Option<String>,
    /// How it is known what is left, in words.
    evidence: String,
    /// What a reader needs beside the steps: rules that were lifted, notes.
    preconditions: Vec<Outcome>,
    steps: Vec<PlannedStep>,
}

/// A step, with what it would do or why it cannot be made.
#[derive(Clone, Debug)]
pub struct PlannedStep {
    pub step: Step,
    pub ready: Result<String, Error>,
}

impl Plan {
    /// Proves each step possible at its place, side by side; each takes at most `within`.
    pub async fn draft(
        watch: Watch<'_>,
        target: &dyn Target,
        (to, from): (&str, Option<&str>),
        current: &CurrentRelease,
        within: Duration,
    ) -> (Plan, Vec<Bar>) {
        let transition = Transition { to, from };
        let steps = target.steps(transition);
        let asking = steps.iter().map(|step| async move {
            let timer = watch.begins(&step.place, "prepare");
            let ready = tokio::time::timeout(within, target.plan(step, transition)).await;
            let ready = ready.unwrap_or_else(|_| Err(late(within)));
            let bar = timer.worked(ready.is_ok());
            (ready, bar)
        });
        let (ready, bars): (Vec<_>, Vec<_>) =
            watch.drawn(join_all(asking)).await.into_iter().unzip();
        let steps = steps.into_iter().zip(ready);
        let plan = Plan {
            to: to.to_owned(),
            from: from.map(str::to_owned),
            evidence: current.evidence.clone(),
            preconditions: Vec::new(),
            steps: steps
                .map(|(step, ready)| PlannedStep { step, ready })
                .collect(),
        };
        (plan, bars)
    }

    /// The same plan, after each step that can be made has been brought what it needs, side by side;
    /// what could not be brought cannot be made.
    pub async fn fetched(
        self,
        watch: Watch<'_>,
        target: &dyn Target,
        since: Instant,
        within: Duration,
    ) -> (Plan, Vec<Bar>) {
        let left = within.saturating_sub(since.elapsed());
        let transition = self.transition();
        let fetching = self.steps.iter().map(|planned| async move {
            let PlannedStep { step, ready } = planned;
            let fetching = match ready {
                Ok(_) => target.prepare(step, transition),
                Err(_) => None,
            };
            let Some(fetching) = fetching else {
                return (planned.clone(), None);
            };
            let timer = watch.begins(&step.place, "fetch");
            let fetched = tokio::time::timeout(left, fetching).await;
            let fetched = fetched.unwrap_or_else(|_| Err(late(within)));
            let bar = timer.worked(fetched.is_ok());
            let ready = fetched.and_then(|()| ready.clone());
            let step = step.clone();
            (PlannedStep { step, ready }, Some(bar))
        });
        let (steps, bars): (Vec<_>, Vec<_>) =
            watch.drawn(join_all(fetching)).await.into_iter().unzip();
        (Plan { steps, ..self }, bars.into_iter().flatten().collect())
    }

    /// The same plan, with the notes beside its steps.
    pub fn noting(self, preconditions: Vec<Outcome>) -> Plan {
        Plan {
            preconditions,
            ..self
        }
    }

    pub fn to(&self) -> &str {
        &self.to
    }

    pub fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    pub fn evidence(&self) -> &str {
        &self.evidence
    }

    pub fn preconditions(&self) -> &[Outcome] {
        &self.preconditions
    }

    pub fn steps(&self) -> &[PlannedStep] {
        &self.steps
    }

    pub fn transition(&self) -> Transition<'_> {
        Transition {
            to: &self.to,
            from: self.from.as_deref(),
        }
    }

    /// The steps that cannot be made, where these are more than may fail or all there are.
    pub fn impossible(&self, max_failed: Portion) -> Option<Vec<(&Step, &Error)>> {
        let failed = self
            .steps
            .iter()
            .filter_map(|planned| Some((&planned.step, planned.ready.as_ref().err()?)));
        let failed: Vec<_> = failed.collect();
        let (most, all) = (max_failed.at_most(self.steps.len()), self.steps.len());
        (failed.len() > most || failed.len() >= all).then_some(failed)
    }

    /// The reasons of the steps that cannot be made, by name.
    pub fn unready(&self) -> BTreeMap<String, Error> {
        let failed = |planned: &PlannedStep| {
            let error = planned.ready.as_ref().err()?;
            Some((planned.step.name.clone(), error.clone()))
        };
        self.steps.iter().filter_map(failed).collect()
    }
}

pub(crate) fn late(within: Duration) -> Error {
    Error::Late {
        what: "not ready",
        within,
    }
}

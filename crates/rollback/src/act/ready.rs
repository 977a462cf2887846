//! Whether the rollback can be made: every place is asked and made ready, side by side, before
//! anything that is live changes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use model::{Outcome, Verdict};
use state::{Document, Journal};

use super::Rollback;
use super::standing::{self, Standing};
use crate::force::Rule;
use target::{Place, Step, Target, Transition};

/// Each step, with what it would do or why it cannot be made.
pub(super) type Ready = Vec<(Step, Result<String, String>)>;

/// The reasons of the steps that cannot be made, by name.
pub(super) fn unready_of(ready: Ready) -> BTreeMap<String, String> {
    let failed = |(step, ready): (Step, Result<_, String>)| Some((step.name, ready.err()?));
    ready.into_iter().filter_map(failed).collect()
}

pub(super) fn unready(id: String, destination: &str, reason: String) -> Outcome {
    Outcome::refused(id, destination)
        .expected(format!("{destination} can be made live"))
        .actual(reason.clone())
        .reason(reason)
        .hint(
            "nothing was changed; start the destination, choose another with `--to`, or let some \
             hosts fail with `rollback.max-failed`",
        )
}

fn late(deadline: Duration) -> String {
    format!("not ready within {} s", deadline.as_secs())
}

impl Rollback<'_> {
    /// Every rule that asks more than the state: what would be done at each place, or the refusals.
    pub(super) async fn proved(
        &self,
        target: &dyn Target,
        transition: Transition<'_>,
        document: &Document,
        prepare: bool,
    ) -> Result<Ready, Vec<Outcome>> {
        let since = Instant::now();
        let asking = self.ready(target, transition);
        let (mut ready, unhealthy) = tokio::join!(asking, self.unhealthy(target, transition));
        let refused = |outcome: Box<Outcome>| vec![*outcome];
        if let Some(gone) = self.gone(target, document, &ready).await {
            self.force.refuse(Rule::Window, gone).map_err(refused)?;
        }
        if let Some(refusals) = self.impossible(&ready) {
            return Err(refusals);
        }
        if let Some(outcome) = unhealthy {
            self.force
                .refuse(Rule::Unhealthy, outcome)
                .map_err(refused)?;
        }
        // Nothing is brought anywhere before every rule was asked.
        if prepare {
            self.fetch(target, transition, &mut ready, since).await;
            if let Some(refusals) = self.impossible(&ready) {
                return Err(refusals);
            }
        }
        Ok(ready)
    }

    /// Brings each step that can be made what it needs, side by side, in what is `since` then left
    /// of the time for preparing.
    async fn fetch(
        &self,
        target: &dyn Target,
        transition: Transition<'_>,
        ready: &mut Ready,
        since: Instant,
    ) {
        let deadline = self.session.section.deadline.get() / 2;
        let left = deadline.saturating_sub(since.elapsed());
        let fetching = ready.iter_mut().map(|(step, ready)| async move {
            let fetching = match ready {
                Ok(_) => target.prepare(step, transition),
                Err(_) => None,
            };
            let Some(fetching) = fetching else { return };
            let start = self.begins(&step.place, "fetch");
            let fetched = tokio::time::timeout(left, fetching).await;
            let fetched = fetched.unwrap_or_else(|_| Err(late(deadline)));
            let verdict = if fetched.is_ok() {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            self.bar(&step.place, "fetch", start, verdict);
            if let Err(reason) = fetched {
                *ready = Err(reason);
            }
        });
        self.tree.drawn(join_all(fetching)).await;
    }

    /// Every step at its place, side by side, proved possible: what it would do, or why it cannot be
    /// made.
    pub(super) async fn ready(&self, target: &dyn Target, transition: Transition<'_>) -> Ready {
        let deadline = self.session.section.deadline.get() / 2;
        let steps = target.steps(transition);
        let asking = steps.iter().map(|step| async move {
            let start = self.begins(&step.place, "prepare");
            let ready = tokio::time::timeout(deadline, target.plan(step, transition)).await;
            let ready = ready.unwrap_or_else(|_| Err(late(deadline)));
            let verdict = if ready.is_ok() {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            self.bar(&step.place, "prepare", start, verdict);
            ready
        });
        let ready = self.tree.drawn(join_all(asking)).await;
        steps.into_iter().zip(ready).collect()
    }

    /// A resumed rollback has begun: what cannot be made ready does not stop the others.
    pub(super) async fn still_unready(
        &self,
        target: &dyn Target,
        journal: &Journal,
    ) -> BTreeMap<String, String> {
        let (_, left) = journal.plan().unwrap_or_default();
        let transition = Transition {
            to: self.destination,
            from: left,
        };
        let deadline = self.session.section.deadline.get() / 2;
        let steps = target.steps(transition);
        let asking = steps.iter().map(|step| async move {
            if standing::standing(journal, &step.name) == Standing::Done {
                return None;
            }
            let ready = tokio::time::timeout(deadline, target.prepare(step, transition)?).await;
            let reason = ready.unwrap_or_else(|_| Err(late(deadline))).err()?;
            Some((step.name.clone(), reason))
        });
        join_all(asking).await.into_iter().flatten().collect()
    }

    /// The refusal, where more steps than may fail cannot be made, or none can.
    pub(super) fn impossible(&self, ready: &Ready) -> Option<Vec<Outcome>> {
        let failed: Vec<_> = ready.iter().filter(|(_, ready)| ready.is_err()).collect();
        if failed.len() <= self.max_failed(ready.len()) && failed.len() < ready.len() {
            return None;
        }
        let outcome = |(step, ready): &&(Step, Result<String, String>)| {
            let reason = ready.as_ref().err()?;
            let (id, reason) = match &step.place {
                Place::Here => ("refused/destination".to_owned(), reason.clone()),
                Place::Host(name) => (
                    format!("refused/destination/{name}"),
                    format!("{name}: {reason}"),
                ),
            };
            Some(unready(id, self.destination, reason))
        };
        Some(failed.iter().filter_map(outcome).collect())
    }
}

//! Whether answers can prove a share, and in time: a plan, a ramp, a switch and a promotion ask before anything is
//! written, by one rule.

use std::collections::BTreeMap;
use std::time::Duration;

use config::value::{Share, Side, Span};
use futures_util::future::join_all;
use model::text::span;
use model::{Id, Outcome};
use operation::shares::observe::{AnswerTimes, proof_needed};
use operation::shares::work::{Work, sides_of};
use place::Place;
use router::{Router, Split};
use state::Rollout;

/// What proves a share at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NeededProof {
    pub(crate) answers: u32,
    pub(crate) takes: Duration,
}

/// Why no answers prove it, or not in time.
#[derive(Clone, Debug)]
pub(crate) struct Unprovable {
    pub(crate) split: Split,
    reason: String,
    hint: String,
}

impl Unprovable {
    pub(crate) fn outcome(self, id: impl Into<Id>, place: &Place) -> Outcome {
        Outcome::refused(id, place.to_string())
            .expected(self.split.to_string())
            .actual(self.reason.clone())
            .reason(self.reason)
            .hint(self.hint)
    }
}

/// How long a proof takes at each place, and may.
pub(crate) struct ProofTime {
    answers: BTreeMap<Place, AnswerTimes>,
    limit: Duration,
    deadline: Span,
}

impl ProofTime {
    /// Asks both sides at every place, side by side.
    pub(crate) async fn measure(
        work: &Work<'_>,
        router: &dyn Router,
        sides: &BTreeMap<Place, Side>,
        release: &str,
    ) -> ProofTime {
        let measuring = sides.keys().map(|place| async move {
            let times = AnswerTimes::measure(router, place, release).await;
            (place.clone(), times)
        });
        ProofTime {
            answers: join_all(measuring).await.into_iter().collect(),
            limit: work.proof_time_of(sides.len()),
            deadline: work.section.deadline,
        }
    }

    /// What proves a split where another one was in effect before.
    ///
    /// # Errors
    /// Returns why nothing does.
    pub(crate) fn needed(
        &self,
        router: &dyn Router,
        place: &Place,
        (before, split): (Split, Split),
    ) -> Result<NeededProof, Unprovable> {
        let needed = proof_needed(router, before, split).map_err(|error| Unprovable {
            split,
            reason: error.to_string(),
            hint: "choose another share (`--stages`, `promote --to` or `traffic set`)".to_owned(),
        })?;
        let answers = self.answers.get(place).copied().unwrap_or_default();
        let takes = answers.proof(split, needed);
        if takes > self.limit {
            return Err(Unprovable {
                split,
                reason: format!(
                    "its proof takes about {} ({needed} answers), and `traffic.deadline` ({}) leaves {} for it",
                    span(takes),
                    self.deadline,
                    span(self.limit)
                ),
                hint: format!(
                    "set `traffic.deadline` to {} or more, or let `release` name a URL that answers sooner",
                    self.deadline_for(takes)
                ),
            });
        }
        // Less than a second is nothing to plan with.
        let takes = if takes < Duration::from_secs(1) {
            Duration::ZERO
        } else {
            takes
        };
        Ok(NeededProof {
            answers: needed,
            takes,
        })
    }

    /// The deadline that leaves a proof its time, and a third of that more.
    fn deadline_for(&self, takes: Duration) -> Span {
        let whole = self.deadline.get().as_secs_f64() / self.limit.as_secs_f64();
        let deadline = takes.mul_f64(whole * 4.0 / 3.0);
        Span::from_secs(deadline.as_secs() + 1)
    }

    /// The refusals of shares that are to be set one after another; empty where all can be proved.
    pub(crate) fn refusals(
        &self,
        router: &dyn Router,
        sides: &BTreeMap<Place, Side>,
        mut before: Share,
        stages: &[Share],
    ) -> Vec<Outcome> {
        let mut refused = Vec::new();
        for share in stages {
            for (place, side) in sides {
                let splits = (Split::giving(*side, before), Split::giving(*side, *share));
                if let Err(unprovable) = self.needed(router, place, splits) {
                    let id = match place {
                        Place::Here => Id::refused(format!("share/{share}")),
                        Place::Host(name) => Id::refused(format!("share/{share}/{name}")),
                    };
                    refused.push(unprovable.outcome(id, place));
                }
            }
            before = *share;
        }
        refused
    }
}

/// Why a rollout cannot have these shares one after another; empty where all can be proved.
pub(crate) async fn refusals(
    work: &Work<'_>,
    router: &dyn Router,
    rollout: &Rollout,
    shares: &[Share],
) -> Vec<Outcome> {
    let sides = sides_of(router, rollout);
    let proof = ProofTime::measure(work, router, &sides, &rollout.release).await;
    proof.refusals(router, &sides, rollout.share, shares)
}

/// The same refusals, where the share stays as it is: `traffic abort` is a way out, too.
pub(crate) fn stays(mut refused: Vec<Outcome>) -> Vec<Outcome> {
    let hints = refused
        .iter_mut()
        .filter_map(|outcome| outcome.hint.as_mut());
    for hint in hints {
        hint.push_str("; or `traffic abort` gives everything back");
    }
    refused
}

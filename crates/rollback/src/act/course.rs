//! What a rollback is, by what runs and what a kill left behind.

use engine::{CurrentRelease, status};
use model::Outcome;
use state::Journal;
use target::{Target, Transition};

use super::{Rollback, Situation};
use crate::refuse;

pub(super) enum Course {
    Refused(Box<Outcome>),
    /// There is nothing to do: why a rollback is refused.
    AlreadyThere(Box<Outcome>),
    /// The rest of one that was interrupted.
    Continue(Journal),
    /// A new one; the journal of an earlier one is void by it.
    Begin(Option<Journal>),
}

impl Rollback<'_> {
    /// Chooses between refusing, continuing an unfinished rollback and beginning a new one.
    pub(super) fn course(
        &self,
        unfinished: Option<Journal>,
        target: &dyn Target,
        situation: &Situation,
    ) -> Course {
        if let Some(reason) = unfinished.as_ref().and_then(Journal::aborting) {
            return Course::Refused(Box::new(refuse::aborting(self.destination, reason)));
        }
        match unfinished {
            Some(journal) if self.continues(&journal, target, &situation.current) => {
                Course::Continue(journal)
            }
            superseded => match self.already_there(situation) {
                Some(refused) => Course::AlreadyThere(Box::new(refused)),
                None => Course::Begin(superseded),
            },
        }
    }

    /// The refusal to go where the service already is.
    pub(super) fn already_there(
        &self,
        Situation { document, current }: &Situation,
    ) -> Option<Outcome> {
        (current.release.as_deref() == Some(self.destination))
            .then(|| refuse::already_there(document, self.destination, &current.evidence))
    }

    /// What is reported where the end of a rollout has brought the service back already.
    pub(super) fn reached(&self, Situation { current, .. }: &Situation) -> Outcome {
        let destination = self.destination;
        Outcome::pass("rollback/nothing", destination).actual(format!(
            "{destination} runs ({}): there is nothing else to take back",
            current.evidence
        ))
    }

    /// Whether a journal that was left open is about the rollback that is wanted now, and not
    /// about one from a release that was deployed over since, or at other places.
    fn continues(&self, journal: &Journal, target: &dyn Target, current: &CurrentRelease) -> bool {
        let steps = target.steps(Transition::to(self.destination));
        if status::is_foreign(journal, &steps) {
            return false;
        }
        let runs = current.release.as_deref();
        journal.plan().is_some_and(|(destination, left)| {
            destination == self.destination
                && (runs.is_none() || runs == Some(destination) || runs == left)
        })
    }
}

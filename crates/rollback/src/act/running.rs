//! What runs where, before a rollback acts.

use std::collections::BTreeMap;

use model::Outcome;
use state::{Document, Journal};

use super::{Rollback, standing};
use crate::current::{self, Spread};
use crate::refuse;
use target::{Question, Target, Transition};

/// What runs before a rollback acts.
pub(super) struct Running {
    pub(super) release: Option<String>,
    /// How that is known, in words.
    pub(super) evidence: String,
    pub(super) answer: Answer,
    /// What each place said, by its step's name.
    pub(super) at: BTreeMap<String, String>,
}

impl Running {
    /// Whether what a journal says is done can be believed of a place that says nothing itself.
    /// Recording a deployment ends the journal, so where nobody can be asked it still holds.
    pub(super) fn trusted(&self, destination: &str) -> bool {
        match self.answer {
            Answer::Given => self.release.as_deref() == Some(destination),
            Answer::Nobody => true,
            Answer::Missing => false,
        }
    }
}

/// What a rollback is, by what runs and what a kill left behind.
pub(super) enum Course {
    Refused(Box<Outcome>),
    /// The rest of one that was interrupted.
    Continue(Journal),
    /// A new one; the journal of an earlier one is void by it.
    Begin(Option<Journal>),
}

/// Who said so just now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The service or the target itself.
    Given,
    /// Somebody was asked and did not answer.
    Missing,
    /// Nobody can be asked: `--release` or the state have to do.
    Nobody,
}

impl Rollback<'_> {
    /// The release that runs now, asked in this order: the target, the gate's own probes,
    /// `--release`, the state.
    pub(super) async fn what_runs(&self, target: &dyn Target, document: &Document) -> Running {
        let destination = self.destination;
        let Spread { all, at } = current::everywhere(target, destination).await;
        let mut asked = match all {
            Ok(Some(release)) => Some(Ok((release, "the target says so"))),
            Ok(None) => None,
            Err(reason) => Some(Err(reason)),
        };
        if !matches!(asked, Some(Ok(_)))
            && let Some(answer) =
                Question::ask_gate(&self.session.context(&self.places), destination).await
        {
            asked = match (answer, asked) {
                (Ok(release), Some(target_says))
                    if release == destination && current::several(target, destination) =>
                {
                    Some(target_says)
                }
                (Ok(release), _) => Some(Ok((release, "the service says so"))),
                // The target's own reason says more.
                (Err(_), Some(target)) => Some(target),
                (Err(unanswered), None) => Some(Err(unanswered.reason)),
            };
        }
        let by_record = self.left_by_record(document);
        let answer = match &asked {
            Some(_) => Answer::Missing,
            None => Answer::Nobody,
        };
        let (release, evidence) = match asked {
            Some(Ok((release, evidence))) => {
                return Running {
                    // It goes into state and journal: whatever the service calls itself, without
                    // secrets.
                    release: Some(self.session.clean(&release)),
                    evidence: evidence.to_owned(),
                    answer: Answer::Given,
                    at,
                };
            }
            // What does not answer is not the healthy destination.
            Some(Err(reason)) => (by_record, format!("it cannot be asked: {reason}")),
            None if self.session.job.release.is_some() && by_record.is_some() => {
                (by_record, "`--release`".to_owned())
            }
            None => (
                by_record.or(Some(destination.to_owned())),
                "the state says so".to_owned(),
            ),
        };
        Running {
            release,
            evidence,
            answer,
            at,
        }
    }

    /// The refusal to go where the service already is.
    pub(super) fn already_there(&self, running: &Running, document: &Document) -> Option<Outcome> {
        (running.release.as_deref() == Some(self.destination))
            .then(|| refuse::already_there(document, self.destination, &running.evidence))
    }

    /// Whether a journal that was left open is about the rollback that is wanted now, and not
    /// about one from a release that was deployed over since, or at other places.
    pub(super) fn continues(
        &self,
        journal: &Journal,
        target: &dyn Target,
        running: &Running,
    ) -> bool {
        let transition = Transition::to(self.destination);
        if standing::foreign(journal, &target.steps(transition)) {
            return false;
        }
        let runs = running.release.as_deref();
        journal.plan().is_some_and(|(destination, left)| {
            destination == self.destination
                && (runs.is_none() || runs == Some(destination) || runs == left)
        })
    }

    /// What is to be done, by what runs and what a kill left behind: `plan` shows it and `run` does
    /// it.
    pub(super) fn course(
        &self,
        unfinished: Option<Journal>,
        target: &dyn Target,
        running: &Running,
        document: &Document,
    ) -> Course {
        if let Some(reason) = unfinished.as_ref().and_then(Journal::aborting) {
            return Course::Refused(Box::new(refuse::aborting(self.destination, reason)));
        }
        match unfinished {
            Some(journal) if self.continues(&journal, target, running) => Course::Continue(journal),
            superseded => match self.already_there(running, document) {
                Some(refused) => Course::Refused(Box::new(refused)),
                None => Course::Begin(superseded),
            },
        }
    }

    /// The release to leave, as far as `--release` and the state know.
    pub(super) fn left_by_record(&self, document: &Document) -> Option<String> {
        let named = self.session.job.release.as_deref();
        let named = named.map(|release| document.name_of(release));
        named
            .or(document.current.clone())
            .filter(|release| release != self.destination)
    }
}

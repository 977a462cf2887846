//! What came of an operation's steps, before anything is verified.

use std::collections::BTreeMap;
use std::time::Instant;

use model::report::Bar;
use model::{Id, Outcome, Table};
use target::StepEnd;

/// What was made, what was not, and what runs where now.
#[derive(Debug)]
pub struct Conclusion<E> {
    /// Of each step, and of each place where it says more.
    pub outcomes: Vec<Outcome>,
    pub bars: Vec<Bar>,
    /// How each step that was made or put back ended, by its name; of one that was both, why it could not be put back.
    pub ends: BTreeMap<String, StepEnd>,
    /// What each place runs, where that was asked.
    pub places: Vec<PlaceRelease>,
    /// When the destination was first seen to answer at the last place that tells; where none does,
    /// when the last step ended.
    pub answered: Instant,
    pub end: E,
}

/// How the way there ended.
#[derive(Debug)]
pub enum ExecutionEnd {
    /// A signal came; the journal is left open.
    Interrupted,
    /// The journal or the lock could not be written: nothing more was done.
    Stopped(state::Error),
    /// Too many steps failed: what was before was put back.
    Reverted(Reverted),
    /// The only step ended with success, and its place runs something else all the same.
    Denied,
    /// More places than may do not run the destination.
    Failed { failed: usize },
    /// The destination is live at enough places.
    Live {
        /// What proved that it answers, beside the steps' own success.
        proof: Option<String>,
        failed: usize,
        wrong: usize,
    },
}

/// How the way back ended.
#[derive(Debug)]
pub enum RevertEnd {
    /// A signal came; the journal is left open.
    Interrupted,
    /// The journal or the lock could not be written: nothing more was done.
    Stopped(state::Error),
    Reverted(Reverted),
}

impl From<RevertEnd> for ExecutionEnd {
    fn from(end: RevertEnd) -> Self {
        match end {
            RevertEnd::Interrupted => ExecutionEnd::Interrupted,
            RevertEnd::Stopped(error) => ExecutionEnd::Stopped(error),
            RevertEnd::Reverted(reverted) => ExecutionEnd::Reverted(reverted),
        }
    }
}

/// What was put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reverted {
    /// Steps that were put back or should have been.
    pub tried: usize,
    pub failed: usize,
    /// Places that run something else than before all the same.
    pub wrong: usize,
}

/// What a place runs at the end.
#[derive(Clone, Debug)]
pub struct PlaceRelease {
    pub place: String,
    /// The release; `None` where it is not known.
    pub release: Option<String>,
    /// How that is known, or why it is not.
    pub(crate) how: String,
    /// Whether the place itself was queried and reported the release.
    pub(crate) told: bool,
}

impl PlaceRelease {
    /// Something else was found there since.
    pub fn find(&mut self, release: String, how: &str) {
        self.release = Some(release);
        how.clone_into(&mut self.how);
    }

    pub fn reports(&self, release: &str) -> bool {
        self.told && self.release.as_deref() == Some(release)
    }

    pub fn runs(&self, release: &str) -> bool {
        self.release.as_deref() == Some(release)
    }

    /// As an outcome, where `wanted` is what should run. `stage` has the subcommands `resume` and
    /// `abort`.
    pub fn outcome(&self, wanted: &str, stage: &str) -> Outcome {
        let id = Id::runs(&self.place);
        let told = match &self.release {
            Some(release) => format!("{release} ({})", self.how),
            None => format!("unknown: {}", self.how),
        };
        let outcome = match self.release.as_deref() {
            Some(release) if release == wanted => Outcome::pass(id, &self.place),
            Some(release) => Outcome::fail(id, &self.place)
                .reason(format!("it runs {release}"))
                .hint(format!(
                    "`{stage} resume` tries again; `{stage} abort` puts back what was"
                )),
            None => Outcome::error(id, &self.place)
                .reason(format!("what it runs is not known: {}", self.how))
                .hint(format!(
                    "see whether the host is up, then `{stage} resume` or `{stage} abort`"
                )),
        };
        outcome.expected(wanted).actual(told)
    }

    pub fn table(all: &[PlaceRelease]) -> Table {
        let row = |runs: &PlaceRelease| {
            let release = runs.release.clone().unwrap_or_else(|| "unknown".to_owned());
            vec![runs.place.clone(), release, runs.how.clone()]
        };
        Table {
            title: "What each host runs".to_owned(),
            header: vec!["host", "release", "how that is known"],
            rows: all.iter().map(row).collect(),
            only_in_summary: false,
        }
    }
}

//! What was seen of a change, and what it means. No input, no output, no clock.

use std::time::Duration;

use database::Break;

use crate::locks::Lock;
use crate::picture::{Loss, Picture, Rewrite};

/// How the way down ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// The migration cannot be undone; why.
    None(String),
    /// It failed; what the tool or the database said.
    Failed(String),
    /// It was gone.
    Made {
        /// What of the schema is not as it was.
        difference: Option<String>,
        /// What of the rows is not as it was.
        not_back: Vec<Loss>,
    },
}

/// What came of the test of the release before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Smoke {
    /// No test is configured.
    None,
    /// It failed on the schema of before already; what it said.
    FailsBefore(String),
    /// The way down left neither schema.
    NotRun,
    Passed,
    Failed(String),
}

/// What came of applying it again, after it was undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// It was not undone.
    NotTried,
    Same,
    Failed(String),
    /// It led to another schema.
    Other(String),
}

/// All that was seen.
#[derive(Clone, Debug)]
pub struct Trial {
    pub took: Duration,
    pub locks: Vec<Lock>,
    pub rewrites: Vec<Rewrite>,
    /// What of the rows was not there once it was applied.
    pub lost: Vec<Loss>,
    /// What a program that knows the schema of before may break on.
    pub breaks: Vec<Break>,
    pub smoke: Smoke,
    pub way_back: WayBack,
    pub again: Again,
    /// What is wrong with the way down once the new schema was used.
    pub once_used: Option<String>,
    /// Before the change.
    pub before: Picture,
}

/// Whether a change can be taken back without a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reversible {
    Yes,
    No(String),
}

/// Whether the release before works with the schema after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compatible {
    /// Its test passed.
    Tested,
    /// Nothing that it may use has changed; there is no test.
    Unchanged,
    No(String),
    /// It cannot be known.
    Unknown(String),
}

impl Trial {
    pub fn reversible(&self) -> Reversible {
        match &self.way_back {
            WayBack::None(reason) => Reversible::No(format!("there is no way down: {reason}")),
            WayBack::Failed(said) => Reversible::No(format!("the way down failed: {said}")),
            WayBack::Made {
                difference: Some(difference),
                not_back: _,
            } => Reversible::No(format!(
                "the way down does not lead back to the schema of before:\n{difference}"
            )),
            WayBack::Made {
                difference: None,
                not_back,
            } if !not_back.is_empty() => Reversible::No(format!(
                "the way down does not bring back {}",
                listed(not_back)
            )),
            WayBack::Made { .. } => match &self.again {
                Again::NotTried | Again::Same => match &self.once_used {
                    None => Reversible::Yes,
                    Some(wrong) => Reversible::No(format!(
                        "once the new schema was used, the way down does not lead back: {wrong}"
                    )),
                },
                Again::Failed(said) => {
                    Reversible::No(format!("it cannot be applied again: {said}"))
                }
                Again::Other(difference) => Reversible::No(format!(
                    "applied again, it leads to another schema:\n{difference}"
                )),
            },
        }
    }

    /// Whether the way down, where there is one, is wrong: the schema is not as before, or it cannot be made. One that only
    /// cannot bring rows back is not wrong.
    pub fn is_way_back_wrong(&self) -> bool {
        match &self.way_back {
            WayBack::None(_) => false,
            WayBack::Failed(_) => true,
            WayBack::Made { difference, .. } => {
                let is_again = matches!(self.again, Again::Same | Again::NotTried);
                difference.is_some() || !is_again || self.once_used.is_some()
            }
        }
    }

    pub fn compatible(&self) -> Compatible {
        match &self.smoke {
            Smoke::Passed => Compatible::Tested,
            Smoke::Failed(said) => Compatible::No(self.with_breaks(said)),
            Smoke::FailsBefore(said) => Compatible::Unknown(format!(
                "the test of the release before fails on the schema of before too: {said}"
            )),
            Smoke::NotRun => Compatible::Unknown(
                "the test was not run: the way down left neither the schema of before nor that of after".to_owned(),
            ),
            Smoke::None if self.breaks.is_empty() => Compatible::Unchanged,
            Smoke::None => Compatible::No(self.describe_breaks()),
        }
    }

    fn with_breaks(&self, said: &str) -> String {
        match self.describe_breaks() {
            breaks if breaks.is_empty() => said.to_owned(),
            breaks => format!("{said} ({breaks})"),
        }
    }

    fn describe_breaks(&self) -> String {
        let breaks: Vec<String> = self.breaks.iter().map(ToString::to_string).collect();
        breaks.join("; ")
    }

    /// What is lost for good: neither the change nor its way down leaves it.
    pub fn destroyed(&self) -> &[Loss] {
        match &self.way_back {
            WayBack::None(_) | WayBack::Failed(_) => &self.lost,
            WayBack::Made { not_back, .. } => not_back,
        }
    }

    /// How long it would take where the tables have these many rows, if it takes as long for each: what it rewrote or read
    /// grows, and nothing shrinks. `None` where the copy has as many.
    pub fn scaled(&self, rows: &dyn Fn(&str) -> Option<u64>) -> Option<Duration> {
        let growth = |table: &str| {
            let here = self.before.rows_of(table);
            let there = rows(table)?;
            (here > 0).then(|| ratio(there, here))
        };
        let touched = self.locks.iter().map(|lock| lock.table.as_str());
        let touched = touched.chain(self.rewrites.iter().map(|rewrite| rewrite.table.as_str()));
        let most = touched.filter_map(growth).fold(1.0, f64::max);
        (most > 1.05).then(|| self.took.mul_f64(most.min(1e6)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn ratio(there: u64, here: u64) -> f64 {
    there as f64 / here as f64
}

/// The first few, in words.
fn listed(losses: &[Loss]) -> String {
    const MAX_SHOWN: usize = 4;
    let shown: Vec<String> = losses
        .iter()
        .take(MAX_SHOWN)
        .map(ToString::to_string)
        .collect();
    match losses.len().saturating_sub(MAX_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

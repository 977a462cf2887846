//! What is known of a metric: data for reports, whose words are made at the edge.

use crate::reading::Doubt;
use crate::sequential::band::Band;
use crate::sequential::load::{RequestSpread, Unequal};
use crate::sequential::outlook::Outlook;

/// Fail is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Pass,
    Inconclusive,
    Fail,
}

/// The logarithm of an e-value, and of what it must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    pub ln_e: f64,
    pub limit: f64,
}

/// How much more than by chance the counts are taken to vary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Assumption {
    /// Without stable's instances there is nothing to measure it by: errors are taken to be
    /// independent.
    Independent,
    /// From stable's instances against each other: the variance is so many times the mean.
    Variance(f64),
    /// The same, and over blocks of intervals it is larger.
    InSpells { within: f64, over_blocks: f64 },
}

/// A bound of a histogram, with the requests slower than it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundFigures {
    /// In the histogram's unit, mostly seconds.
    pub bound: f64,
    /// Parts of the requests: 0.031 for 3.1 %.
    pub canary: f64,
    pub stable: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figures {
    Rates {
        ratio: Band,
        /// Errors, and what they are errors of: requests, or instances times intervals.
        canary: (f64, f64),
        stable: (f64, f64),
        assumption: Assumption,
    },
    Latency {
        /// Where the evidence of harm is largest, behind a pass where that against it is smallest, with
        /// the ratio there.
        worst: BoundFigures,
        ratio: Band,
        assumption: Assumption,
        /// How many of stable's bounds the canary has, too.
        compared: usize,
        of_stable: usize,
    },
    Gauge {
        /// Means over the scrapes.
        canary: f64,
        stable: f64,
        /// Of neighbouring scrapes, an upper estimate.
        correlation: f64,
        /// Scrapes in a block, and the blocks so far.
        block: f64,
        blocks: usize,
    },
    /// There was nothing to compute with yet.
    None,
}

/// A side that has had no requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    Canary,
    Stable,
    Both,
}

/// Why a metric is not decided, or what a reader of the verdict should know.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// There was no interval with data of both sides.
    NoData,
    /// Both sides are there, and one of them or both have had no requests.
    NoRequests(Idle),
    /// Of so many intervals some had no data.
    Missing {
        missing: u32,
        intervals: u32,
    },
    Doubt(Doubt),
    /// The canary has fewer instances than it had.
    InstanceGone,
    /// The histograms no longer have a bound in common that they had.
    BoundGone(f64),
    /// The same test found a difference between two halves of stable.
    HalvesOfStable,
    /// It may still find one: a pass waits.
    HalvesMayDiffer,
    /// Requests of an instance and interval.
    RequestsPerInstance {
        canary: f64,
        stable: f64,
    },
    /// Of instances of one side.
    UnequalCanary(RequestSpread),
    UnequalStable(RequestSpread),
    NoCommonBounds,
    /// Nearly all of stable's requests are below each common bound, or above.
    BoundsTellNothing {
        lowest: f64,
        highest: f64,
    },
    FewBlocks {
        blocks: usize,
        scrapes: f64,
    },
    /// The limit of a pass was reached with so few errors of stable that it was by luck.
    Early,
    /// The limit of a pass was reached, and what was not seen holds it up.
    HeldUp,
    /// A limit was reached, and it rests on one spell of errors.
    Spell,
    /// The limit of a fail would be reached, if the errors of single intervals counted.
    Burst,
    /// Neither limit was reached.
    Undecided,
    /// Neither limit was reached when a recording ended.
    Cut {
        missing_requests: Option<u64>,
    },
    /// Neither limit will be reached before the deadline.
    Futile {
        missing_requests: Option<u64>,
    },
}

impl From<Unequal> for Reason {
    fn from(unequal: Unequal) -> Self {
        match unequal {
            Unequal::More { canary, stable } | Unequal::Less { canary, stable } => {
                Reason::RequestsPerInstance { canary, stable }
            }
            Unequal::WithinCanary(spread) => Reason::UnequalCanary(spread),
            Unequal::WithinStable(spread) => Reason::UnequalStable(spread),
        }
    }
}

/// All about one metric after the intervals so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding<'a> {
    pub name: &'a str,
    pub required: bool,
    pub verdict: Verdict,
    /// The interval that decided, from 1.
    pub decided_at: Option<u32>,
    /// Intervals with data of both sides.
    pub intervals: u32,
    /// Of several required metrics, adjusted for the others: it is what decides.
    pub fail: Evidence,
    pub pass: Evidence,
    pub figures: Figures,
    /// The most important one first.
    pub reasons: Vec<Reason>,
    pub outlook: Option<Outlook>,
}

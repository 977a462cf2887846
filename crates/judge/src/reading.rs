//! What one interval brought: the numbers of both sides, and what makes them hard to compare.
//!
//! A number from outside is checked where it becomes one of these types, so the statistics have no
//! fractions, no infinities and no failures without requests to think of.

mod buckets;
mod counts;

use std::collections::BTreeSet;

pub use buckets::Buckets;
pub use counts::{Counts, Events, whole};

/// Why numbers are no reading.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReadingError {
    #[error("{0} is not a whole number of events")]
    Fraction(f64),
    #[error("a count of {0} is negative")]
    Negative(f64),
    #[error("a count of {0} is too large to be exact")]
    TooLarge(f64),
    #[error("{failed} of {total} failed: more failures than requests")]
    MoreFailedThanTotal { failed: u64, total: u64 },
    #[error("a histogram without buckets")]
    NoBuckets,
    #[error("a histogram without the bucket `+Inf`")]
    NoInfiniteBucket,
    #[error("{0} is not a bound of a bucket")]
    Bound(f64),
    #[error("two buckets with the bound {0}")]
    SameBound(f64),
    #[error("the bucket of {bound} holds less than the one below it: buckets are cumulative")]
    DecreasingBuckets { bound: f64 },
    #[error("{0} is not a value of a gauge")]
    Gauge(f64),
    #[error("a side without instances")]
    NoInstances,
}

/// One side's data: as a whole, or by instance. The statistics need the instances to see how much
/// more than chance the counts vary.
#[derive(Clone, Debug, PartialEq)]
pub enum Side<T> {
    Whole(T),
    Instances(Vec<T>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sides<T> {
    pub canary: Side<T>,
    pub stable: Side<T>,
}

impl<T> Side<T> {
    pub fn parts(&self) -> &[T] {
        match self {
            Side::Whole(part) => std::slice::from_ref(part),
            Side::Instances(parts) => parts,
        }
    }

    /// How many instances, where that is known.
    pub fn instances(&self) -> Option<usize> {
        match self {
            Side::Whole(_) => None,
            Side::Instances(parts) => Some(parts.len()),
        }
    }
}

/// What one metric showed within one interval.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Failures of requests.
    Ratio(Sides<Counts>),
    /// Durations in cumulative buckets.
    Histogram(Sides<Buckets>),
    /// A value per instance, scraped once, at the same time on both sides.
    Gauge { canary: Vec<f64>, stable: Vec<f64> },
    /// Events, of which there may be no total.
    Count(Sides<Events>),
}

/// What makes two sides hard to compare, as the source of the data saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// The sides' series have different label sets.
    LabelSets,
    /// The sides were scraped at different times.
    ScrapeTimes,
}

/// One metric within one interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// `None` where the interval has no data for both sides.
    pub reading: Option<Reading>,
    pub doubts: BTreeSet<Doubt>,
}

impl From<Reading> for Sample {
    fn from(reading: Reading) -> Sample {
        Sample {
            reading: Some(reading),
            doubts: BTreeSet::new(),
        }
    }
}

/// One interval: a sample for each metric, in the order in which the metrics are declared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    pub metrics: Vec<Sample>,
}

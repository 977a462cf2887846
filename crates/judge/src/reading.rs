//! What one interval brought: the numbers of both sides, and what makes them hard to compare.
//!
//! A number from outside is checked where it becomes one of these types, so the statistics have no
//! fractions, no infinities and no failures without requests to think of.

mod buckets;
mod counts;
mod error;

use std::collections::BTreeSet;

pub use buckets::Buckets;
pub use counts::{Counts, Events, whole};
pub use error::ReadingError;

/// One side's data: as a whole, or by instance. The statistics need the instances to see how much
/// more than chance the counts vary.
#[derive(Clone, Debug, PartialEq)]
pub enum SideData<T> {
    Whole(T),
    Instances(Vec<T>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sides<T> {
    pub canary: SideData<T>,
    pub stable: SideData<T>,
}

impl<T> SideData<T> {
    pub fn parts(&self) -> &[T] {
        match self {
            SideData::Whole(part) => std::slice::from_ref(part),
            SideData::Instances(parts) => parts,
        }
    }

    /// How many instances, where that is known.
    pub fn instances(&self) -> Option<usize> {
        match self {
            SideData::Whole(_) => None,
            SideData::Instances(parts) => Some(parts.len()),
        }
    }
}

impl Sides<Events> {
    /// Whether the events have totals. Where only some have one, nothing measures all of them.
    pub fn have_totals(&self) -> Result<bool, ReadingError> {
        let mut parts = self.canary.parts().iter().chain(self.stable.parts());
        let has = |events: &Events| events.total().is_some();
        let first = parts.next().is_some_and(has);
        if parts.all(|events| has(events) == first) {
            Ok(first)
        } else {
            Err(ReadingError::SomeTotals)
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

impl Reading {
    fn canary_instances(&self) -> Option<usize> {
        match self {
            Reading::Ratio(sides) => sides.canary.instances(),
            Reading::Histogram(sides) => sides.canary.instances(),
            Reading::Gauge { canary, .. } => Some(canary.len()),
            Reading::Count(sides) => sides.canary.instances(),
        }
    }
}

/// The canary's instances: the most that it had, and those of the last interval. One that comes back
/// had nothing to tell; one that stays away may have crashed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attendance {
    most: usize,
    last: usize,
}

impl Attendance {
    pub fn note(&mut self, reading: &Reading) {
        if let Some(instances) = reading.canary_instances() {
            self.most = self.most.max(instances);
            self.last = instances;
        }
    }

    pub fn is_one_gone(self) -> bool {
        self.last < self.most
    }
}

/// What makes two sides hard to compare, as the source of the data saw it. Beside a reading it keeps
/// the metric from passing for good: what was not seen may be what was wrong. Without a reading it
/// is why there is none, and data that comes later may still decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Doubt {
    #[error("the label sets of the sides differ")]
    LabelSets,
    #[error("the scrape times of the sides differ")]
    ScrapeTimes,
    #[error("a counter was reset")]
    Reset,
    #[error("there is a gap in the data")]
    Gap,
    #[error("a side is not scraped, its label is missing, or its data is stale")]
    Stale,
    #[error("there are two series where one is expected")]
    Duplicate,
    #[error("clocks differ (clock skew)")]
    Clocks,
    #[error("the times of the intervals are not in order (clock skew)")]
    Order,
    #[error("a count is not a whole number")]
    NotWhole,
    #[error("a value is not a number, or is malformed")]
    Unreadable,
    #[error("the data is partial")]
    Partial,
}

impl Doubt {
    pub const ALL: [Doubt; 11] = [
        Doubt::LabelSets,
        Doubt::ScrapeTimes,
        Doubt::Reset,
        Doubt::Gap,
        Doubt::Stale,
        Doubt::Duplicate,
        Doubt::Clocks,
        Doubt::Order,
        Doubt::NotWhole,
        Doubt::Unreadable,
        Doubt::Partial,
    ];

    /// Its name in a recorded trace.
    pub fn name(self) -> &'static str {
        match self {
            Doubt::LabelSets => "label-sets",
            Doubt::ScrapeTimes => "scrape-times",
            Doubt::Reset => "reset",
            Doubt::Gap => "gap",
            Doubt::Stale => "stale",
            Doubt::Duplicate => "duplicate",
            Doubt::Clocks => "clocks",
            Doubt::Order => "order",
            Doubt::NotWhole => "not-whole",
            Doubt::Unreadable => "unreadable",
            Doubt::Partial => "partial",
        }
    }

    /// Whether it is about how the sides compare. The others are about what was not seen, which
    /// makes what was seen no better.
    pub fn is_of_comparison(self) -> bool {
        match self {
            Doubt::LabelSets | Doubt::ScrapeTimes | Doubt::Duplicate | Doubt::Clocks => true,
            Doubt::Reset
            | Doubt::Gap
            | Doubt::Stale
            | Doubt::Order
            | Doubt::NotWhole
            | Doubt::Unreadable
            | Doubt::Partial => false,
        }
    }

    pub fn of_name(name: &str) -> Option<Doubt> {
        Doubt::ALL.into_iter().find(|doubt| doubt.name() == name)
    }
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

//! One metric's sample of an interval, from what both sides counted.

use std::collections::BTreeMap;

use judge::{Buckets, Counts, Doubt, Events, Reading, ReadingError, Sample, SideData, Sides};

use crate::flaw::DataDefect;
use crate::increases::{Increases, Part};
use crate::side::SideName;

/// What a metric's counts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    Ratio,
    Histogram,
    Count { of_total: bool },
}

/// The reading of one interval; else what is wrong with it.
pub(crate) fn reading(
    counting: Counting,
    canary: &Increases,
    stable: &Increases,
) -> Result<Reading, DataDefect> {
    fn sides<T>(
        canary: &Increases,
        stable: &Increases,
        one: impl Fn(&BTreeMap<Part, f64>) -> Result<T, ReadingError>,
    ) -> Result<Sides<T>, DataDefect> {
        // One instance on each side tells nothing of how instances differ, and a router may send
        // them different shares: each side is one whole.
        let one_each = canary.len() == 1 && stable.len() == 1;
        let side = |side, increases: &Increases| {
            self::side(increases, one_each, &one)
                .map_err(|error| DataDefect::Reading { side, error })
        };
        Ok(Sides {
            canary: side(SideName::Canary, canary)?,
            stable: side(SideName::Stable, stable)?,
        })
    }
    let of = |parts: &BTreeMap<Part, f64>, part| parts.get(&part).copied().unwrap_or_default();
    Ok(match counting {
        Counting::Ratio => Reading::Ratio(sides(canary, stable, |parts| {
            Counts::from_floats(of(parts, Part::Failed), of(parts, Part::Total))
        })?),
        Counting::Count { of_total: true } => Reading::Count(sides(canary, stable, |parts| {
            let total = of(parts, Part::Total);
            Events::from_floats(of(parts, Part::Failed), Some(total))
        })?),
        Counting::Count { of_total: false } => Reading::Count(sides(canary, stable, |parts| {
            Events::from_floats(of(parts, Part::Total), None)
        })?),
        Counting::Histogram => Reading::Histogram(sides(canary, stable, buckets)?),
    })
}

fn side<T>(
    increases: &Increases,
    one_each: bool,
    one: &impl Fn(&BTreeMap<Part, f64>) -> Result<T, ReadingError>,
) -> Result<SideData<T>, ReadingError> {
    let parts = increases.values().map(one);
    let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() {
        return Err(ReadingError::NoInstances);
    }
    let unnamed = increases.contains_key("");
    Ok(match &mut parts[..] {
        [_] if one_each || unnamed => SideData::Whole(parts.remove(0)),
        _ => SideData::Instances(parts),
    })
}

/// Buckets of series that were added up: where one was scraped a moment before another, a bucket
/// may seem to hold more than the one above it.
fn buckets(parts: &BTreeMap<Part, f64>) -> Result<Buckets, ReadingError> {
    let buckets = parts.iter().filter_map(|(part, count)| match part {
        Part::Bucket(bits) => Some((f64::from_bits(*bits), *count)),
        Part::Failed | Part::Total => None,
    });
    Buckets::from_floats(buckets)
}

/// A sample with what was found wrong around it.
pub(crate) fn sample(reading: Option<Reading>, flaws: &[DataDefect]) -> Sample {
    Sample {
        reading,
        doubts: flaws.iter().map(doubt).collect(),
    }
}

/// What a defect is to a judge.
pub fn doubt(flaw: &DataDefect) -> Doubt {
    match flaw {
        DataDefect::Reset { .. } => Doubt::Reset,
        DataDefect::Fraction { .. }
        | DataDefect::Reading {
            error: ReadingError::Fraction(_),
            ..
        } => Doubt::NotWhole,
        DataDefect::NoCounter { .. }
        | DataDefect::NotANumber { .. }
        | DataDefect::Native { .. }
        | DataDefect::Reading { .. } => Doubt::Unreadable,
        DataDefect::Gap { .. } => Doubt::Gap,
        DataDefect::Gone { .. } | DataDefect::Stale { .. } | DataDefect::NoData { .. } => {
            Doubt::Stale
        }
        DataDefect::Ahead { .. } | DataDefect::ReplicaClocks { .. } => Doubt::Clocks,
        DataDefect::ScrapeTimes { .. } => Doubt::ScrapeTimes,
        DataDefect::Replicas { .. }
        | DataDefect::Duplicate { .. }
        | DataDefect::BothPatterns(_)
        | DataDefect::BothSides(_) => Doubt::Duplicate,
        DataDefect::LabelSets { .. }
        | DataDefect::LabelMissing { .. }
        | DataDefect::NeverThere { .. } => Doubt::LabelSets,
        DataDefect::Partial(_) | DataDefect::Unreadable { .. } | DataDefect::Behind => {
            Doubt::Partial
        }
    }
}

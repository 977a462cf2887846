//! One number of a side, for the judges that compare numbers instead of counts.

use crate::reading::{Buckets, Counts, Events, Reading, SideData, Sides};

/// Which number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// Failures among the requests.
    FailureRate,
    /// Requests that did not fail, among all.
    Availability,
    /// The value below which this share of a histogram lies, as `histogram_quantile` tells it.
    Quantile(f64),
    /// The mean of a gauge's values; of events their rate, or without a total their number in an interval.
    Mean,
}

/// What one or more intervals brought to one side.
#[derive(Clone, Debug, PartialEq)]
pub enum Tally {
    Counts { failed: u64, total: u64 },
    Histogram { below: Vec<(f64, u64)>, total: u64 },
    Values { sum: f64, number: u64 },
}

/// The tallies of both sides. A side without instances has none.
#[derive(Clone, Debug)]
pub struct Tallies {
    pub canary: Option<Tally>,
    pub stable: Option<Tally>,
}

impl Tallies {
    pub fn of(reading: &Reading) -> Tallies {
        match reading {
            Reading::Ratio(sides) => Tallies::sums(sides, |counts: &Counts| Tally::Counts {
                failed: counts.failed(),
                total: counts.total(),
            }),
            Reading::Histogram(sides) => Tallies::sums(sides, Tally::histogram),
            Reading::Count(sides) => Tallies::sums(sides, Tally::events),
            Reading::Gauge { canary, stable } => Tallies {
                canary: Tally::of_values(canary),
                stable: Tally::of_values(stable),
            },
        }
    }

    fn sums<T>(sides: &Sides<T>, tally: impl Fn(&T) -> Tally) -> Tallies {
        let sum = |side: &SideData<T>| Tally::sum(side.parts(), &tally);
        Tallies {
            canary: sum(&sides.canary),
            stable: sum(&sides.stable),
        }
    }
}

impl Tally {
    fn histogram(buckets: &Buckets) -> Tally {
        let total = buckets.total();
        let below = |bound| Some((bound, total - buckets.above(bound)?));
        Tally::Histogram {
            below: buckets.bounds().filter_map(below).collect(),
            total,
        }
    }

    fn events(events: &Events) -> Tally {
        match events.total() {
            Some(total) => Tally::Counts {
                failed: events.events(),
                total,
            },
            None => Tally::Values {
                sum: events.events() as f64,
                number: 1,
            },
        }
    }

    fn of_values(values: &[f64]) -> Option<Tally> {
        (!values.is_empty()).then(|| Tally::Values {
            sum: values.iter().sum(),
            number: values.len() as u64,
        })
    }

    fn sum<T>(parts: &[T], tally: impl Fn(&T) -> Tally) -> Option<Tally> {
        parts.iter().map(tally).reduce(|sum, part| sum.plus(&part))
    }

    /// Both together. Of two histograms only the bounds remain that both have; of two kinds of data
    /// the later one.
    pub fn plus(self, other: &Tally) -> Tally {
        match (self, other) {
            (
                Tally::Counts { failed, total },
                Tally::Counts {
                    failed: f,
                    total: t,
                },
            ) => Tally::Counts {
                failed: failed.saturating_add(*f),
                total: total.saturating_add(*t),
            },
            (Tally::Histogram { mut below, total }, Tally::Histogram { below: b, total: t }) => {
                below.retain_mut(|(bound, count)| {
                    let same = b.iter().find(|(other, _)| other.total_cmp(bound).is_eq());
                    *count = count.saturating_add(same.map_or(0, |(_, more)| *more));
                    same.is_some()
                });
                Tally::Histogram {
                    below,
                    total: total.saturating_add(*t),
                }
            }
            (Tally::Values { sum, number }, Tally::Values { sum: s, number: n }) => Tally::Values {
                sum: sum + s,
                number: number.saturating_add(*n),
            },
            (_, other) => other.clone(),
        }
    }

    /// `None` where there is nothing to divide by, or the data have no such number.
    pub fn value(&self, measure: Measure) -> Option<f64> {
        let share = |part: f64, whole: u64| (whole > 0).then(|| part / whole as f64);
        match (measure, self) {
            (Measure::FailureRate | Measure::Mean, Tally::Counts { failed, total }) => {
                share(*failed as f64, *total)
            }
            (Measure::Availability, Tally::Counts { failed, total }) => {
                share(total.saturating_sub(*failed) as f64, *total)
            }
            (Measure::Quantile(share), Tally::Histogram { below, total }) => {
                quantile(share, below, *total)
            }
            (Measure::Mean, Tally::Values { sum, number }) => share(*sum, *number),
            _ => None,
        }
        .filter(|value| value.is_finite())
    }

    /// The largest bound, where the quantile is above it: how far is not known.
    pub fn beyond(&self, measure: Measure) -> Option<f64> {
        let (Measure::Quantile(share), Tally::Histogram { below, total }) = (measure, self) else {
            return None;
        };
        let (bound, count) = below.last()?;
        ((*count as f64) < share * *total as f64).then_some(*bound)
    }
}

/// The quantile of a histogram by linear interpolation within its bucket, as Prometheus'
/// `histogram_quantile` has it: the first bucket begins at zero where its bound is positive, and
/// beyond the last bound the last bound is the answer. An interpolation is a guess: in a bucket
/// from 0.25 s to 0.5 s, it is wrong by up to a quarter of a second.
fn quantile(share: f64, below: &[(f64, u64)], total: u64) -> Option<f64> {
    if total == 0 || !(0.0..=1.0).contains(&share) {
        return None;
    }
    let rank = share * total as f64;
    let Some(at) = below.iter().position(|(_, count)| *count as f64 >= rank) else {
        return below.last().map(|(bound, _)| *bound);
    };
    let (bound, count) = below[at];
    let (start, fewer) = match at.checked_sub(1) {
        Some(before) => below[before],
        None if bound <= 0.0 => return Some(bound),
        None => (0.0, 0),
    };
    let within = (count - fewer) as f64;
    if within == 0.0 {
        return Some(start);
    }
    Some(start + (bound - start) * (rank - fewer as f64) / within)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "no rounding in these")]

    use super::*;

    fn pair(reading: &Reading, measure: Measure) -> (Option<f64>, Option<f64>) {
        let Tallies { canary, stable } = Tallies::of(reading);
        let value = |tally: Option<Tally>| tally.and_then(|tally| tally.value(measure));
        (value(canary), value(stable))
    }

    fn counts(failed: u64, total: u64) -> Counts {
        Counts::new(failed, total).unwrap()
    }

    #[test]
    fn rates_are_of_all_instances_together() {
        let reading = Reading::Ratio(Sides {
            canary: SideData::Whole(counts(1, 4)),
            stable: SideData::Instances(vec![counts(0, 10), counts(3, 20)]),
        });
        assert_eq!(
            pair(&reading, Measure::FailureRate),
            (Some(0.25), Some(0.1))
        );
        assert_eq!(
            pair(&reading, Measure::Availability),
            (Some(0.75), Some(0.9))
        );
    }

    #[test]
    fn nothing_to_divide_by_is_no_number() {
        let reading = Reading::Ratio(Sides {
            canary: SideData::Whole(counts(0, 0)),
            stable: SideData::Instances(Vec::new()),
        });
        assert_eq!(pair(&reading, Measure::FailureRate), (None, None));
        assert_eq!(pair(&reading, Measure::Mean), (None, None));
        let reading = Reading::Gauge {
            canary: vec![f64::INFINITY],
            stable: vec![1.0, 3.0],
        };
        assert_eq!(pair(&reading, Measure::Mean), (None, Some(2.0)));
    }

    #[test]
    fn events_are_a_rate_where_they_have_a_total() {
        let reading = Reading::Count(Sides {
            canary: SideData::Whole(Events::new(3, None).unwrap()),
            stable: SideData::Whole(Events::new(3, Some(6)).unwrap()),
        });
        assert_eq!(pair(&reading, Measure::Mean), (Some(3.0), Some(0.5)));
        assert_eq!(pair(&reading, Measure::FailureRate), (None, Some(0.5)));
    }

    /// The values are those of Prometheus for the same buckets.
    #[test]
    fn quantiles_are_those_of_histogram_quantile() {
        let below = [(0.1, 40), (0.5, 90)];
        let at = |share| quantile(share, &below, 100).unwrap();
        assert_eq!(at(0.2), 0.05);
        assert!((at(0.5) - 0.18).abs() < 1e-12);
        assert_eq!(at(0.9), 0.5);
        assert_eq!(at(0.95), 0.5);
        assert_eq!(quantile(0.5, &[], 100), None);
        assert_eq!(quantile(0.5, &below, 0), None);
        assert_eq!(quantile(0.1, &[(-1.0, 5), (1.0, 10)], 10), Some(-1.0));
        assert_eq!(quantile(0.0, &[(1.0, 0), (2.0, 10)], 10), Some(0.0));
    }

    #[test]
    fn histograms_of_two_layouts_have_their_common_bounds() {
        let buckets = |pairs: &[(f64, u64)]| Buckets::new(pairs.iter().copied()).unwrap();
        let reading = Reading::Histogram(Sides {
            canary: SideData::Instances(vec![
                buckets(&[(0.1, 4), (0.5, 9), (f64::INFINITY, 10)]),
                buckets(&[(0.1, 6), (0.2, 7), (f64::INFINITY, 10)]),
            ]),
            stable: SideData::Whole(buckets(&[(f64::INFINITY, 10)])),
        });
        assert_eq!(pair(&reading, Measure::Quantile(0.25)), (Some(0.05), None));
    }
}

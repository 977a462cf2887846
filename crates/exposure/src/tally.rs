//! What is certain, and what is not: counts of which it is known between which two times they happened.

use chronicle::{CountBound, Exposure, Slice, Source};
use jiff::{SignedDuration, Timestamp};
use model::outcome::Requests;

use crate::CountError;
use crate::stay::ExposureWindow;

/// A report has at most so many parts of the time.
const MAX_SLICES: u32 = 20;
/// How long a part is: the first that makes not too many.
const STEPS: [u32; 12] = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 86_400];
/// Above it a float may stand for more than one whole number.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// Requests after one time and by another, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedInterval {
    pub(crate) after: f64,
    pub(crate) by: f64,
    pub(crate) count: f64,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Total,
    Failed,
    /// Requests to any release.
    OfAll,
}

/// Where something belongs.
enum Overlap {
    Within,
    Perhaps,
    Without,
}

/// What was counted until now.
#[derive(Debug)]
pub(crate) struct Tally<'a> {
    pub(crate) stay: &'a ExposureWindow,
    from: f64,
    until: f64,
    total: Range,
    failed: Range,
    /// Something of the release was not seen.
    is_open: bool,
    /// A count that no counter has.
    wrong: Option<f64>,
    slices: Vec<[f64; 3]>,
    step: f64,
    has_all: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Range {
    least: f64,
    most: f64,
}

impl<'a> Tally<'a> {
    /// `spacing` is the time between two looks, in seconds: no part of the time is shorter.
    pub(crate) fn new(stay: &'a ExposureWindow, spacing: f64) -> Tally<'a> {
        let (from, until) = (seconds(stay.from), seconds(stay.until));
        let lasted = (until - from).max(0.0);
        let mut steps = STEPS.into_iter().map(f64::from);
        let fits = |step: &f64| *step >= spacing && lasted / step <= f64::from(MAX_SLICES);
        let step = steps.find(fits);
        let step = step.unwrap_or_else(|| (lasted / f64::from(MAX_SLICES)).max(spacing).max(1.0));
        Tally {
            stay,
            from,
            until,
            total: Range::default(),
            failed: Range::default(),
            is_open: false,
            wrong: None,
            slices: vec![[0.0; 3]; nth(lasted, step) + 1],
            step,
            has_all: false,
        }
    }

    pub(crate) fn add(&mut self, what: Counter, seen: CountedInterval) {
        let CountedInterval { after, by, count } = seen;
        if count < 0.0 {
            self.wrong = Some(count);
        }
        let fit = self.fit(what, after, by);
        if matches!(fit, Overlap::Without) {
            return;
        }
        self.has_all |= what == Counter::OfAll;
        let range = match what {
            Counter::Total => Some(&mut self.total),
            Counter::Failed => Some(&mut self.failed),
            Counter::OfAll => None,
        };
        if let Some(range) = range {
            range.most += count;
        }
        if matches!(fit, Overlap::Perhaps) {
            return;
        }
        let slice = nth((by.min(self.until) - self.from).max(0.0), self.step);
        let column = match what {
            Counter::Total => {
                self.total.least += count;
                0
            }
            Counter::Failed => {
                self.failed.least += count;
                1
            }
            Counter::OfAll => 2,
        };
        // A look at the very end of a part counts what was before it.
        if let Some(slice) = self.slices.get_mut(slice) {
            slice[column] += count;
        }
    }

    /// Whether something of the release may have happened after one time and by another.
    pub(crate) fn overlaps(&self, after: f64, by: f64) -> bool {
        by > self.from && after < self.until
    }

    /// Something of the release was not seen: it may be more.
    pub(crate) fn open(&mut self) {
        self.is_open = true;
    }

    /// Whether nothing of the release was seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.total.most <= 0.0
    }

    fn fit(&self, what: Counter, after: f64, by: f64) -> Overlap {
        if !self.overlaps(after, by) {
            return Overlap::Without;
        }
        let is_release = what != Counter::OfAll;
        let begins = after >= self.from || (self.stay.fresh && is_release);
        let ends = by <= self.until || (self.stay.gone && is_release);
        if begins && ends || !is_release {
            Overlap::Within
        } else {
            Overlap::Perhaps
        }
    }

    /// # Errors
    /// Returns an error where a count is no number of requests.
    pub(crate) fn exposure(self, source: Source) -> Result<Exposure, CountError> {
        if let Some(count) = self.wrong {
            return Err(CountError::NoCounter(count));
        }
        let [total, failed] = [self.total.least, self.failed.least].map(round_count);
        let (total, failed) = (total?, failed?);
        let most_total = round_count(self.total.most)?;
        // What is not certain of all requests may have failed.
        let most_failed =
            round_count(self.failed.most)?.min(failed.saturating_add(most_total - total));
        let most = Requests {
            failed: most_failed,
            total: most_total,
        };
        let bound = match (self.is_open, Requests { failed, total } == most) {
            (true, _) => CountBound::AtLeast,
            (false, true) => CountBound::Exact,
            (false, false) => CountBound::AtMost(most),
        };
        let slices = self.slices.iter().enumerate();
        // Before its first request it had none.
        let slices = slices.skip_while(|(_, [total, _, _])| *total <= 0.0);
        let slices = slices.map(|(nth, [total, failed, all])| {
            Ok(Slice {
                from: at(self.stay.from, self.step, nth),
                total: round_count(*total)?,
                failed: round_count(*failed)?,
                of_all: self.has_all.then(|| round_count(*all)).transpose()?,
            })
        });
        Ok(Exposure {
            failed,
            total,
            bound,
            source,
            from: Some(self.stay.from),
            until: Some(self.stay.until),
            over_time: slices.collect::<Result<_, CountError>>()?,
        })
    }
}

/// The beginning of a part.
fn at(from: Timestamp, step: f64, nth: usize) -> Timestamp {
    let nth = u32::try_from(nth).unwrap_or(u32::MAX);
    let since = SignedDuration::try_from_secs_f64(step * f64::from(nth)).unwrap_or_default();
    from.checked_add(since).unwrap_or(from)
}

/// In which part of the time something is; the end of one belongs to it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is within the range"
)]
fn nth(since: f64, step: f64) -> usize {
    let nth = (since / step).ceil() - 1.0;
    nth.clamp(0.0, 1e6) as usize
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is within the range"
)]
fn round_count(count: f64) -> Result<u64, CountError> {
    if (0.0..=MAX_EXACT).contains(&count) {
        Ok(count.round() as u64)
    } else {
        Err(CountError::NoCounter(count))
    }
}

pub(crate) fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: f64 = 1_800_000_000.0;

    fn stay(fresh: bool, gone: bool) -> ExposureWindow {
        let second = |n: i64| Timestamp::from_second(1_800_000_000 + n).unwrap_or_default();
        ExposureWindow {
            release: "v2".to_owned(),
            deployment: None,
            from: second(0),
            until: second(60),
            fresh,
            gone,
        }
    }

    fn interval(after: f64, by: f64, count: f64) -> CountedInterval {
        CountedInterval {
            after: START + after,
            by: START + by,
            count,
        }
    }

    fn tallied(
        stay: &ExposureWindow,
        all: &[(Counter, CountedInterval)],
    ) -> (u64, u64, CountBound) {
        let mut tally = Tally::new(stay, 15.0);
        for (what, seen) in all {
            tally.add(*what, *seen);
        }
        let exposure = tally.exposure(Source::Prometheus);
        let exposure = exposure.unwrap_or_else(|why| panic!("{why}"));
        (exposure.total, exposure.failed, exposure.bound)
    }

    #[test]
    fn what_straddles_an_edge_is_certain_only_where_the_release_was_not_beyond_it() {
        let all = [
            (Counter::Total, interval(-20.0, -5.0, 1000.0)),
            (Counter::Total, interval(-5.0, 10.0, 40.0)),
            (Counter::Total, interval(10.0, 55.0, 500.0)),
            (Counter::Total, interval(55.0, 70.0, 7.0)),
            (Counter::Total, interval(70.0, 85.0, 1000.0)),
        ];
        let most = |total| CountBound::AtMost(Requests { failed: 0, total });
        assert_eq!(
            tallied(&stay(true, true), &all),
            (547, 0, CountBound::Exact)
        );
        assert_eq!(tallied(&stay(false, true), &all), (507, 0, most(547)));
        assert_eq!(tallied(&stay(true, false), &all), (540, 0, most(547)));
        assert_eq!(tallied(&stay(false, false), &all), (500, 0, most(547)));
        // Nothing happened around the edges: it is exact all the same.
        assert_eq!(
            tallied(&stay(false, false), &all[2..3]),
            (500, 0, CountBound::Exact)
        );
    }

    #[test]
    fn no_more_failed_than_were_served() {
        let all = [
            (Counter::Total, interval(1.0, 10.0, 10.0)),
            (Counter::Total, interval(55.0, 70.0, 3.0)),
            (Counter::Failed, interval(1.0, 10.0, 2.0)),
            // Of other scrapes than the total.
            (Counter::Failed, interval(40.0, 70.0, 8.0)),
        ];
        let most = Requests {
            failed: 5,
            total: 13,
        };
        let seen = tallied(&stay(true, false), &all);
        assert_eq!(seen, (10, 2, CountBound::AtMost(most)));
    }

    #[test]
    fn parts_are_long_enough_to_hold_a_look_and_not_too_many() {
        let stay = stay(true, true);
        let mut tally = Tally::new(&stay, 15.0);
        for (what, one) in [
            (Counter::Total, interval(-5.0, 10.0, 1.0)),
            (Counter::Failed, interval(15.0, 30.0, 2.0)),
            (Counter::Total, interval(15.0, 30.0, 10.0)),
            (Counter::OfAll, interval(15.0, 30.0, 90.0)),
            (Counter::Total, interval(30.0, 70.0, 5.0)),
        ] {
            tally.add(what, one);
        }
        tally.open();
        let exposure = tally.exposure(Source::AccessLog);
        let exposure = exposure.unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(exposure.bound, CountBound::AtLeast);
        let parts = exposure.over_time.iter();
        let parts: Vec<_> = parts
            .map(|one| {
                let since = one.from.duration_since(stay.from).as_secs();
                (since, one.total, one.failed, one.of_all)
            })
            .collect();
        assert_eq!(parts, [(0, 11, 2, Some(90)), (30, 5, 0, Some(0))]);
        let day = ExposureWindow {
            until: stay.from + SignedDuration::from_hours(24),
            ..stay.clone()
        };
        let parts = Tally::new(&day, 15.0).slices.len();
        assert!((10..=20).contains(&parts), "{parts}");
    }

    #[test]
    fn what_is_no_count_is_an_error() {
        for count in [-5.0, f64::NAN, f64::INFINITY, 1e300] {
            let stay = stay(true, true);
            let mut tally = Tally::new(&stay, 1.0);
            tally.add(Counter::Total, interval(1.0, 2.0, count));
            // What comes after it may hide it in the sum.
            tally.add(Counter::Total, interval(2.0, 3.0, 10.0));
            assert!(tally.exposure(Source::Prometheus).is_err(), "{count}");
        }
    }
}

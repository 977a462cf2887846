//! A canary as Kayenta watches it: every look is at all points since the start.

use std::collections::BTreeMap;

use super::classify::{Classification, Classified, Metric, classify};
use super::score::{Grade, Graded, Score, ScoreLimits, Zero, score};
use crate::measure::{Measure, Tallies, Tally};
use crate::reading::{Events, Interval, Reading, Side};
use crate::sequential::Verdict;

/// A metric and the number of each interval that is a point of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    pub metric: Metric,
    pub measure: Measure,
    pub groups: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub metrics: Vec<Watched>,
    /// Of the groups, in percent.
    pub weights: BTreeMap<String, f64>,
    pub limits: ScoreLimits,
    /// The interval after which the first interim look is; `None` looks at the end alone. That look
    /// takes any number of points.
    pub first_look: Option<usize>,
}

impl Settings {
    /// With the fewest points at which a quiet canary is rarely taken for a bad one (0.4 % per look).
    pub fn new(metrics: Vec<Watched>) -> Settings {
        Settings {
            metrics,
            weights: BTreeMap::new(),
            limits: ScoreLimits::default(),
            first_look: Some(5),
        }
    }
}

/// What one look found.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// In the order of the metrics.
    pub found: Vec<Classified>,
    pub score: Score,
    pub grade: Grade,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// An interim score below `marginal`, or a last one below `pass`.
    Failed,
    /// Every interim score was at least marginal, and the last one passes.
    Passed,
    /// The last score passes, but Kayenta did not count a metric that it could not compare.
    Unknown { metric: usize },
}

impl Standing {
    pub fn verdict(self) -> Verdict {
        match self {
            Standing::Failed => Verdict::Fail,
            Standing::Passed => Verdict::Pass,
            Standing::Unknown { .. } => Verdict::Inconclusive,
        }
    }
}

/// The points of a metric so far.
#[derive(Clone, Debug, Default)]
struct Points {
    canary: Vec<f64>,
    stable: Vec<f64>,
}

#[derive(Clone, Debug)]
pub struct Watch {
    settings: Settings,
    points: Vec<Points>,
    intervals: usize,
}

impl Watch {
    pub fn new(settings: Settings) -> Watch {
        Watch {
            points: vec![Points::default(); settings.metrics.len()],
            settings,
            intervals: 0,
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The next interval, and the interim look after it. A grade of `Fail` ends the watch.
    pub fn push(&mut self, interval: &Interval) -> Option<Look> {
        let samples = interval
            .metrics
            .iter()
            .map(Some)
            .chain(std::iter::repeat(None));
        for ((watched, points), sample) in self
            .settings
            .metrics
            .iter()
            .zip(&mut self.points)
            .zip(samples)
        {
            let reading = sample.and_then(|sample| sample.reading.as_ref());
            points.push(reading, watched.measure);
        }
        self.intervals += 1;
        let first = self.settings.first_look?;
        (self.intervals >= first).then(|| self.look())
    }

    /// At all points since the start.
    pub fn look(&self) -> Look {
        let metrics = self.settings.metrics.iter().zip(&self.points);
        let found: Vec<Classified> = metrics
            .map(|(watched, points)| classify(&watched.metric, &points.canary, &points.stable))
            .collect();
        let graded: Vec<Graded<'_>> = self
            .settings
            .metrics
            .iter()
            .zip(&found)
            .map(|(watched, found)| Graded {
                found: *found,
                groups: &watched.groups,
            })
            .collect();
        let score = score(&graded, &self.settings.weights);
        Look {
            grade: score.grade(self.settings.limits),
            score,
            found,
        }
    }

    /// What the last look comes to, after no interim look failed.
    pub fn at_end(&self, last: &Look) -> Standing {
        let is_compared = |(found, points): (&Classified, &Points)| {
            !matches!(
                found.classification,
                Classification::Nodata | Classification::Error
            ) && points.has_data()
        };
        let mut metrics = last.found.iter().zip(&self.points);
        let uncompared = metrics.position(|metric| !is_compared(metric));
        let is_passing = last.grade == Grade::Pass;
        match uncompared {
            None if is_passing => Standing::Passed,
            Some(metric) if is_passing || last.score.zero == Some(Zero::Nodata) => {
                Standing::Unknown { metric }
            }
            _ => Standing::Failed,
        }
    }
}

impl Points {
    /// Values that are not counted of requests are a point each: an interval may have those of
    /// several instances, or of several scrapes.
    fn push(&mut self, reading: Option<&Reading>, measure: Measure) {
        match reading {
            Some(Reading::Gauge { canary, stable })
                if measure == Measure::Mean && !canary.is_empty() && !stable.is_empty() =>
            {
                self.canary.extend(canary);
                self.stable.extend(stable);
                return;
            }
            Some(Reading::Count(sides)) => {
                let values = |side: &Side<Events>| -> Option<Vec<f64>> {
                    let values = side.parts().iter().map(|part| match part.total() {
                        None => Some(part.events() as f64),
                        Some(_) => None,
                    });
                    values.collect::<Option<Vec<f64>>>()
                };
                if let (Some(canary), Some(stable)) = (values(&sides.canary), values(&sides.stable))
                    && !canary.is_empty()
                    && !stable.is_empty()
                {
                    self.canary.extend(canary);
                    self.stable.extend(stable);
                    return;
                }
            }
            _ => {}
        }
        let tallies = reading.map(Tallies::of);
        let point = |side: fn(&Tallies) -> Option<&Tally>| {
            let tally = tallies.as_ref().and_then(side);
            tally
                .and_then(|tally| tally.value(measure))
                .unwrap_or(f64::NAN)
        };
        self.canary.push(point(|it| it.canary.as_ref()));
        self.stable.push(point(|it| it.stable.as_ref()));
    }

    fn has_data(&self) -> bool {
        let has = |points: &[f64]| points.iter().any(|point| !point.is_nan());
        has(&self.canary) && has(&self.stable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kayenta::prepare::Missing;
    use crate::reading::{Counts, Sides};

    fn ratio(canary: u64, stable: u64) -> Interval {
        let side = |failed| Side::Whole(Counts::new(failed, 100).unwrap());
        let reading = Reading::Ratio(Sides {
            canary: side(canary),
            stable: side(stable),
        });
        Interval {
            metrics: vec![reading.into()],
        }
    }

    fn errors(metric: Metric) -> Settings {
        Settings::new(vec![Watched {
            metric,
            measure: Measure::FailureRate,
            groups: vec!["errors".to_owned()],
        }])
    }

    fn watched(settings: Settings, intervals: &[Interval]) -> (Option<usize>, Standing) {
        let mut watch = Watch::new(settings);
        for (at, interval) in intervals.iter().enumerate() {
            let look = watch.push(interval);
            if look.is_some_and(|look| look.grade == Grade::Fail) {
                return (Some(at + 1), Standing::Failed);
            }
        }
        (None, watch.at_end(&watch.look()))
    }

    #[test]
    fn a_bad_canary_fails_at_the_first_look() {
        let intervals: Vec<Interval> = (0..9).map(|n| ratio(20 + n % 3, 1 + n % 2)).collect();
        let found = watched(errors(Metric::default()), &intervals);
        assert_eq!(found, (Some(5), Standing::Failed));
    }

    #[test]
    fn a_canary_like_stable_passes_at_the_end_with_any_number_of_points() {
        let intervals: Vec<Interval> = (0..9).map(|n| ratio(1 + n % 3, 1 + n % 2)).collect();
        for length in [3, 5, 9] {
            let found = watched(errors(Metric::default()), &intervals[..length]);
            assert_eq!(found, (None, Standing::Passed), "{length}");
        }
    }

    #[test]
    fn without_data_nothing_passes() {
        let unknown = (None, Standing::Unknown { metric: 0 });
        for missing in [Missing::Remove, Missing::Replace] {
            let settings = || {
                errors(Metric {
                    missing,
                    ..Metric::default()
                })
            };
            assert_eq!(watched(settings(), &[]), unknown);
            let empty = Interval::default();
            assert_eq!(watched(settings(), &[empty.clone(), empty]), unknown);
        }
    }

    /// The vectors of spinnaker/spinnaker#6278, spinnaker/kayenta#426 and #799: each value an interval,
    /// several in one, or all in one.
    #[test]
    fn values_are_points_however_many_an_interval_has() {
        let seven: Vec<f64> = (0..10).map(|n| if n < 7 { 100.0 } else { 1.0 }).collect();
        let eight: Vec<f64> = (0..10).map(|n| if n < 8 { 100.0 } else { 1.0 }).collect();
        for (canary, stable, wanted) in [
            (&seven[..], &[1.0; 10][..], Standing::Passed),
            (&eight, &[1.0; 10], Standing::Failed),
            (&[0.0, 1.0, 2.0, 1.0, 0.0, 0.0], &[0.0; 6], Standing::Passed),
            (&[1.0, 4.0, 2.0, 3.0, 1.0], &[0.0; 5], Standing::Failed),
        ] {
            for an_interval in [1, 2, 3, 10] {
                let settings = Settings {
                    first_look: None,
                    ..errors(Metric::default())
                };
                let of_gauge = |metrics: Vec<Watched>| -> Vec<Watched> {
                    let gauge = |watched| Watched {
                        measure: Measure::Mean,
                        ..watched
                    };
                    metrics.into_iter().map(gauge).collect()
                };
                let settings = Settings {
                    metrics: of_gauge(settings.metrics.clone()),
                    ..settings
                };
                let points = canary.chunks(an_interval).zip(stable.chunks(an_interval));
                let gauges: Vec<Interval> = { points.clone() }
                    .map(|(canary, stable)| Interval {
                        metrics: vec![
                            Reading::Gauge {
                                canary: canary.to_vec(),
                                stable: stable.to_vec(),
                            }
                            .into(),
                        ],
                    })
                    .collect();
                let events = |values: &[f64]| {
                    let events = values
                        .iter()
                        .map(|n| Events::from_floats(*n, None).unwrap());
                    Side::Instances(events.collect())
                };
                let counts: Vec<Interval> = points
                    .map(|(canary, stable)| Interval {
                        metrics: vec![
                            Reading::Count(Sides {
                                canary: events(canary),
                                stable: events(stable),
                            })
                            .into(),
                        ],
                    })
                    .collect();
                for intervals in [gauges, counts] {
                    let found = watched(settings.clone(), &intervals);
                    assert_eq!(found, (None, wanted), "{canary:?} {an_interval}");
                }
            }
        }
    }

    /// Kayenta's score is a hundred where it could not compare one point with one.
    #[test]
    fn what_could_not_be_compared_does_not_pass() {
        let found = watched(errors(Metric::default()), &[ratio(5, 1)]);
        assert_eq!(found, (None, Standing::Unknown { metric: 0 }));
    }

    #[test]
    fn a_last_score_between_the_limits_is_no_pass() {
        let mut settings = errors(Metric::default());
        settings.metrics.extend(vec![
            Watched {
                metric: Metric::default(),
                measure: Measure::Availability,
                groups: vec!["errors".to_owned()],
            };
            4
        ]);
        // One of five metrics is high: a score of 80.
        let intervals: Vec<Interval> = (0..9)
            .map(|n| {
                let (bad, good) = (ratio(20 + n % 3, 1 + n % 2), ratio(1 + n % 3, 1 + n % 2));
                let mut metrics = bad.metrics;
                metrics.extend(std::iter::repeat_n(good.metrics[0].clone(), 4));
                Interval { metrics }
            })
            .collect();
        assert_eq!(watched(settings, &intervals), (None, Standing::Failed));
    }
}

//! A canary as Kayenta watches it: every look is at all points since the start.

use std::collections::BTreeMap;

use judge::sequential::Verdict;
use judge::{Events, Interval, Measure, Reading, SideData, Tallies, Tally};

use crate::classify::{Classification, Classified, Metric, classify};
use crate::score::{Grade, Graded, Score, ScoreLimits, Zero, score};

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
pub struct Evaluation {
    /// In the order of the metrics.
    pub found: Vec<Classified>,
    pub score: Score,
    pub grade: Grade,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KayentaStatus {
    /// An interim score below `marginal`, or a last one below `pass`.
    Failed,
    /// Every interim score was at least marginal, and the last one passes.
    Passed,
    /// The last score passes, but Kayenta did not count a metric that it could not compare.
    Unknown { metric: usize },
}

impl KayentaStatus {
    pub fn verdict(self) -> Verdict {
        match self {
            KayentaStatus::Failed => Verdict::Fail,
            KayentaStatus::Passed => Verdict::Pass,
            KayentaStatus::Unknown { .. } => Verdict::Inconclusive,
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
    pub fn push(&mut self, interval: &Interval) -> Option<Evaluation> {
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
        (self.intervals >= first).then(|| self.evaluate())
    }

    /// At all points since the start.
    pub fn evaluate(&self) -> Evaluation {
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
        Evaluation {
            grade: score.grade(self.settings.limits),
            score,
            found,
        }
    }

    /// What the last look comes to, after no interim look failed.
    pub fn at_end(&self, last: &Evaluation) -> KayentaStatus {
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
            None if is_passing => KayentaStatus::Passed,
            Some(metric) if is_passing || last.score.zero == Some(Zero::Nodata) => {
                KayentaStatus::Unknown { metric }
            }
            _ => KayentaStatus::Failed,
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
                let values = |side: &SideData<Events>| -> Option<Vec<f64>> {
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

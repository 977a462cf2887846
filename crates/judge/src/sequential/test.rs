//! The test of one metric, whatever its kind: one interval in, evidence out.

use crate::reading::{Buckets, Counts, Events, Reading, ReadingError, SideData, Sides};
use crate::sequential::clustering::ASSUMED;
use crate::sequential::gauge::Gauge;
use crate::sequential::harm::Limits;
use crate::sequential::latency::Latency;
use crate::sequential::load::Load;
use crate::sequential::part::Part;
use crate::sequential::rates::{BURSTS, RATIOS, Rates};
use crate::sequential::settings::{Chance, Rule, is_level};

#[derive(Clone, Debug)]
pub(crate) enum Test {
    Rates(Box<Rates>),
    Latency(Latency),
    Gauge(Box<Gauge>),
}

/// The logarithms of the e-values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Weighed {
    pub(crate) fail: f64,
    pub(crate) pass: f64,
    /// Of one half of stable against the other one.
    pub(crate) placebo: f64,
    /// Whether the halves of stable may well differ.
    pub(crate) is_placebo_leaning: bool,
}

/// What an interval was to a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    Data,
    /// A side had no requests.
    NoRequests,
    /// A side has no instances.
    Nothing,
    NoCommonBounds,
}

impl Test {
    pub(crate) fn new(rule: &Rule) -> Test {
        let limits = |tolerance: f64, at_most: &Option<Chance>| Limits {
            tolerance,
            at_most: at_most.map(Chance::get),
            spread: RATIOS,
            bursts: BURSTS,
            negligible: None,
        };
        match rule {
            Rule::Ratio { tolerance, at_most } => {
                Test::Rates(Box::new(Rates::new(limits(tolerance.get(), at_most))))
            }
            Rule::Count { tolerance } => {
                Test::Rates(Box::new(Rates::new(limits(tolerance.get(), &None))))
            }
            Rule::Histogram { tolerance, at_most } => {
                Test::Latency(Latency::new(tolerance.get(), at_most.map(Chance::get)))
            }
            Rule::Gauge { margin, before } => {
                Test::Gauge(Box::new(Gauge::new(*margin, before.clone())))
            }
        }
    }

    pub(crate) fn add(&mut self, reading: &Reading, load: &mut Load) -> Added {
        match (self, reading) {
            (Test::Rates(rates), Reading::Ratio(sides)) => {
                serve(load, sides, |counts: &Counts| Some(counts.total()));
                add_parts(rates, sides, |counts| Part::from(*counts))
            }
            (Test::Rates(rates), Reading::Count(sides)) => {
                serve(load, sides, |events: &Events| events.total());
                add_parts(rates, sides, |events| Part::from(*events))
            }
            (Test::Latency(latency), Reading::Histogram(sides)) => {
                serve(load, sides, |buckets| Some(buckets.total()));
                let [canary, stable] = [sides.canary.parts(), sides.stable.parts()];
                let has_requests = |side: &[Buckets]| side.iter().any(|part| part.total() > 0);
                if canary.is_empty() || stable.is_empty() {
                    Added::Nothing
                } else if !latency.add(sides) {
                    Added::NoCommonBounds
                } else if has_requests(canary) && has_requests(stable) {
                    Added::Data
                } else {
                    Added::NoRequests
                }
            }
            (Test::Gauge(gauge), Reading::Gauge { canary, stable })
                if !canary.is_empty() && !stable.is_empty() =>
            {
                gauge.add(canary, stable);
                Added::Data
            }
            _ => Added::Nothing,
        }
    }

    /// What both sides have shown: canary, then stable. Of a gauge nothing is counted.
    pub(crate) fn shown(&self) -> Option<(Part, Part)> {
        match self {
            Test::Rates(rates) => Some(rates.observed_parts()),
            Test::Latency(latency) => Some(latency.bounds().first()?.1.observed_parts()),
            Test::Gauge(_) => None,
        }
    }

    pub(crate) fn weigh(&self) -> Weighed {
        match self {
            Test::Rates(rates) => {
                let variance = rates.variance();
                Weighed {
                    fail: rates.ln_fail(variance),
                    pass: rates.ln_pass(variance),
                    placebo: rates.ln_placebo(ASSUMED),
                    is_placebo_leaning: rates.is_placebo_leaning(ASSUMED),
                }
            }
            Test::Latency(latency) => {
                let variances = latency.variances();
                let placebo = latency.ln_placebo(&variances);
                Weighed {
                    fail: latency.ln_fail(&variances),
                    pass: latency.ln_pass(&variances),
                    placebo,
                    // A mean over bounds, some of which know nothing.
                    is_placebo_leaning: placebo > 0.1,
                }
            }
            Test::Gauge(gauge) => {
                let (fail, pass) = gauge.ln_e();
                Weighed {
                    fail,
                    pass,
                    placebo: gauge.ln_placebo(),
                    is_placebo_leaning: false,
                }
            }
        }
    }

    /// The evidence for a fail that does not rest on one spell of errors: it costs more to know.
    pub(crate) fn ln_lasting_fail(&self) -> f64 {
        match self {
            Test::Rates(rates) => rates.ln_lasting_fail(rates.variance()),
            Test::Latency(latency) => latency.ln_lasting_fail(&latency.variances()),
            Test::Gauge(gauge) => gauge.ln_e().0,
        }
    }

    /// The evidence for a pass that does not.
    pub(crate) fn ln_lasting_pass(&self) -> f64 {
        match self {
            Test::Rates(rates) => rates.ln_lasting_pass(rates.variance()),
            Test::Latency(latency) => latency.ln_lasting_pass(&latency.variances()),
            Test::Gauge(gauge) => gauge.ln_e().1,
        }
    }

    /// Whether the evidence for a fail or for a pass may have reached its limit, and that between the
    /// halves of stable that of a fail: most intervals do not need to know more.
    pub(crate) fn may_reach(&mut self, fail: f64, pass: f64) -> bool {
        match self {
            Test::Rates(rates) => {
                let variance = rates.variance();
                rates.ln_fail_at_most(variance) >= fail || rates.ln_pass(variance) >= pass
            }
            Test::Latency(latency) => latency.may_reach(fail, pass),
            Test::Gauge(_) => true,
        }
    }

    pub(crate) fn placebo_may_reach(&self, limit: f64) -> bool {
        match self {
            Test::Rates(rates) => rates.ln_placebo_at_most(ASSUMED) >= limit,
            Test::Latency(latency) => latency.ln_placebo_at_most() >= limit,
            Test::Gauge(_) => true,
        }
    }

    /// Whether a difference between the halves of stable would be seen by now.
    pub(crate) fn is_placebo_told(&self) -> bool {
        match self {
            Test::Rates(rates) => rates.is_placebo_told(),
            Test::Latency(latency) => latency.is_placebo_told(),
            Test::Gauge(_) => true,
        }
    }

    /// Whether evidence of this size for a pass comes from too few data to rely on.
    pub(crate) fn is_early(&self, limit: f64) -> bool {
        match self {
            Test::Rates(rates) => rates.is_early(rates.variance(), limit),
            Test::Latency(latency) => latency.is_early(&latency.variances(), limit),
            Test::Gauge(_) => false,
        }
    }

    /// Whether a reading is of the kind that the test is for, and all its numbers are.
    pub(crate) fn check(&self, reading: &Reading) -> Result<bool, ReadingError> {
        if let Reading::Gauge { canary, stable } = reading {
            let mut levels = canary.iter().chain(stable);
            if let Some(level) = levels.find(|level| !is_level(**level)) {
                return Err(ReadingError::Gauge(*level));
            }
        }
        if let Reading::Count(sides) = reading {
            sides.have_totals()?;
        }
        Ok(matches!(
            (self, reading),
            (Test::Rates(_), Reading::Ratio(_) | Reading::Count(_))
                | (Test::Latency(_), Reading::Histogram(_))
                | (Test::Gauge(_), Reading::Gauge { .. })
        ))
    }
}

fn add_parts<T>(rates: &mut Rates, sides: &Sides<T>, part: impl Fn(&T) -> Part) -> Added {
    let parts = |side: &SideData<T>| -> Vec<Part> { side.parts().iter().map(&part).collect() };
    let (canary, stable) = (Part::sum(&parts(&sides.canary)), parts(&sides.stable));
    rates.add(canary, &stable);
    if canary.exposure > 0.0 && Part::sum(&stable).exposure > 0.0 {
        Added::Data
    } else if sides.canary.parts().is_empty() || stable.is_empty() {
        Added::Nothing
    } else {
        Added::NoRequests
    }
}

/// Nothing where a part has no total.
fn serve<T>(load: &mut Load, sides: &Sides<T>, total: impl Fn(&T) -> Option<u64>) {
    let requests = |side: &SideData<T>| -> Option<SideData<f64>> {
        let totals = side.parts().iter().map(&total);
        let totals = totals
            .map(|total| Some(total? as f64))
            .collect::<Option<Vec<_>>>()?;
        Some(match side {
            SideData::Whole(_) => SideData::Whole(totals.iter().sum()),
            SideData::Instances(_) => SideData::Instances(totals),
        })
    };
    if let (Some(canary), Some(stable)) = (requests(&sides.canary), requests(&sides.stable)) {
        load.add(&canary, &stable);
    }
}

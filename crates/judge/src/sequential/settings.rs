//! What is judged, and how sure a verdict must be.

use crate::sequential::gauge::Margin;

/// The chance of an error that is put up with: above 0 and below 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance(f64);

impl Chance {
    pub fn new(chance: f64) -> Result<Chance, SettingsError> {
        if chance > 0.0 && chance < 1.0 {
            Ok(Chance(chance))
        } else {
            Err(SettingsError::Chance(chance))
        }
    }

    pub fn get(self) -> f64 {
        self.0
    }

    /// The logarithm of the e-value that is needed.
    pub(crate) fn limit(self) -> f64 {
        -self.0.ln()
    }
}

/// How many times stable's rate of errors is tolerated: 1 to [`Tolerance::MAX`]. 1.01 means that
/// any increase is harm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance(f64);

impl Tolerance {
    pub const MAX: f64 = 100.0;

    pub fn new(ratio: f64) -> Result<Tolerance, SettingsError> {
        if (1.0..=Tolerance::MAX).contains(&ratio) {
            Ok(Tolerance(ratio))
        } else {
            Err(SettingsError::Tolerance(ratio))
        }
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

/// What harm is.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Failures of requests. With `at_most`, harm is above both; to be refuted is only one of them.
    Ratio {
        tolerance: Tolerance,
        at_most: Option<Chance>,
    },
    /// Requests slower than a bound; a pass means that at no bound the canary's slower
    /// requests are both above the tolerance and above `at_most`, 0.25 % where that is not set.
    Histogram {
        tolerance: Tolerance,
        at_most: Option<Chance>,
    },
    /// Events, of which there may be no total. Instances are then taken to be exposed alike, and a
    /// side without instances counts as one.
    Count { tolerance: Tolerance },
    Gauge {
        margin: Margin,
        /// Canary and stable before the rollout, scrape by scrape: their difference then is
        /// subtracted from that of now. Empty where it is not known.
        before: Vec<(f64, f64)>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    pub name: String,
    pub rule: Rule,
    /// An advisory metric is shown and decides nothing.
    pub required: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The chance of a false fail, over all intervals and required metrics together.
    pub alpha: Chance,
    /// The chance of a false pass.
    pub beta: Chance,
    /// Intervals until the deadline, where there is one: what cannot be decided until then is told
    /// at once.
    pub deadline: Option<u32>,
    /// The part of the intervals that may lack data where a metric passes.
    pub most_missing: f64,
    pub metrics: Vec<Metric>,
}

impl Settings {
    pub const MAX_MISSING: f64 = 0.1;

    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if !self.metrics.iter().any(|metric| metric.required) {
            return Err(SettingsError::NothingRequired);
        }
        if !(0.0..=1.0).contains(&self.most_missing) {
            return Err(SettingsError::Chance(self.most_missing));
        }
        for metric in &self.metrics {
            let Rule::Gauge { margin, before } = &metric.rule else {
                continue;
            };
            let (Margin::Relative(number) | Margin::Absolute(number)) = margin;
            let numbers = before.iter().flat_map(|(canary, stable)| [canary, stable]);
            if *number < 0.0 || !numbers.chain([number]).all(|number| is_level(*number)) {
                return Err(SettingsError::Gauge {
                    metric: metric.name.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Whether a number can be a gauge's: its square stays finite.
pub(crate) fn is_level(number: f64) -> bool {
    number.abs() <= 1e100
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    #[error("{0} is not between 0 and 1")]
    Chance(f64),
    #[error("a tolerance of {0} is not between 1 and 100")]
    Tolerance(f64),
    #[error("no metric is required: no metric decides")]
    NothingRequired,
    #[error(
        "`{metric}`: the tolerance or a level before the rollout is not a number to compare with"
    )]
    Gauge { metric: String },
    #[error("{0} requests in an interval are not a number to plan with")]
    Requests(f64),
}

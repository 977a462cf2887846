//! Evidence that a rate is worse than tolerated: what the test itself and the placebo both gather.

use crate::sequential::absolute::{Absolute, Shown};
use crate::sequential::mixture::{Mixture, Weights};
use crate::sequential::part::Part;

/// What is worse than tolerated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    pub(crate) tolerance: f64,
    /// Needed for a fail as well as refuted for a pass.
    pub(crate) at_most: Option<f64>,
    /// How many times above the tolerance harm is mostly looked for.
    pub(crate) spread: f64,
    /// Where stable is known by instance: up to so many standard deviations above what is usual,
    /// the errors of one interval count.
    pub(crate) bursts: f64,
    /// Refuted for a pass only.
    pub(crate) negligible: Option<f64>,
}

/// Evidence of harm.
#[derive(Clone, Debug)]
pub(crate) struct Harm {
    pub(crate) ratio: Mixture,
    absolute: Option<Absolute>,
    pub(crate) canary: Shown,
}

impl Harm {
    pub(crate) fn new(limits: Limits) -> Harm {
        Harm {
            ratio: Mixture::above(limits.tolerance, limits.spread),
            absolute: limits.at_most.map(Absolute::above),
            canary: Shown::default(),
        }
    }

    pub(crate) fn add(&mut self, canary: Part, stable: Part, intervals: f64) {
        let share = canary.exposure / (canary.exposure + stable.exposure);
        self.ratio
            .add(canary.failed, stable.failed, share, intervals);
        self.canary.add(canary.failed, canary.exposure, intervals);
    }

    /// Without the canary's errors that are `beyond` what counts.
    pub(crate) fn ln_e(&self, variance: Option<f64>, beyond: &[(f64, &Weights)]) -> f64 {
        let ratio = self.ratio.ln_e(variance, beyond);
        match &self.absolute {
            None => ratio,
            Some(absolute) => ratio.min(absolute.ln_e(self.canary, variance)),
        }
    }

    /// With the evidence of the ratio divided by a variance: see [`Mixture::ln_e_divided`].
    pub(crate) fn ln_e_divided(&self, variance: f64) -> f64 {
        let ratio = self.ratio.ln_e_divided(variance);
        match &self.absolute {
            None => ratio,
            Some(absolute) => ratio.min(absolute.ln_e(self.canary, Some(variance))),
        }
    }
}

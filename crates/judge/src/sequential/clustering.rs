//! How many times more than by chance the errors vary: estimated from stable's instances against
//! each other in the same intervals, so that what moves all of them together does not count.
//!
//! With `t` errors of an interval and `q_j` an instance's share of the requests, the estimate is a
//! ratio of sums (the mean of the terms would be biased):
//!
//! `φ = Σ Σ (x_j − t·q_j)² / Σ t · Σ q_j(1 − q_j)`
//!
//! Few errors on few instances tell little. The excess `e` of the estimate over 1 is therefore
//! enlarged, the more the fewer degrees of freedom `f` there were, `1 + 2/√f` times, except where it
//! is no larger than chance makes it, where it counts for a part, `e²/(e² + 3/f)`; and its inverse is
//! mixed with that of an assumption of [`ASSUMED`], which the estimate outweighs from
//! [`ASSUMED_WEIGHT`] degrees of freedom on: by `f³` to the cube of that, so that the first
//! intervals count for almost nothing, and an hour of the assumption for nothing. Where stable's
//! errors are independent, little is lost after a few intervals. The numbers come from simulations
//! (`tests/clustered.rs`).
//!
//! The evidence is kept for every variance, from the first interval on, and looked at for the
//! estimate of now. For one fixed variance it is a process with the bound `α`; a false fail needs
//! either that, or an estimate below the truth. Evidence whose past keeps the estimates of its time
//! would pay for good for the first intervals, in which little is known.

use crate::sequential::part::Part;

/// The variance that is assumed before anything was seen.
pub(crate) const ASSUMED: f64 = 8.0;
/// The degrees of freedom that the assumption is worth.
const ASSUMED_WEIGHT: f64 = 1.6;
/// Standard errors of a sort: how much larger than seen the excess may be, at one degree of freedom.
const MARGIN: f64 = 2.0;
/// An interval with so many errors an instance tells half of what it would tell with arbitrarily many.
const HALF: f64 = 3.0;
/// The square of the excess that chance makes at one degree of freedom, and somewhat more.
const BY_CHANCE: f64 = 3.0;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clustering {
    squares: f64,
    expected: f64,
    freedom: f64,
}

impl Clustering {
    /// One interval of one side's instances.
    pub(crate) fn add(&mut self, instances: &[Part]) {
        let exposure = Part::sum(instances).exposure;
        let shares = instances.iter().map(|part| part.exposure / exposure);
        self.add_expected(instances, shares);
    }

    /// One interval of instances whose errors are expected to be these shares of all.
    pub(crate) fn add_expected(&mut self, instances: &[Part], shares: impl Iterator<Item = f64>) {
        let failed = Part::sum(instances).failed;
        let serving = instances.iter().filter(|part| part.exposure > 0.0).count();
        if serving < 2 || failed == 0.0 {
            return;
        }
        for (part, share) in instances.iter().zip(shares) {
            self.squares += (part.failed - failed * share).powi(2);
            self.expected += failed * share * (1.0 - share);
        }
        let serving = serving as f64;
        self.freedom += (serving - 1.0) * failed / (failed + HALF * serving);
    }

    /// The ratio of variance and mean to reckon with, where nothing is known but an assumption.
    pub(crate) fn variance(&self, assumed: f64) -> f64 {
        if self.expected == 0.0 {
            return assumed;
        }
        let margin = 1.0 + MARGIN / self.freedom.max(0.5).sqrt();
        let excess = (self.squares / self.expected - 1.0).max(0.0);
        let by_chance = BY_CHANCE / (BY_CHANCE + self.freedom * excess * excess);
        let seen = 1.0 + margin * excess * (1.0 - by_chance);
        let [own, other] = [self.freedom, ASSUMED_WEIGHT].map(|freedom| freedom.powi(3));
        (own + other) / (own / seen + other / assumed)
    }

    /// The estimate as it is; `None` before the first error.
    pub(crate) fn estimate(&self) -> Option<f64> {
        (self.expected > 0.0).then(|| self.squares / self.expected)
    }

    /// The degrees of freedom that it rests on.
    pub(crate) fn freedom(&self) -> f64 {
        self.freedom
    }

    /// What more intervals of the same kind would show: so many times as many.
    pub(crate) fn times(&self, factor: f64) -> Clustering {
        Clustering {
            squares: self.squares * factor,
            expected: self.expected * factor,
            freedom: self.freedom * factor,
        }
    }
}

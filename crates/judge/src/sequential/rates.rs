//! One kind of error on both sides: whether the canary's rate is worse, or is not.
//!
//! Harm means that the ratio of the rates is above the tolerance and, where there is an absolute
//! limit, that the canary's rate is above that, too.
//!
//! - FAIL refutes "no harm", which either of the two may make true: the smaller of the two
//!   e-values is one for it.
//! - PASS refutes "harm", under which both e-values are valid: so is their mean. It is reached at
//!   the latest where one of them exceeds `2/β`.

use std::sync::Arc;

use crate::sequential::absolute::{Absolute, Shown};
use crate::sequential::band::{Band, Strata};
use crate::sequential::bursts::Bursts;
use crate::sequential::clustering::{ASSUMED, Clustering};
use crate::sequential::harm::{Harm, Limits};
use crate::sequential::mixture::Mixture;
use crate::sequential::numbers::ln_mean_exp;
use crate::sequential::part::Part;
use crate::sequential::placebo::Placebo;
use crate::sequential::serial::Serial;
use crate::sequential::spells::Spells;

/// Most bad releases have up to four times the errors of stable.
pub(crate) const RATIOS: f64 = 4.0;
/// Errors that come at any time do not exceed it in the hour of a rollout.
pub(crate) const BURSTS: f64 = 3.5;

/// Before the deadline, a pass takes at least two thirds of the requests, or of the errors of stable, with
/// which an average good release passes. It then says more than that the canary was lucky, and the time that it takes
/// can be planned: half to twice of one number holds for more than four of five good releases.
const EARLIEST: f64 = 1.5;

/// Both tests of one kind of error, with what their guarantee rests on.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    harm: Harm,
    harmless: Mixture,
    negligible: Option<Absolute>,
    /// Present once stable was seen by instance.
    instances: Option<Box<Instances>>,
    strata: Strata,
    stable: Part,
    limits: Limits,
}

#[derive(Clone, Debug)]
struct Instances {
    clustering: Clustering,
    bursts: Bursts,
    /// Shared with what is projected from here on.
    spells: Arc<Spells>,
    serial: Serial,
    placebo: Placebo,
}

impl Rates {
    pub(crate) fn new(limits: Limits) -> Rates {
        Rates {
            harm: Harm::new(limits),
            harmless: Mixture::below(limits.tolerance),
            negligible: limits.at_most.or(limits.negligible).map(Absolute::below),
            instances: None,
            strata: Strata::default(),
            stable: Part::default(),
            limits,
        }
    }

    /// One interval; `stable` by instance where they are known.
    pub(crate) fn add(&mut self, canary: Part, stable: &[Part]) {
        let (canary, all) = (canary.exposed(), Part::sum(stable).exposed());
        if canary.exposure + all.exposure <= 0.0 {
            return;
        }
        if stable.len() > 1 && all.exposure > 0.0 {
            self.add_instances(stable);
        }
        self.add_sides(canary, all, 1.0);
        if let Some(instances) = &mut self.instances {
            let weights = self.harm.ratio.weights();
            instances.bursts.add(canary, all.rate(), weights);
            let spells = Arc::make_mut(&mut instances.spells);
            spells.add(canary, all.rate(), weights);
        }
    }

    fn add_sides(&mut self, canary: Part, stable: Part, intervals: f64) {
        let share = canary.exposure / (canary.exposure + stable.exposure);
        self.harm.add(canary, stable, intervals);
        self.harmless
            .add(canary.failed, stable.failed, share, intervals);
        self.strata.add(canary.failed, stable.failed, share);
        self.stable = Part::sum([&self.stable, &stable]);
    }

    /// What would be known after so many further intervals with these errors in all of them.
    pub(crate) fn after(&self, canary: Part, stable: Part, intervals: f64) -> Rates {
        let mut after = self.clone();
        if canary.exposure + stable.exposure > 0.0 {
            after.add_sides(canary, stable, intervals);
        }
        after
    }

    fn add_instances(&mut self, stable: &[Part]) {
        let limits = self.limits;
        let instances = self.instances.get_or_insert_with(|| {
            self.harm.ratio.deflate();
            self.harmless.deflate();
            Box::new(Instances {
                clustering: Clustering::default(),
                bursts: Bursts::default(),
                spells: Arc::default(),
                serial: Serial::default(),
                placebo: Placebo::new(limits),
            })
        });
        instances.clustering.add(stable);
        instances.serial.add(stable);
        instances.placebo.add(stable);
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn band(&self, chance: f64, variance: Option<f64>) -> Band {
        self.strata.band(chance, variance.unwrap_or(1.0))
    }

    /// What both sides have shown: canary, then stable.
    pub(crate) fn observed_parts(&self) -> (Part, Part) {
        let Shown { failed, total, .. } = self.harm.canary;
        (
            Part {
                failed,
                exposure: total,
            },
            self.stable,
        )
    }

    pub(crate) fn clustering(&self) -> Option<&Clustering> {
        self.instances
            .as_ref()
            .map(|instances| &instances.clustering)
    }

    /// Of the errors, in terms of their mean, where stable's instances are known.
    pub(crate) fn variance(&self) -> Option<f64> {
        Some(self.clustering()?.variance(ASSUMED))
    }

    /// Evidence of harm, for a variance of the errors of so many times the mean.
    pub(crate) fn ln_fail(&self, variance: Option<f64>) -> f64 {
        let Some(instances) = &self.instances else {
            return self.harm.ln_e(variance, &[]);
        };
        let spread = instances.clustering.variance(1.0).sqrt();
        let beyond = instances.bursts.beyond(self.limits.bursts * spread);
        self.harm.ln_e(variance, &beyond)
    }

    /// The same, if all errors of single intervals counted.
    pub(crate) fn ln_fail_of_all(&self) -> f64 {
        self.harm.ln_e(self.variance(), &[])
    }

    /// Evidence of harm that does not take one spell of stable's errors for several.
    pub(crate) fn ln_fail_over_blocks(&self, variance: Option<f64>) -> f64 {
        self.ln_fail(self.over_blocks(variance))
    }

    /// What of it does not rest on a spell of the canary's errors.
    pub(crate) fn ln_lasting_fail(&self, variance: Option<f64>) -> f64 {
        let ln_fail = self.ln_fail_over_blocks(variance);
        let Some(instances) = &self.instances else {
            return ln_fail;
        };
        if instances.spells.is_all() {
            return ln_fail.min(0.0);
        }
        let variance = self.over_blocks(variance);
        let spells = instances.spells.beyond(variance.unwrap_or(1.0));
        let without = spells.map(|spells| self.harm.ln_e(variance, &spells));
        without.fold(ln_fail, f64::min)
    }

    /// Evidence that there is none that does not take one spell of stable's errors for several.
    pub(crate) fn ln_lasting_pass(&self, variance: Option<f64>) -> f64 {
        self.ln_pass(self.over_blocks(variance))
    }

    /// The variance over blocks of intervals, where that is larger.
    pub(crate) fn over_blocks(&self, variance: Option<f64>) -> Option<f64> {
        let instances = self.instances.as_ref();
        let factor = instances.map_or(1.0, |own| own.serial.factor(&own.clustering));
        variance.map(|variance| variance * factor)
    }

    /// No less than that, and cheap.
    pub(crate) fn ln_fail_at_most(&self, variance: Option<f64>) -> f64 {
        self.harm.ratio.ln_e_at_most(variance)
    }

    /// Evidence that there is none.
    pub(crate) fn ln_pass(&self, variance: Option<f64>) -> f64 {
        let ratio = self.harmless.ln_e(variance, &[]);
        match &self.negligible {
            None => ratio,
            Some(negligible) => ln_mean_exp(&[ratio, negligible.ln_e(self.harm.canary, variance)]),
        }
    }

    /// Whether the evidence for a pass comes early, and is luck for the most part: an average canary
    /// with stable's rate would not reach the limit with [`EARLIEST`] times as many requests. Errors of
    /// the canary do not count here, so that none of them helps it.
    pub(crate) fn is_early(&self, variance: Option<f64>, limit: f64) -> bool {
        let ratio = self.harmless.ln_even(EARLIEST, variance.unwrap_or(1.0));
        let even = match &self.negligible {
            None => ratio,
            Some(negligible) => {
                let total = EARLIEST * self.harm.canary.total;
                let failed = total * self.stable.rate();
                let average = Shown {
                    failed,
                    total,
                    failing: failed,
                };
                ln_mean_exp(&[ratio, negligible.ln_e(average, variance)])
            }
        };
        even < limit
    }

    /// Evidence that one half of stable does the other one harm: that of the data or the
    /// assumptions are in error.
    pub(crate) fn ln_placebo(&self, assumed: f64) -> f64 {
        let instances = self.instances.as_ref();
        instances.map_or(0.0, |instances| instances.placebo.ln_e(assumed))
    }

    /// No less than that, and cheap.
    pub(crate) fn ln_placebo_at_most(&self, assumed: f64) -> f64 {
        let instances = self.instances.as_ref();
        instances.map_or(0.0, |instances| instances.placebo.ln_e_at_most(assumed))
    }

    /// Whether the halves of stable may well differ.
    pub(crate) fn is_placebo_leaning(&self, assumed: f64) -> bool {
        let instances = self.instances.as_ref();
        instances.is_some_and(|instances| instances.placebo.leans(assumed))
    }

    /// Whether a difference between the halves of stable would be seen by now.
    pub(crate) fn is_placebo_told(&self) -> bool {
        let instances = self.instances.as_ref();
        instances.is_none_or(|instances| instances.placebo.can_tell())
    }
}

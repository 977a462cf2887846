//! Latency, without a quantile: for each bound of the histogram, "slower than the bound" is an error.
//!
//! FAIL averages the e-values of all bounds, which is an e-value whatever they have to do with one another. The
//! bounds are those that both sides have: none is left out for what was measured, so that the choice cannot break the
//! guarantee, and a bound that stable never exceeds shows a new tail. A bound that decides nothing costs little: `ln`
//! of the number of bounds at most. One that both sides have only later joins with the average of that time, or with
//! 1 where that is less, so that joining raises no average.
//!
//! PASS needs every bound, at `β` each (harm at any bound is refuted for every one). Where stable is hardly ever so
//! slow, no ordinary traffic can show that the ratio is below the tolerance. Therefore harm means more than the
//! tolerance and more than [`NEGLIGIBLE`] of the canary's requests, unless an absolute limit is set. What a pass
//! guarantees with a certainty of `1 − β`: at no bound is the canary's share of slower requests both above the
//! tolerance times stable's and above a quarter of a per cent. A larger share would let a tail pass that many
//! services watch, and a smaller one takes thousands of requests of the canary: at 0.25 %, a release that is never so
//! slow passes after about 1,700 of them. One of the bounds must tell something of stable's latency: where nearly all
//! of its requests are below each of them, or above, as where the releases have few bounds in common, a canary that
//! is many times slower would look the same.

use std::cmp::Ordering;

use crate::reading::{Buckets, Sides};
use crate::sequential::clustering::{ASSUMED, Clustering};
use crate::sequential::harm::Limits;
use crate::sequential::numbers::ln_mean_exp;
use crate::sequential::part::Part;
use crate::sequential::rates::Rates;

/// Such a part of the requests may be slower without harm to a pass.
pub const NEGLIGIBLE: f64 = 0.0025;
/// Where more of stable's requests are slower, no ratio tells much.
const MAX_SLOWER: f64 = 0.9;
/// A new tail may be any number of times as frequent as before.
const RATIOS: f64 = 8.0;
/// A bound that is hardly ever exceeded tells nothing of the bursts in which it is. See [`Limits::bursts`].
const BURSTS: f64 = 1.0;
/// More bounds than any histogram has: a layout that is another one each time is not followed.
const MAX_BOUNDS: usize = 400;

#[derive(Clone, Debug)]
pub(crate) struct Latency {
    limits: Limits,
    /// Stable's instances against each other, in all buckets.
    buckets: Clustering,
    bounds: Vec<(f64, Rates)>,
    /// All bounds that stable has.
    of_stable: Vec<f64>,
    /// What each bound joined with, as a logarithm.
    joined: Vec<f64>,
    /// The bound that held up a pass last.
    holds_up: usize,
    /// The lowest bound that both sides had, and did not have in the last interval.
    pub(crate) lost: Option<f64>,
}

impl Latency {
    pub(crate) fn new(tolerance: f64, at_most: Option<f64>) -> Latency {
        let negligible = at_most.is_none().then_some(NEGLIGIBLE);
        Latency {
            limits: Limits {
                tolerance,
                at_most,
                negligible,
                spread: RATIOS,
                bursts: BURSTS,
            },
            buckets: Clustering::default(),
            bounds: Vec::new(),
            of_stable: Vec::new(),
            joined: Vec::new(),
            holds_up: 0,
            lost: None,
        }
    }

    /// One interval; whether there was a bound that both sides have.
    pub(crate) fn add(&mut self, sides: &Sides<Buckets>) -> bool {
        let (canary, stable) = (sides.canary.parts(), sides.stable.parts());
        self.join(canary, stable);
        if let Some(part) = stable.first()
            && part.bounds().count() > self.of_stable.len()
        {
            self.of_stable = part.bounds().collect();
        }
        self.add_buckets(stable);
        let mut is_common = false;
        self.lost = None;
        for (bound, rates) in &mut self.bounds {
            let slower = |parts: &[Buckets]| -> Option<Vec<Part>> {
                let slower = parts.iter().map(|part| {
                    Some(Part {
                        failed: part.above(*bound)? as f64,
                        exposure: part.total() as f64,
                    })
                });
                slower.collect()
            };
            if let (Some(canary), Some(stable)) = (slower(canary), slower(stable)) {
                rates.add(Part::sum(&canary), &stable);
                is_common = true;
            } else {
                self.lost.get_or_insert(*bound);
            }
        }
        is_common
    }

    /// Takes in the bounds that both sides have and that were not there before.
    fn join(&mut self, canary: &[Buckets], stable: &[Buckets]) {
        let has = |part: &Buckets, bound: f64| part.above(bound).is_some();
        let bounds = canary.first().into_iter().flat_map(Buckets::bounds);
        let mut new: Vec<f64> = bounds
            .filter(|bound| {
                self.bounds
                    .iter()
                    .all(|(known, _)| known.total_cmp(bound).is_ne())
            })
            .collect();
        new.retain(|bound| canary.iter().chain(stable).all(|part| has(part, *bound)));
        new.truncate(MAX_BOUNDS.saturating_sub(self.bounds.len()));
        if new.is_empty() {
            return;
        }
        let with = self.ln_fail(&self.variances()).min(0.0);
        for bound in new {
            let at = self.bounds.partition_point(|(known, _)| *known < bound);
            self.bounds.insert(at, (bound, Rates::new(self.limits)));
            self.joined.insert(at, with);
        }
    }

    /// The variance of the slow requests at each bound, where stable's instances are known. A
    /// bound that few requests exceed takes over what the buckets show together.
    pub(crate) fn variances(&self) -> Vec<Option<f64>> {
        let assumed = self.buckets.variance(ASSUMED);
        let of = |rates: &Rates| Some(rates.clustering()?.variance(assumed));
        self.bounds.iter().map(|(_, rates)| of(rates)).collect()
    }

    pub(crate) fn buckets(&self) -> &Clustering {
        &self.buckets
    }

    /// What is between two bounds is independent of what is between two others, as far as requests
    /// are of each other: each bucket tells of its own.
    fn add_buckets(&mut self, stable: &[Buckets]) {
        if stable.len() < 2 {
            return;
        }
        let mut faster = vec![0; stable.len()];
        for (bound, _) in &self.bounds {
            let parts = stable.iter().zip(&mut faster).map(|(part, faster)| {
                let up_to = part.total() - part.above(*bound)?;
                let within = up_to.saturating_sub(*faster);
                *faster = up_to;
                Some(Part {
                    failed: within as f64,
                    exposure: part.total() as f64,
                })
            });
            if let Some(parts) = parts.collect::<Option<Vec<_>>>() {
                self.buckets.add(&parts);
            }
        }
    }

    pub(crate) fn bounds(&self) -> &[(f64, Rates)] {
        &self.bounds
    }

    /// The bounds that are compared, and those that stable has.
    pub(crate) fn compared(&self) -> (usize, usize) {
        (self.bounds.len(), self.of_stable.len())
    }

    /// Whether a bound shows how slow stable is: so few are slower that the canary's could be more than the tolerance
    /// times as many, and a part that is not negligible is slower than it or than the bound of stable's below it.
    pub(crate) fn tells_of_stable(&self) -> bool {
        let most = MAX_SLOWER.min(1.0 / self.limits.tolerance);
        let slower = |(_, rates): &(f64, Rates)| rates.observed_parts().1.rate();
        let is_seen = |at: &(f64, Rates)| slower(at) >= NEGLIGIBLE;
        self.bounds.iter().enumerate().any(|(nth, at)| {
            let own = self.of_stable.partition_point(|bound| *bound < at.0);
            let before = nth.checked_sub(1).map(|nth| &self.bounds[nth]);
            let is_first = own.checked_sub(1).is_none_or(|own| {
                before.is_some_and(|it| it.0 >= self.of_stable[own] && is_seen(it))
            });
            slower(at) < most && (is_seen(at) || is_first)
        })
    }

    pub(crate) fn ln_fail(&self, variances: &[Option<f64>]) -> f64 {
        self.average(variances, Rates::ln_fail)
    }

    /// Where a bound is hardly ever exceeded, a tail that is new looks like a spell for too long: only what
    /// stable's instances show is reckoned with.
    pub(crate) fn ln_lasting_fail(&self, variances: &[Option<f64>]) -> f64 {
        self.average(variances, Rates::ln_fail_over_blocks)
    }

    pub(crate) fn ln_pass(&self, variances: &[Option<f64>]) -> f64 {
        self.least(variances, Rates::ln_pass)
    }

    pub(crate) fn ln_lasting_pass(&self, variances: &[Option<f64>]) -> f64 {
        self.least(variances, Rates::ln_lasting_pass)
    }

    fn least(&self, variances: &[Option<f64>], ln: impl Fn(&Rates, Option<f64>) -> f64) -> f64 {
        let each = self.bounds.iter().zip(variances);
        let each = each.map(|((_, rates), variance)| ln(rates, *variance));
        let nothing = (!self.tells_of_stable()).then_some(0.0);
        each.chain(nothing).fold(f64::INFINITY, f64::min)
    }

    /// Whether the evidence may have reached a limit: whether it has costs more to know. One bound is
    /// enough to hold up a pass, and it is mostly the same one.
    pub(crate) fn may_reach(&mut self, fail: f64, pass: f64) -> bool {
        let variances = self.variances();
        let mut each = self.bounds.iter().zip(&variances).zip(&self.joined);
        // A mean is no larger than the largest.
        if each
            .any(|(((_, rates), variance), with)| with + rates.ln_fail_at_most(*variance) >= fail)
        {
            return true;
        }
        let holds_up = |at: &usize| {
            let (_, rates) = &self.bounds[*at];
            rates.ln_pass(variances[*at]) < pass
        };
        if self.holds_up < self.bounds.len() && holds_up(&self.holds_up) {
            return false;
        }
        match (0..self.bounds.len()).find(holds_up) {
            None => true,
            Some(at) => {
                self.holds_up = at;
                false
            }
        }
    }

    /// Whether the evidence for a pass comes too early at a bound.
    pub(crate) fn is_early(&self, variances: &[Option<f64>], limit: f64) -> bool {
        let mut each = self.bounds.iter().zip(variances);
        each.any(|((_, rates), variance)| rates.is_early(*variance, limit))
    }

    pub(crate) fn ln_placebo(&self, variances: &[Option<f64>]) -> f64 {
        let assumed = self.buckets.variance(ASSUMED);
        self.average(variances, |rates, _| rates.ln_placebo(assumed))
    }

    /// No less than that, and cheap.
    pub(crate) fn ln_placebo_at_most(&self) -> f64 {
        let assumed = self.buckets.variance(ASSUMED);
        let each = self.bounds.iter().zip(&self.joined);
        let each = each.map(|((_, rates), with)| with + rates.ln_placebo_at_most(assumed));
        each.fold(0.0, f64::max)
    }

    pub(crate) fn is_placebo_told(&self) -> bool {
        self.bounds.iter().all(|(_, rates)| rates.is_placebo_told())
    }

    fn average(&self, variances: &[Option<f64>], ln: impl Fn(&Rates, Option<f64>) -> f64) -> f64 {
        if self.bounds.is_empty() {
            return 0.0;
        }
        let each = self.bounds.iter().zip(variances).zip(&self.joined);
        let each: Vec<f64> = each
            .map(|(((_, rates), variance), with)| with + ln(rates, *variance))
            .collect();
        ln_mean_exp(&each)
    }

    /// Where the evidence of harm is largest, among the bounds that any request exceeds where there are
    /// such: of the others no ratio is known.
    pub(crate) fn worst(&self, variances: &[Option<f64>]) -> Option<usize> {
        let ln = |at: usize| {
            let rates = &self.bounds[at].1;
            (is_exceeded(rates), rates.ln_fail(variances[at]))
        };
        (0..self.bounds.len()).max_by(|a, b| by_both(ln(*a), ln(*b)))
    }

    /// Where the evidence against harm is smallest, among the same.
    pub(crate) fn slowest_pass(&self, variances: &[Option<f64>]) -> Option<usize> {
        let ln = |at: usize| {
            let rates = &self.bounds[at].1;
            (!is_exceeded(rates), rates.ln_pass(variances[at]))
        };
        (0..self.bounds.len()).min_by(|a, b| by_both(ln(*a), ln(*b)))
    }
}

fn is_exceeded(rates: &Rates) -> bool {
    let (canary, stable) = rates.observed_parts();
    canary.failed + stable.failed > 0.0
}

fn by_both(a: (bool, f64), b: (bool, f64)) -> Ordering {
    a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
}

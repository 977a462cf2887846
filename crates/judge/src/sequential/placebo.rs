//! Stable against itself: two halves of it, of which one is judged as if it were the canary.
//!
//! The halves are those that differ most, whichever they are: the instances with the higher rates
//! so far against the others. They are chosen before an interval's errors are known, so that where
//! all instances are alike the evidence is no larger than that of any other choice (an interval's
//! factor has a mean of at most 1 given the past, and so has the product). Halves that always differ
//! look like clusters of errors; a t-test over the intervals, which needs no variance, tells them
//! from those.

use crate::sequential::clustering::Clustering;
use crate::sequential::harm::{Harm, Limits};
use crate::sequential::numbers::ln_mean_exp;
use crate::sequential::part::Part;
use crate::sequential::series::Series;

/// In the first interval nothing is known of the instances, and one alone is no evidence.
const FEWEST: u32 = 3;
/// Its own estimate of the clusters is one of several that are right for as many data.
const TRUSTED: f64 = 0.25;
/// Where all instances are alike, the logarithm of the evidence falls below 0, and with so many
/// errors far enough.
const LEANING: f64 = 0.1;
const AWAY: f64 = 0.9;
const ENOUGH: f64 = 20.0;

#[derive(Clone, Debug)]
pub(crate) struct Placebo {
    limits: Limits,
    /// What each instance showed so far, by its place in the list.
    past: Vec<Part>,
    /// How clustered the errors are, where each instance may have a rate of its own.
    clustering: Clustering,
    intervals: u32,
    harm: Harm,
    excess: Series,
}

impl Placebo {
    pub(crate) fn new(limits: Limits) -> Placebo {
        Placebo {
            limits,
            past: Vec::new(),
            clustering: Clustering::default(),
            intervals: 0,
            harm: Harm::new(limits),
            excess: Series::default(),
        }
    }

    /// One interval of stable's instances.
    pub(crate) fn add(&mut self, instances: &[Part]) {
        if self.past.len() != instances.len() {
            // Which one is which is not known any more.
            self.past = vec![Part::default(); instances.len()];
        }
        let (higher, lower) = self.halves(instances);
        if higher.exposure > 0.0 && lower.exposure > 0.0 {
            self.intervals += 1;
            self.harm.add(higher, lower, 1.0);
            let Limits {
                tolerance, at_most, ..
            } = self.limits;
            let tolerated = (tolerance * lower.rate()).max(at_most.unwrap_or(0.0));
            self.excess.add(higher.rate() - tolerated, 1);
        }
        self.add_clusters(instances);
        for (past, part) in self.past.iter_mut().zip(instances) {
            *past = Part::sum([&*past, part]);
        }
    }

    fn add_clusters(&mut self, instances: &[Part]) {
        let all = Part::sum(&self.past);
        if all.failed == 0.0 {
            return;
        }
        // An error at the common rate more, so that none is expected to have no errors at all.
        let ones = 1.0 / all.rate();
        let expected = instances.iter().zip(&self.past).map(|(part, past)| {
            let rate = (past.failed + 1.0) / (past.exposure + ones);
            part.exposure * rate
        });
        let total: f64 = expected.clone().sum();
        self.clustering
            .add_expected(instances, expected.map(|expected| expected / total));
    }

    /// The instances with the higher rates so far together, and the others. There are as many of
    /// them as makes the difference most certain.
    fn halves(&self, instances: &[Part]) -> (Part, Part) {
        let mut order: Vec<usize> = (0..instances.len()).collect();
        let rate = |at: usize| self.past[at].rate();
        order.sort_by(|a, b| rate(*b).total_cmp(&rate(*a)));
        let all = Part::sum(&self.past);
        let mut above = Part::default();
        let mut cut = (0.0, order.len() / 2);
        for (nth, at) in order.iter().enumerate() {
            above = Part::sum([&above, &self.past[*at]]);
            let share = above.exposure / all.exposure;
            let difference = above.failed - all.failed * share;
            let certain = difference / (share * (1.0 - share)).sqrt();
            if certain.is_finite() && certain > cut.0 {
                cut = (certain, nth + 1);
            }
        }
        let (higher, lower) = order.split_at(cut.1);
        let sum = |places: &[usize]| Part::sum(places.iter().map(|at| &instances[*at]));
        (sum(higher), sum(lower))
    }

    /// Whether it could have told by now that the halves differ.
    pub(crate) fn can_tell(&self) -> bool {
        self.intervals >= FEWEST
    }

    /// Whether it points to a difference, or not away from one although there are errors enough.
    pub(crate) fn leans(&self, assumed: f64) -> bool {
        let errors = self.past.iter().map(|past| past.failed).sum::<f64>();
        self.ln_e(assumed) > LEANING - AWAY * (errors / ENOUGH).min(1.0)
    }

    /// Evidence that one half does the other one harm. At a bound of a histogram that few requests
    /// exceed, `assumed` is what the other ones show of the variance.
    pub(crate) fn ln_e(&self, assumed: f64) -> f64 {
        let harm = self.harm.ln_e_divided(self.variance(assumed));
        ln_mean_exp(&[harm, self.excess.ln_e().0])
    }

    /// No less than that, and cheap.
    pub(crate) fn ln_e_at_most(&self, assumed: f64) -> f64 {
        let harm = self.harm.ratio.ln_e_divided_at_most(self.variance(assumed));
        harm.max(self.excess.ln_e().0)
    }

    fn variance(&self, assumed: f64) -> f64 {
        self.clustering.times(TRUSTED).variance(assumed)
    }
}

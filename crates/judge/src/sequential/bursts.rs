//! Intervals in which the canary had far more errors than it usually has.
//!
//! A burst that hits one instance in one interval hits the canary first in one rollout of three where
//! stable has two instances, and no estimate from stable can know of it then. So one interval, or two,
//! are never the evidence: errors beyond what is usual, and beyond so many standard deviations of it,
//! do not count as harm. Fewer errors of the canary are less evidence, whatever the choice of them
//! rests on, so that no bound on a false fail depends on it. A canary that stays bad makes its own
//! rate the usual one.
//!
//! Only the highest intervals are looked at, and what is usual is a mean over all of them: their order
//! does not matter.

use std::sync::Arc;

use crate::sequential::mixture::Weights;
use crate::sequential::part::Part;

/// So many intervals may be cut.
const MAX_CUT_INTERVALS: usize = 8;
/// How often what is usual is computed anew, from what counted before.
const ROUNDS: usize = 8;

#[derive(Clone, Debug, Default)]
pub(crate) struct Bursts {
    canary: Part,
    /// The highest first, and one more, which counts: what is as high as that one counts, too.
    highest: Vec<High>,
}

#[derive(Clone, Debug)]
struct High {
    /// Standard deviations above stable's rate of the interval, of a sort.
    height: f64,
    canary: Part,
    stable: f64,
    weights: Arc<Weights>,
}

impl Bursts {
    /// One interval: the canary's errors, stable's rate, and what one error of the canary weighs.
    pub(crate) fn add(&mut self, canary: Part, stable: f64, weights: Option<&Arc<Weights>>) {
        self.canary = Part::sum([&self.canary, &canary]);
        let Some(weights) = weights.filter(|_| canary.failed > 1.0) else {
            return;
        };
        let new = High::of(canary, stable, weights);
        let key = |high: &High| [high.height, high.canary.failed, high.canary.exposure];
        let at = self.highest.partition_point(|high| key(high) >= key(&new));
        if at > MAX_CUT_INTERVALS {
            return;
        }
        self.highest.truncate(MAX_CUT_INTERVALS);
        self.highest.insert(at, new);
    }

    /// The errors that do not count, each interval's with what one of them weighs.
    ///
    /// From nothing on, what counts only grows from round to round, and it grows with any interval's
    /// errors: so more of them are never less evidence.
    pub(crate) fn beyond(&self, deviations: f64) -> Vec<(f64, &Weights)> {
        let (cut, last) = self
            .highest
            .split_at(self.highest.len().min(MAX_CUT_INTERVALS));
        let floor = last.first().map_or(f64::NEG_INFINITY, |high| high.height);
        let rest = self.canary.failed - cut.iter().map(|high| high.canary.failed).sum::<f64>();
        let mut counted = vec![0.0; cut.len()];
        for _ in 0..ROUNDS {
            let before = counted.clone();
            let all = rest + before.iter().sum::<f64>();
            for (at, high) in cut.iter().enumerate() {
                // Nor are two intervals the evidence: one of them would make the other usual.
                let others = before.iter().enumerate().filter(|(nth, _)| *nth != at);
                let highest = others.fold(0.0, |most: f64, (_, errors)| most.max(*errors));
                let exposure = self.canary.exposure - high.canary.exposure;
                let others = if exposure > 0.0 {
                    (all - before[at] - highest).max(0.0) / exposure
                } else {
                    0.0
                };
                let usual = others.max(high.stable) * high.canary.exposure;
                let most = 1.0 + usual + deviations * usual.sqrt();
                counted[at] = high.canary.failed.min(most.max(high.errors_at(floor)));
            }
        }
        let all = counted.into_iter().zip(cut);
        all.map(|(counted, high)| (high.canary.failed - counted, &*high.weights))
            .filter(|(beyond, _)| *beyond > 0.0)
            .collect()
    }
}

impl High {
    fn of(canary: Part, stable: f64, weights: &Arc<Weights>) -> High {
        let usual = stable * canary.exposure;
        High {
            height: (canary.failed - usual) / (usual + 1.0).sqrt(),
            canary,
            stable,
            weights: Arc::clone(weights),
        }
    }

    /// How many errors it would have, were it so high.
    fn errors_at(&self, height: f64) -> f64 {
        let usual = self.stable * self.canary.exposure;
        usual + height * (usual + 1.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: Weights = [[1.0; 24]; 7];

    /// Of 100 requests each in the canary's intervals, with so many errors.
    fn beyond(errors: &[f64], stable: f64) -> f64 {
        let mut bursts = Bursts::default();
        let weights = Arc::new(WEIGHTS);
        for failed in errors {
            let canary = Part {
                failed: *failed,
                exposure: 100.0,
            };
            bursts.add(canary, stable, Some(&weights));
        }
        bursts.beyond(3.0).iter().map(|(beyond, _)| beyond).sum()
    }

    #[test]
    fn one_interval_is_a_burst_and_several_are_usual() {
        let near = |got: f64, wanted: f64| assert!((got - wanted).abs() < 0.7, "{got}");
        near(beyond(&[10.0], 0.0), 9.0);
        near(beyond(&[10.0, 0.0, 0.0, 0.0, 0.0], 0.0), 9.0);
        near(beyond(&[10.0], 0.01), 5.0);
        near(beyond(&[10.0, 12.0], 0.01), 12.0);
        near(beyond(&[10.0, 12.0, 11.0], 0.01), 0.0);
        near(beyond(&[0.0, 9.0, 0.0, 11.0, 8.0, 10.0, 9.0], 0.0), 0.0);
        near(beyond(&[3.0; 20], 0.01), 0.0);
    }

    #[test]
    fn the_order_of_the_intervals_does_not_matter() {
        let mut errors: Vec<f64> = (0..20).map(|n| f64::from(n * 7 % 11)).collect();
        errors[4] = 40.0;
        let one = beyond(&errors, 0.01);
        errors.reverse();
        assert!((one - beyond(&errors, 0.01)).abs() < 1e-9);
    }
}

//! The ratio of two error rates: an e-process with one stratum per interval.
//!
//! Of the `t = x + y` errors of an interval the canary has `x`, and `s` is its share of the
//! requests. With `r` the ratio of the error rates, `x` given `t` is binomial with the chance
//! `s·r / (s·r + 1 − s)`, whatever the rate itself does in time (Lindon & Malek, "Anytime-valid
//! inference for multinomial count data", NeurIPS 2022). The likelihood ratio of `r` against `r0`
//! therefore has the factor `A^x · B^y` per interval:
//!
//! `A = r/r0 · (s·r0 + 1 − s) / (s·r + 1 − s)` and `B = (s·r0 + 1 − s) / (s·r + 1 − s)`
//!
//! It needs neither Poisson counts nor rare errors: for independent requests with chances that sum
//! to `a` and `b` on the two sides, `E[A^x B^y] = Π(1 + p(A−1)) · Π(1 + p(B−1)) ≤
//! exp(a(A−1) + b(B−1))`, and the exponent is 0 at `r0` and negative on the side of the null. So
//! the process is a supermartingale at every rate, and by Ville's inequality it ever exceeds `1/α`
//! with a chance of at most `α`.
//!
//! **Errors in clusters.** One client with a broken request makes many errors. Where the variance
//! of the counts is `φ = 1/v` times their mean, the factor `A > 1` counts for `Θ(A)` and not for
//! `ln A`, and `B < 1` for `v·ln B`:
//!
//! `Θ(A) = ln[ (1 − v·exp(−(A−1)(1−v))) / (1−v) ]`
//!
//! For negative binomial counts `E[exp(x·Θ(A))] = exp(v·a·(A−1))` exactly, and
//! `E[B^(v·y)] ≤ exp(v·b·(B−1))` (the chance of clusters of one size is the worst for `B < 1`), so
//! that the exponents cancel again and the process is a supermartingale for every variance up to
//! `φ` times the mean. Dividing all evidence by `φ` is not one: it has no finite mean for large `A`.
//!
//! A second process needs no `φ`: whatever the sizes of the clusters, at least one of them hit a
//! canary with errors, and at most `y` hit stable; so `A^min(x,1) · B^y` is valid, and as strong as
//! the first where errors are rare.

use std::sync::Arc;

use crate::sequential::numbers::ln_sum_exp;

pub(crate) const POINTS: usize = 24;

/// The weight of the process that counts an interval's errors once: it needs to know the least.
const ONCE: f64 = 0.15;

/// `1 − v` of the sums of `Θ` that are kept, in units of [`UNIT`]: so one exponential gives all.
/// Between them `Θ` is interpolated over `−ln(1−v)`, in which it is concave: never too large.
pub(crate) const LEVELS: [i32; 7] = [1, 5, 15, 30, 40, 47, 49];
const UNIT: f64 = 0.02;

/// What one error of the worse side weighs at each level and point of the grid.
pub(crate) type Weights = [[f64; POINTS]; LEVELS.len()];

/// `v` of a level.
fn of_level(level: i32) -> f64 {
    1.0 - UNIT * f64::from(level)
}

/// Evidence that the ratio is on one side of `r0`, mixed over the ratios of a grid.
#[derive(Clone, Debug)]
pub(crate) struct Mixture {
    null: f64,
    /// Whether the ratios of the grid are above the null, so that the canary is the worse side.
    is_above: bool,
    grid: [Point; POINTS],
    plain: [f64; POINTS],
    /// What the sums would be, had the canary as many errors as stable's rate makes on average.
    even: [f64; POINTS],
    deflated: Option<Box<Deflated>>,
    factors: Box<Factors>,
}

/// What an error counts for at each point of the grid. It depends on the share alone: while that
/// stays the same, no logarithm is taken.
#[derive(Clone, Debug)]
struct Factors {
    share: f64,
    /// `ln A` and `ln B`.
    canary: [f64; POINTS],
    stable: [f64; POINTS],
    /// `Θ` of the worse side, once it was needed.
    rising: Option<Arc<Weights>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Point {
    ratio: f64,
    /// `ln(ratio / r0)`.
    step: f64,
    ln_weight: f64,
}

#[derive(Clone, Debug)]
struct Deflated {
    /// `Θ` times the errors of the side that is the worse one at the points of the grid.
    rising: Weights,
    /// The logarithm of the factor times the errors of the other side.
    falling: [f64; POINTS],
    once: [f64; POINTS],
}

impl Mixture {
    /// Evidence against `r ≤ null`: a grid up to 32 times the null, with most of the weight within
    /// the first factor of `spread`.
    pub(crate) fn above(null: f64, spread: f64) -> Mixture {
        let points = std::array::from_fn(|n| {
            let step = (n + 1) as f64 * 32_f64.ln() / POINTS as f64;
            (step, -square(step) / (2.0 * square(spread.ln())))
        });
        Mixture::new(null, true, &points)
    }

    /// Evidence against `r ≥ null`: a grid from an eighth to just below the null, with most of the
    /// weight around 1.
    pub(crate) fn below(null: f64) -> Mixture {
        let low = -8_f64.ln();
        let points = std::array::from_fn(|n| {
            let ln_ratio = low + n as f64 * (null.ln() - low) / POINTS as f64;
            let weight = -square(ln_ratio) / (2.0 * square(2_f64.ln()));
            (ln_ratio - null.ln(), weight)
        });
        Mixture::new(null, false, &points)
    }

    fn new(null: f64, is_above: bool, points: &[(f64, f64); POINTS]) -> Mixture {
        let total = ln_sum_exp(points.iter().map(|(_, weight)| *weight));
        Mixture {
            null,
            is_above,
            grid: points.map(|(step, weight)| Point {
                ratio: null * step.exp(),
                step,
                ln_weight: weight - total,
            }),
            plain: [0.0; POINTS],
            even: [0.0; POINTS],
            deflated: None,
            factors: Box::new(Factors {
                share: f64::NAN,
                canary: [0.0; POINTS],
                stable: [0.0; POINTS],
                rising: None,
            }),
        }
    }

    /// One interval, or several alike: the errors of both sides in all of them, and the canary's
    /// share of the requests.
    pub(crate) fn add(&mut self, canary: f64, stable: f64, share: f64, intervals: f64) {
        if canary + stable == 0.0 {
            return;
        }
        self.weigh(share);
        let factors = &mut *self.factors;
        let odds = if share < 1.0 {
            share / (1.0 - share)
        } else {
            0.0
        };
        for n in 0..POINTS {
            let (ln_a, ln_b) = (factors.canary[n], factors.stable[n]);
            self.plain[n] += canary * ln_a + stable * ln_b;
            self.even[n] += stable * (odds * ln_a + ln_b);
        }
        let Some(deflated) = &mut self.deflated else {
            return;
        };
        let ((worse, ln_worse), (better, ln_better)) = if self.is_above {
            ((canary, &factors.canary), (stable, &factors.stable))
        } else {
            ((stable, &factors.stable), (canary, &factors.canary))
        };
        let once = worse.min(intervals);
        for n in 0..POINTS {
            let falling = better * ln_better[n];
            deflated.falling[n] += falling;
            deflated.once[n] += once * ln_worse[n] + falling;
        }
        if worse > 0.0 {
            let rising = factors
                .rising
                .get_or_insert_with(|| Arc::new(rising(ln_worse)));
            for (sums, weights) in deflated.rising.iter_mut().zip(rising.iter()) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += worse * *weight;
                }
            }
        }
    }

    fn weigh(&mut self, share: f64) {
        let factors = &mut *self.factors;
        if factors.share.to_bits() == share.to_bits() {
            return;
        }
        let base = (share * self.null + 1.0 - share).ln();
        for (n, point) in self.grid.iter().enumerate() {
            factors.stable[n] = base - (share * point.ratio + 1.0 - share).ln();
            factors.canary[n] = point.step + factors.stable[n];
        }
        factors.share = share;
        factors.rising = None;
    }

    /// From here on the sums for errors in clusters are kept, too. What came before counts for
    /// nothing in them.
    pub(crate) fn deflate(&mut self) {
        if self.deflated.is_none() {
            self.deflated = Some(Box::new(Deflated {
                rising: [[0.0; POINTS]; LEVELS.len()],
                falling: [0.0; POINTS],
                once: [0.0; POINTS],
            }));
        }
    }

    /// What an error of the worse side weighed in the last interval, where errors in clusters are
    /// reckoned with and it had one.
    pub(crate) fn weights(&self) -> Option<&Arc<Weights>> {
        self.factors.rising.as_ref()
    }

    /// The logarithm of the e-value. With `variance`, the counts vary so many times more than
    /// chance alone, and errors of the worse side that are `beyond` what counts are left out.
    pub(crate) fn ln_e(&self, variance: Option<f64>, beyond: &[(f64, &Weights)]) -> f64 {
        self.ln_e_by(exact, variance, beyond)
    }

    /// No less than the evidence, and cheap: most intervals are far from any limit.
    pub(crate) fn ln_e_at_most(&self, variance: Option<f64>) -> f64 {
        self.ln_e_by(at_most, variance, &[])
    }

    fn ln_e_by(
        &self,
        total: fn(&[f64; POINTS]) -> f64,
        variance: Option<f64>,
        beyond: &[(f64, &Weights)],
    ) -> f64 {
        let (Some(variance), Some(deflated)) = (variance, &self.deflated) else {
            return self.mix(total, |n| self.plain[n]);
        };
        let last = LEVELS.len() - 1;
        let v = (1.0 / variance).min(of_level(LEVELS[0]));
        let below = LEVELS.iter().position(|level| of_level(*level) <= v);
        let below = below.unwrap_or(last);
        let rising = |level: usize| {
            let mut sums = deflated.rising[level];
            for (errors, weights) in beyond {
                for (sum, weight) in sums.iter_mut().zip(&weights[level]) {
                    *sum -= errors * weight;
                }
            }
            sums
        };
        let (low, at_low) = (rising(below), of_level(LEVELS[below]));
        let scaled = match below.checked_sub(1) {
            // By Jensen's inequality a power below 1 is valid, too.
            _ if v < at_low => self.mix(total, |n| low[n] * v / at_low + deflated.falling[n] * v),
            Some(above) if v > at_low => {
                let high = rising(above);
                let [at, from, to] =
                    [v, at_low, of_level(LEVELS[above])].map(|v: f64| -(-v).ln_1p());
                let part = (at - from) / (to - from);
                self.mix(total, |n| {
                    low[n] + part * (high[n] - low[n]) + deflated.falling[n] * v
                })
            }
            _ => self.mix(total, |n| low[n] + deflated.falling[n] * v),
        };
        let once = self.mix(total, |n| deflated.once[n]);
        ln_sum_exp([ONCE.ln() + once, (1.0 - ONCE).ln() + scaled].into_iter())
    }

    /// With all evidence divided by a variance: not a valid process for it, and near enough for a
    /// look at whether stable can be trusted.
    pub(crate) fn ln_e_divided(&self, variance: f64) -> f64 {
        self.mix(exact, |n| self.plain[n] / variance.max(1.0))
    }

    /// No less than that.
    pub(crate) fn ln_e_divided_at_most(&self, variance: f64) -> f64 {
        self.mix(at_most, |n| self.plain[n] / variance.max(1.0))
    }

    /// The evidence of an average canary with stable's rate, after so many times as many errors of
    /// stable.
    pub(crate) fn ln_even(&self, times: f64, variance: f64) -> f64 {
        self.mix(exact, |n| self.even[n] * times / variance.max(1.0))
    }

    fn mix(&self, total: fn(&[f64; POINTS]) -> f64, sum: impl Fn(usize) -> f64) -> f64 {
        total(&std::array::from_fn(|n| self.grid[n].ln_weight + sum(n)))
    }
}

fn exact(terms: &[f64; POINTS]) -> f64 {
    ln_sum_exp(terms.iter().copied())
}

/// As if all terms were as large as the largest one.
fn at_most(terms: &[f64; POINTS]) -> f64 {
    terms.iter().copied().fold(f64::NEG_INFINITY, f64::max) + (POINTS as f64).ln()
}

/// `Θ` at each level, of factors with these logarithms.
fn rising(ln_worse: &[f64; POINTS]) -> Weights {
    let mut weights = [[0.0; POINTS]; LEVELS.len()];
    for (n, ln) in ln_worse.iter().enumerate() {
        let unit = (-UNIT * ln.exp_m1()).exp();
        for (weights, level) in weights.iter_mut().zip(LEVELS) {
            let within = UNIT * f64::from(level);
            weights[n] = ((1.0 - (1.0 - within) * unit.powi(level)) / within).ln();
        }
    }
    weights
}

/// `Θ(1 + excess)` for a variance of `1/v` times the mean.
pub(crate) fn damped(excess: f64, v: f64) -> f64 {
    ((1.0 - v * (-excess * (1.0 - v)).exp()) / (1.0 - v)).ln()
}

fn square(number: f64) -> f64 {
    number * number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, wanted: f64, digits: i32) {
        assert!(
            (got - wanted).abs() <= 0.6 * 10_f64.powi(-digits),
            "{got} is not {wanted}"
        );
    }

    fn of(mut mixture: Mixture, intervals: &[(f64, f64, f64)]) -> Mixture {
        for (x, y, share) in intervals {
            mixture.add(*x, *y, *share, 1.0);
        }
        mixture
    }

    #[test]
    fn the_grids_have_the_points_and_weights_of_the_reference() {
        let up = Mixture::above(1.0, 4.0).grid;
        close(up[0].ratio, 1.155_352_7, 7);
        close(up[1].ratio, 1.334_839_8, 7);
        close(up[23].ratio, 32.0, 9);
        close(up[0].ln_weight.exp(), 0.087_218_6, 7);
        close(up[23].ln_weight.exp(), 0.003_853_0, 7);
        let down = Mixture::below(2.0).grid;
        close(down[0].ratio, 0.125, 9);
        close(down[23].ratio, 1.781_797_4, 7);
        close(down[0].ln_weight.exp(), 0.000_901_2, 7);
        close(down[23].ln_weight.exp(), 0.057_326_5, 7);
    }

    #[test]
    fn evidence_of_one_interval_is_that_of_the_reference() {
        for (x, y, share, ln, digits) in [
            (6.0, 1.0, 0.5, 1.53271, 5),
            (5.0, 10.0, 0.1, 2.28490, 5),
            (30.0, 10.0, 0.5, 4.30756, 5),
            (20.0, 60.0, 0.1, 6.14524, 5),
            (0.0, 20.0, 0.5, -3.72000, 5),
            (0.0, 0.0, 0.5, 0.0, 9),
        ] {
            close(
                of(Mixture::above(1.0, 4.0), &[(x, y, share)]).ln_e(None, &[]),
                ln,
                digits,
            );
        }
        for (x, y, tolerance, ln) in [
            (0.0, 20.0, 2.0, 15.2568),
            (100.0, 100.0, 2.0, 10.3685),
            (100.0, 100.0, 1.5, 2.8338),
        ] {
            close(
                of(Mixture::below(tolerance), &[(x, y, 0.5)]).ln_e(None, &[]),
                ln,
                4,
            );
        }
    }

    #[test]
    fn evidence_interval_by_interval_is_that_of_the_reference() {
        let intervals = [(3.0, 10.0, 0.1), (0.0, 12.0, 0.1), (5.0, 9.0, 0.25)];
        for (mixture, wanted) in [
            (
                Mixture::above(1.0, 4.0),
                [0.518_500, -0.739_910, -0.481_730],
            ),
            (
                Mixture::above(1.5, 4.0),
                [-0.121_799, -1.345_895, -1.515_735],
            ),
            (Mixture::below(2.0), [-0.967_453, 0.025_377, -0.367_940]),
        ] {
            for n in 1..=3 {
                close(
                    of(mixture.clone(), &intervals[..n]).ln_e(None, &[]),
                    wanted[n - 1],
                    6,
                );
            }
        }
    }

    #[test]
    fn a_ramp_on_a_moving_background_is_no_evidence() {
        let simpson = [(1.0, 9.0, 0.1), (50.0, 50.0, 0.5)];
        close(
            of(Mixture::above(1.0, 4.0), &simpson).ln_e(None, &[]),
            -2.26016,
            5,
        );
        close(of(Mixture::below(2.0), &simpson).ln_e(None, &[]), 5.0504, 4);
    }

    /// The mean of the factor over negative binomial counts, summed: at most 1 up to the assumed
    /// variance, while a plain division of the evidence exceeds it.
    #[test]
    fn clusters_keep_the_mean_of_the_factor_below_one() {
        let mean_of = |weight: f64, mean: f64, variance: f64| -> f64 {
            let size = mean / (variance - 1.0);
            let q = 1.0 - 1.0 / variance;
            let mut chance = -size * variance.ln();
            let mut sum = 0.0;
            for n in 0..2000 {
                sum += (chance + weight * f64::from(n)).exp();
                chance += (q * (size + f64::from(n)) / f64::from(n + 1)).ln();
            }
            sum
        };
        let (share, null) = (0.1_f64, 1.0);
        let mut divided: f64 = 0.0;
        for ratio in [1.2_f64, 2.0, 5.0, 32.0] {
            let ln_b = -(share * ratio + 1.0 - share).ln();
            let ln_a = (ratio / null).ln() + ln_b;
            for variance in [1.5, 3.0, 10.0] {
                for at_most in [variance, 1.3 * variance] {
                    let v = 1.0 / at_most;
                    let factor = mean_of(damped(ln_a.exp_m1(), v), 5.0, variance)
                        * mean_of(ln_b * v, 45.0, variance);
                    assert!(factor <= 1.0 + 1e-9, "{ratio} {variance}: {factor}");
                }
                let v = 1.0 / variance;
                let factor = mean_of(ln_a * v, 5.0, variance) * mean_of(ln_b * v, 45.0, variance);
                divided = divided.max(factor);
            }
        }
        assert!(divided > 2.0, "{divided}");
    }

    #[test]
    fn the_cheap_bound_is_never_below_the_evidence() {
        let mut random = crate::random::Random::new(1);
        for mut mixture in [Mixture::above(1.0, 4.0), Mixture::below(1.5)] {
            mixture.deflate();
            for _ in 0..200 {
                let [x, y] = [1.5, 9.0].map(|mean| random.poisson(mean) as f64);
                mixture.add(x, y, 0.1, 1.0);
                for variance in [None, Some(1.0), Some(3.0), Some(1000.0)] {
                    let exact = mixture.ln_e(variance, &[]);
                    let at_most = mixture.ln_e_at_most(variance);
                    assert!(exact <= at_most, "{variance:?}: {exact}, {at_most}");
                    assert!(at_most <= exact + 3.2, "{variance:?}: {exact}, {at_most}");
                }
            }
        }
    }

    /// Interpolated weights are at most those of the formula.
    #[test]
    fn between_two_levels_the_weight_is_conservative() {
        for excess in [0.01, 0.2, 1.0, 4.0, 8.0, 31.0] {
            for pair in LEVELS.map(of_level).windows(2) {
                let [from, to] = [pair[1], pair[0]].map(|v: f64| -(-v).ln_1p());
                for part in [0.1, 0.3, 0.5, 0.7, 0.9] {
                    let v = -(-(from + part * (to - from))).exp_m1();
                    let (low, high) = (damped(excess, pair[1]), damped(excess, pair[0]));
                    let drawn = low + part * (high - low);
                    assert!(drawn <= damped(excess, v) + 1e-12, "{excess} at {v}");
                }
            }
        }
    }
}

//! The canary's own rate against an absolute limit `p0`.
//!
//! A likelihood ratio, mixed over a grid of rates `p`: `x·ln(p/p0) + (n−x)·ln((1−p)/(1−p0))`. With
//! errors in clusters (a variance of `φ` times the mean) it is that of rates,
//! `x·Θ(p/p0) − n·(p−p0)/φ`, with the weights of the mixture of ratios.

use crate::sequential::mixture::damped;
use crate::sequential::numbers::{ln_mean_exp, ln_sum_exp};

const POINTS: usize = 24;

/// What a side has shown so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) failed: f64,
    pub(crate) total: f64,
    /// Intervals with at least one failure.
    pub(crate) failing: f64,
}

impl Shown {
    pub(crate) fn add(&mut self, failed: f64, total: f64, intervals: f64) {
        self.failed += failed;
        self.total += total;
        self.failing += failed.min(intervals);
    }
}

/// Evidence that a rate is on one side of a limit.
#[derive(Clone, Debug)]
pub(crate) struct Absolute {
    limit: f64,
    grid: Vec<Point>,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    rate: f64,
    ln_weight: f64,
    /// What a failure and a success count for where failures are independent.
    ln_failed: f64,
    ln_good: f64,
}

impl Point {
    fn new(rate: f64, ln_weight: f64, limit: f64) -> Point {
        Point {
            rate,
            ln_weight,
            ln_failed: (rate / limit).ln(),
            ln_good: ((1.0 - rate) / (1.0 - limit)).ln(),
        }
    }
}

impl Absolute {
    /// Evidence against `p ≤ limit`: odds up to 32 times those of the limit, weighted as ratios
    /// are.
    pub(crate) fn above(limit: f64) -> Absolute {
        let points = (1..=POINTS).map(|n| {
            let step = n as f64 * 32_f64.ln() / POINTS as f64;
            let odds = limit / (1.0 - limit) * step.exp();
            let spread = 4_f64.ln();
            let ln_weight = -step * step / (2.0 * spread * spread);
            Point::new(odds / (1.0 + odds), ln_weight, limit)
        });
        let mut grid: Vec<Point> = points.collect();
        let total = ln_sum_exp(grid.iter().map(|point| point.ln_weight));
        for point in &mut grid {
            point.ln_weight -= total;
        }
        Absolute { limit, grid }
    }

    /// Evidence against `p ≥ limit`: three tenths of the weight on "never", the rest on rates down
    /// to a 64th of the limit.
    pub(crate) fn below(limit: f64) -> Absolute {
        let points = (0..POINTS).map(|n| {
            let step = -64_f64.ln() * (1.0 - n as f64 / POINTS as f64);
            Point::new(limit * step.exp(), (0.7 / POINTS as f64).ln(), limit)
        });
        let never = Point::new(0.0, 0.3_f64.ln(), limit);
        let grid = std::iter::once(never).chain(points).collect();
        Absolute { limit, grid }
    }

    pub(crate) fn ln_e(&self, shown: Shown, variance: Option<f64>) -> f64 {
        let Shown {
            failed,
            total,
            failing,
        } = shown;
        let mix = |ln: &dyn Fn(&Point) -> f64| {
            ln_sum_exp(self.grid.iter().map(|point| point.ln_weight + ln(point)))
        };
        let limit = self.limit;
        let Some(variance) = variance else {
            return mix(&|point| times(failed, point.ln_failed) + (total - failed) * point.ln_good);
        };
        let v = 1.0 / variance.max(1.0);
        let deflated = mix(&|point| {
            let excess = point.rate / limit - 1.0;
            let weight = if excess > 0.0 && v < 1.0 {
                damped(excess, v)
            } else {
                v * point.ln_failed
            };
            times(failed, weight) - total * v * (point.rate - limit)
        });
        if self.grid[0].rate < limit {
            return deflated;
        }
        let once = mix(&|point| times(failing, point.ln_failed) - total * (point.rate - limit));
        ln_mean_exp(&[deflated, once])
    }
}

/// `count · ln`, and 0 for no events even where one is impossible.
fn times(count: f64, ln: f64) -> f64 {
    if count == 0.0 { 0.0 } else { count * ln }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ln_below(failed: f64, total: f64, limit: f64) -> f64 {
        let shown = Shown {
            failed,
            total,
            failing: failed.min(1.0),
        };
        Absolute::below(limit).ln_e(shown, None)
    }

    #[test]
    fn evidence_is_that_of_the_reference() {
        for (failed, total, limit, ln) in [
            (0.0, 300.0, 0.01, 2.7092),
            (0.0, 500.0, 0.01, 4.6065),
            (2.0, 1000.0, 0.01, 3.6339),
            (5.0, 2000.0, 0.01, 6.4728),
        ] {
            let got = ln_below(failed, total, limit);
            assert!((got - ln).abs() < 0.000_051, "{got} is not {ln}");
        }
    }

    #[test]
    fn requests_until_a_pass_are_those_of_the_reference() {
        for (limit, needed) in [
            (0.05, [65, 133, 182, 300]),
            (0.01, [331, 677, 920, 1517]),
            (0.001, [3_321, 6_790, 9_230, 15_207]),
        ] {
            for (failed, needed) in [0.0, 1.0, 2.0, 5.0].into_iter().zip(needed) {
                let ln = |total: i32| ln_below(failed, f64::from(total), limit);
                assert!(ln(needed) >= 20_f64.ln(), "{failed} of {needed} at {limit}");
                assert!(
                    ln(needed - 1) < 20_f64.ln(),
                    "{failed} of {needed} at {limit}"
                );
            }
        }
    }
}

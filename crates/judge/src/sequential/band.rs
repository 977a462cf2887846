//! The ratio of the rates with its confidence sequence: a band that holds over all intervals at
//! once, so that it may be drawn and looked at each time.
//!
//! `{ r : G(r) > ln Σ w·exp(G) − ln(1/α) }` with `G(r) = X·ln r − Σ t·ln(s·r + 1 − s)`, mixed over
//! 49 ratios from 1/32 to 32. `G` is concave in `ln r`, so each end is found by halving.

use crate::sequential::numbers::ln_sum_exp;

/// A ratio of rates, canary over stable, with the ends of its band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    pub low: f64,
    /// The likeliest ratio; `None` before the first error, infinite where stable had none.
    pub estimate: Option<f64>,
    /// May be infinite.
    pub high: f64,
}

/// Shares of requests that are told apart. Beyond it the two nearest ones become one: `G` is
/// nearly straight between them.
const MAX_SHARES: usize = 48;
/// `ln r` is looked for up to here.
const FARTHEST: f64 = 60.0;

/// What the band needs of all intervals: the canary's errors, and all errors by the canary's share
/// of the requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strata {
    canary: f64,
    /// Shares in rising order, with the errors of both sides.
    errors: Vec<(f64, f64)>,
}

impl Strata {
    pub(crate) fn add(&mut self, canary: f64, stable: f64, share: f64) {
        let errors = canary + stable;
        if errors == 0.0 {
            return;
        }
        self.canary += canary;
        match self.errors.binary_search_by(|(at, _)| at.total_cmp(&share)) {
            Ok(at) => self.errors[at].1 += errors,
            Err(at) => self.errors.insert(at, (share, errors)),
        }
        if self.errors.len() > MAX_SHARES {
            self.merge();
        }
    }

    fn merge(&mut self) {
        let gap = |at: &usize| self.errors[at + 1].0 - self.errors[*at].0;
        let nearest = (0..self.errors.len() - 1).min_by(|a, b| gap(a).total_cmp(&gap(b)));
        if let Some(at) = nearest {
            let (share, errors) = self.errors.remove(at + 1);
            let (own, before) = self.errors[at];
            let all = before + errors;
            self.errors[at] = ((own * before + share * errors) / all, all);
        }
    }

    /// All errors, of both sides.
    pub(crate) fn errors(&self) -> f64 {
        self.errors.iter().map(|(_, errors)| errors).sum()
    }

    fn likelihood(&self, ln_ratio: f64) -> f64 {
        // `ln(s·r + 1 − s)`, and no ratio that is looked for overflows.
        let ratio = ln_ratio.exp();
        let terms = self.errors.iter();
        let terms = terms.map(|(share, errors)| errors * (share * ratio + (1.0 - share)).ln());
        self.canary * ln_ratio - terms.sum::<f64>()
    }

    /// Where the likelihood is largest; infinite where only one side had errors.
    pub(crate) fn ln_estimate(&self) -> Option<f64> {
        let all = self.errors();
        if all == 0.0 {
            return None;
        }
        let expected = |ln_ratio: f64| {
            let ratio = ln_ratio.exp();
            let terms = self.errors.iter().map(|(share, errors)| {
                let canary = share * ratio;
                errors * canary / (canary + 1.0 - share)
            });
            terms.sum::<f64>()
        };
        if self.canary == 0.0 {
            return Some(f64::NEG_INFINITY);
        }
        if self.canary >= all {
            return Some(f64::INFINITY);
        }
        Some(halve(-FARTHEST, FARTHEST, |at| expected(at) < self.canary))
    }

    /// Outside of it the true ratio ever is with a chance of at most `chance`, where the counts
    /// vary `variance` times as much as by chance.
    pub(crate) fn band(&self, chance: f64, variance: f64) -> Band {
        let Some(ln_estimate) = self.ln_estimate() else {
            return Band {
                low: 0.0,
                estimate: None,
                high: f64::INFINITY,
            };
        };
        let spread = 2.0 * 4_f64.ln().powi(2);
        let grid = (-24..=24).map(|n| f64::from(n) * 32_f64.ln() / 24.0);
        let weights = ln_sum_exp(grid.clone().map(|at| -at * at / spread));
        let terms: Vec<f64> = grid
            .map(|at| -at * at / spread - weights + self.likelihood(at) / variance)
            .collect();
        let bound = ln_sum_exp(terms.iter().copied()) + chance.ln();
        let is_in = |at: f64| self.likelihood(at) / variance > bound;
        let top = ln_estimate.clamp(-FARTHEST, FARTHEST);
        let low = if is_in(-FARTHEST) {
            0.0
        } else {
            halve(-FARTHEST, top, |at| !is_in(at)).exp()
        };
        let high = if is_in(FARTHEST) {
            f64::INFINITY
        } else {
            halve(top, FARTHEST, is_in).exp()
        };
        Band {
            low,
            estimate: Some(ln_estimate.exp()),
            high,
        }
    }
}

/// The end of the lower part of a range, in which `is_below` holds.
fn halve(mut low: f64, mut high: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..45 {
        let middle = f64::midpoint(low, high);
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_those_of_the_reference() {
        let ramp: &[_] = &[(3.0, 10.0, 0.1), (0.0, 12.0, 0.1), (5.0, 9.0, 0.25)];
        for (intervals, chance, low, high) in [
            (&[(6.0, 1.0, 0.5)][..], 0.05, 0.4996, 1090.0),
            (&[(5.0, 10.0, 0.1)], 0.05, 0.6824, 21.65),
            (&[(30.0, 10.0, 0.5)], 0.01, 0.9063, 13.26),
            (&[(20.0, 60.0, 0.1)], 0.01, 1.0708, 7.2385),
            (&[(0.0, 20.0, 0.5)], 0.05, 0.0, 0.4162),
            (&[(0.0, 0.0, 0.5)], 0.05, 0.0, f64::INFINITY),
            (ramp, 0.01, 0.2818, 5.1339),
        ] {
            let mut strata = Strata::default();
            for (x, y, share) in intervals {
                strata.add(*x, *y, *share);
            }
            let band = strata.band(chance, 1.0);
            assert!((band.low - low).abs() <= 0.00006, "{band:?}, not {low}");
            assert!(
                (band.high.is_infinite() && high.is_infinite())
                    || (band.high / high - 1.0).abs() < 5e-4,
                "{band:?}"
            );
        }
    }

    #[test]
    fn many_different_shares_change_the_band_by_less_than_is_printed() {
        let (mut all, mut merged) = (Strata::default(), Strata::default());
        for n in 0..400 {
            let share = 0.1 + 0.0001 * f64::from(n % 97);
            let (x, y) = (f64::from(n % 4), f64::from(n % 7));
            merged.add(x, y, share);
            all.canary += x;
            all.errors.push((share, x + y));
        }
        assert!(merged.errors.len() <= MAX_SHARES);
        let (all, merged) = (all.band(0.01, 1.0), merged.band(0.01, 1.0));
        assert!((all.low - merged.low).abs() < 1e-4 && (all.high - merged.high).abs() < 1e-4);
    }
}

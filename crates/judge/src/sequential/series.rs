//! A t-test on the means of blocks of values, that may be looked at after each one.

/// Means over blocks of so many values, with their mean and spread.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Series {
    open: f64,
    in_open: u32,
    blocks: f64,
    mean: f64,
    squares: f64,
}

impl Series {
    pub(crate) fn add(&mut self, difference: f64, length: u32) {
        self.open += difference;
        self.in_open += 1;
        if self.in_open < length {
            return;
        }
        // Welford's recurrence.
        let block = self.open / f64::from(length);
        self.blocks += 1.0;
        let from_mean = block - self.mean;
        self.mean += from_mean / self.blocks;
        self.squares += from_mean * (block - self.mean);
        (self.open, self.in_open) = (0.0, 0);
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counted in ones"
    )]
    pub(crate) fn count(&self) -> usize {
        self.blocks as usize
    }

    /// Logarithms of the e-values for a mean above 0 and below it.
    pub(crate) fn ln_e(&self) -> (f64, f64) {
        let against = ln_t(self.blocks, 0.0, 1.0);
        let ln = ln_t(self.blocks, self.mean, self.squares);
        if self.mean > 0.0 {
            (ln, against)
        } else {
            (against, ln)
        }
    }
}

/// A t-test's e-value of `n` values with this mean and sum of squares around it: with
/// `t² = n(n−1)·mean²/squares` and `g = 1`,
///
/// `ln e = −½·ln(1+ng) + n/2·[ln(1 + t²/(n−1)) − ln(1 + t²/((n−1)(1+ng)))]`
///
/// It is the likelihood ratio of a normal effect against none under the right Haar prior of the
/// variance, thus valid at any time (Pérez-Ortiz, Lardy, de Heide & Grünwald, "E-statistics, group
/// invariance and anytime-valid testing", 2022). It grows with `t` where `t > 0`, and a shift of
/// the data shifts `t`: counted for one sign alone it holds for all means of the other sign.
fn ln_t(n: f64, mean: f64, squares: f64) -> f64 {
    let effect = n * mean * mean;
    if squares + effect <= 0.0 {
        return 0.0;
    }
    let grown = 1.0 + n;
    n / 2.0 * ((squares + effect).ln() - (squares + effect / grown).ln()) - grown.ln() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_t_test_is_that_of_the_reference() {
        for (n, t, wanted) in [
            (5.0, 3.0, 1.25462),
            (10.0, 3.0, 1.83173),
            (10.0, 5.0, 4.32092),
            (30.0, 5.0, 7.19689),
            (100.0, 4.0, 5.10311),
        ] {
            let mean = t / f64::sqrt(n);
            let got = ln_t(n, mean, n - 1.0);
            assert!((got - wanted).abs() < 0.000_006, "{got} is not {wanted}");
        }
    }

    #[test]
    fn values_without_any_spread_are_no_division_by_zero() {
        assert!((ln_t(8.0, 3.0, 0.0) - 3.5 * 9_f64.ln()).abs() < 1e-9);
        assert!(ln_t(8.0, 0.0, 0.0).abs() < 1e-12);
    }
}

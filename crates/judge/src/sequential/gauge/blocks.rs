//! Means over blocks of scrapes, and a t-test on them that may be looked at after each one.

/// Fewer blocks decide nothing.
pub(crate) const FEWEST_BLOCKS: usize = 6;

/// How long blocks are. All lengths are kept at once, since the one to use is known only later.
const LENGTHS: [u32; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];

#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks([Series; LENGTHS.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct Series {
    open: f64,
    in_open: u32,
    blocks: f64,
    mean: f64,
    squares: f64,
}

/// Logarithms of e-values for a mean above 0 and below it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evidence {
    pub(crate) blocks: usize,
    pub(crate) above: f64,
    pub(crate) below: f64,
}

impl Blocks {
    pub(crate) fn add(&mut self, difference: f64) {
        for (series, length) in self.0.iter_mut().zip(LENGTHS) {
            series.add(difference, length);
        }
    }

    /// From blocks of at least so many scrapes.
    pub(crate) fn evidence(&self, length: f64) -> Evidence {
        let at = LENGTHS.iter().position(|own| f64::from(*own) >= length);
        let series = at.map(|at| self.0[at]).unwrap_or_default();
        let mut evidence = Evidence {
            blocks: series.count(),
            above: 0.0,
            below: 0.0,
        };
        if evidence.blocks >= FEWEST_BLOCKS {
            let against = ln_t(series.blocks, 0.0, 1.0);
            let ln = ln_t(series.blocks, series.mean, series.squares);
            (evidence.above, evidence.below) = if series.mean > 0.0 {
                (ln, against)
            } else {
                (against, ln)
            };
        }
        evidence
    }
}

impl Series {
    fn add(&mut self, difference: f64, length: u32) {
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
    fn count(&self) -> usize {
        self.blocks as usize
    }
}

/// A t-test's e-value of `n` values with this mean and sum of squares around it: with
/// `t² = n(n−1)·mean²/squares` and `g = 1`,
///
/// ```text
/// ln e = −½·ln(1+ng) + n/2·[ln(1 + t²/(n−1)) − ln(1 + t²/((n−1)(1+ng)))]
/// ```
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

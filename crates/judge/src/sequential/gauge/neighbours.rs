//! How much one scrape has to do with the next.

/// The correlation of neighbours in a series, from sums.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Neighbours {
    /// All others are counted from it, for precision.
    origin: f64,
    last: f64,
    count: f64,
    sum: f64,
    squares: f64,
    products: f64,
}

/// A series that is never taken for more.
const MAX_CORRELATION: f64 = 0.99;

impl Neighbours {
    pub(crate) fn add(&mut self, value: f64) {
        if self.count == 0.0 {
            self.origin = value;
        }
        let value = value - self.origin;
        if self.count > 0.0 {
            self.products += self.last * value;
        }
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
        self.last = value;
    }

    /// An upper estimate of the correlation: the estimate of a short series is too small by about
    /// `(1 + 3ρ)/n` (Kendall 1954), and 2.5 standard deviations are added.
    pub(crate) fn upper(&self) -> f64 {
        self.estimate(2.5).unwrap_or(MAX_CORRELATION)
    }

    pub(crate) fn lower(&self) -> f64 {
        self.estimate(-1.75).unwrap_or(0.0)
    }

    fn estimate(&self, deviations: f64) -> Option<f64> {
        let n = self.count;
        if n < 3.0 {
            return None;
        }
        let mean = self.sum / n;
        let spread = self.squares - n * mean * mean;
        // The first value is the origin, thus 0.
        let common = self.products - mean * (2.0 * self.sum - self.last) + (n - 1.0) * mean * mean;
        let seen = if spread > 1e-12 * self.squares {
            common / spread
        } else {
            0.0
        };
        let seen = seen.clamp(-1.0, 1.0);
        let error = ((1.0 - seen * seen) / n).sqrt();
        Some((seen + (1.0 + 3.0 * seen) / n + deviations * error).clamp(0.0, MAX_CORRELATION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_that_changes_slowly_has_much_to_do_with_itself() {
        let of = |values: &mut dyn Iterator<Item = f64>| {
            let mut neighbours = Neighbours::default();
            values.for_each(|value| neighbours.add(value));
            neighbours.upper()
        };
        assert!(of(&mut (0..60).map(|n| 1e9 + f64::from(n / 10))) > 0.9);
        assert!(of(&mut (0..60).map(|n| 1e9 + f64::from(n * 7 % 11))) < 0.4);
        // 2.5 standard deviations of a series of 60 without memory.
        assert!(of(&mut (0..60).map(|_| 512.0)) < 0.35);
        assert!(of(&mut (0..2).map(f64::from)) > 0.98);
    }
}

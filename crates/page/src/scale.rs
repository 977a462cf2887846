//! From values to places on a drawing.

/// A range of values, and the pixels that it lies on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Values from `low` to `high` on pixels `from` to `to`; an empty range is widened.
    pub(crate) fn new(low: f64, high: f64, from: f64, to: f64) -> Scale {
        let high = if high > low { high } else { low + 1.0 };
        Scale {
            low,
            high,
            from,
            to,
        }
    }

    pub(crate) fn at(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round values within the range, four to ten of them.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
        let step = step
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let first = (self.low / step).ceil();
        let ticks = (0..10_u8).map(|nth| (first + f64::from(nth)) * step);
        ticks.take_while(|tick| *tick <= self.high).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(
            Scale::new(0.0, 950.0, 0.0, 1.0).ticks(),
            [0.0, 200.0, 400.0, 600.0, 800.0]
        );
        assert_eq!(Scale::new(0.0, 0.0, 0.0, 1.0).ticks().len(), 6);
        assert_eq!(
            Scale::new(-1.0, 1.0, 0.0, 1.0).ticks(),
            [-1.0, -0.5, 0.0, 0.5, 1.0]
        );
    }
}

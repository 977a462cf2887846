//! Whether what moves an instance of stable in one interval moves it in the next ones, too.
//!
//! Within single intervals a burst that lasts for five looks like five. So the instances are also held
//! against each other over blocks of intervals: where the errors of one interval tell nothing of those of
//! the next, they vary as much over a block, in terms of their mean, as within an interval. Where they
//! vary clearly more, a verdict must stand with that variance as well.
//!
//! It depends on the order of the intervals, and therefore no evidence depends on it.

use crate::sequential::clustering::Clustering;
use crate::sequential::part::Part;

/// Intervals in a block.
pub const BLOCK: usize = 5;
/// Standard errors that the variance over blocks may be above that within intervals.
const BY_CHANCE: f64 = 2.0;

#[derive(Clone, Debug, Default)]
pub(crate) struct Serial {
    intervals: usize,
    /// What each instance had in the block so far, and the part of all that was expected of it.
    open: Vec<Part>,
    expected: Vec<f64>,
    blocks: Clustering,
}

impl Serial {
    /// One interval of stable's instances.
    pub(crate) fn add(&mut self, instances: &[Part]) {
        if self.open.len() != instances.len() {
            self.begin(instances.len());
        }
        let all = Part::sum(instances);
        for (at, part) in instances.iter().enumerate() {
            self.open[at] = Part::sum([&self.open[at], part]);
            self.expected[at] += all.rate() * part.exposure;
        }
        self.intervals += 1;
        if self.intervals == BLOCK {
            let total: f64 = self.expected.iter().sum();
            let shares = self.expected.iter().map(|expected| expected / total);
            self.blocks.add_expected(&self.open, shares);
            self.begin(instances.len());
        }
    }

    fn begin(&mut self, instances: usize) {
        self.intervals = 0;
        self.open = vec![Part::default(); instances];
        self.expected = vec![0.0; instances];
    }

    /// How many times more than within single intervals the errors vary over blocks: 1 where chance
    /// may be why they do.
    pub(crate) fn factor(&self, within: &Clustering) -> f64 {
        let (Some(blocks), Some(single)) = (self.blocks.estimate(), within.estimate()) else {
            return 1.0;
        };
        let excess = blocks / single.max(1.0) - 1.0;
        let error = (2.0 / self.blocks.freedom().max(1.0)).sqrt();
        if excess > BY_CHANCE * error {
            1.0 + excess * (1.0 + error)
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Three instances with 100 requests each: one has ten errors more for so many intervals, the next one
    /// then, and so on.
    fn factor(lasting: usize) -> f64 {
        let mut random = Random::new(1);
        let (mut serial, mut within) = (Serial::default(), Clustering::default());
        for interval in 0..60 {
            let parts = [0, 1, 2].map(|instance| {
                let is_bad = lasting > 0 && interval / lasting % 9 == 3 * instance;
                let mean = if is_bad { 11.0 } else { 1.0 };
                Part {
                    failed: random.poisson(mean) as f64,
                    exposure: 100.0,
                }
            });
            serial.add(&parts);
            within.add(&parts);
        }
        serial.factor(&within)
    }

    #[test]
    fn a_burst_of_five_intervals_is_told_from_five_bursts() {
        assert!((factor(0) - 1.0).abs() < 1e-9);
        assert!((factor(1) - 1.0).abs() < 1e-9);
        assert!(factor(5) > 2.0, "{}", factor(5));
    }

    #[test]
    fn instances_that_come_and_go_begin_a_new_block() {
        let part = Part {
            failed: 5.0,
            exposure: 100.0,
        };
        let mut serial = Serial::default();
        for interval in 0..40 {
            serial.add(&vec![part; 2 + interval % 2]);
        }
        assert!(serial.blocks.estimate().is_none());
    }
}

//! Means over blocks of scrapes, and a t-test on them that may be looked at after each one.

use crate::sequential::series::Series;

/// Fewer blocks decide nothing.
pub const FEWEST_BLOCKS: usize = 6;

/// How long blocks are. All lengths are kept at once, since the one to use is known only later.
const LENGTHS: [u32; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];

#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks([Series; LENGTHS.len()]);

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
            (evidence.above, evidence.below) = series.ln_e();
        }
        evidence
    }
}

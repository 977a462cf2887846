//! Gauges: memory, queue lengths, mean latencies.
//!
//! The difference of the two sides at the same scrape has no common drift, and means over blocks
//! of scrapes have little of what one scrape has to do with the next. A t-test on the blocks needs
//! no variance. What it needs is independence; so the blocks are at least `1.5·(1+ρ)/(1−ρ)` scrapes
//! long, with `ρ` an upper estimate of the correlation of neighbours in stable's own history (and
//! in the difference, where that is larger), and fewer than [`FEWEST_BLOCKS`] of them decide
//! nothing.

mod blocks;
mod neighbours;

pub use blocks::FEWEST_BLOCKS;
use blocks::{Blocks, Evidence};
use neighbours::Neighbours;

/// How much more than stable's level is no harm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Margin {
    /// A part of stable's level: 0.2 for 20 %.
    Relative(f64),
    /// In the gauge's own unit.
    Absolute(f64),
}

impl Margin {
    /// The canary above what is tolerated.
    fn excess(self, canary: f64, stable: f64) -> f64 {
        match self {
            Margin::Relative(part) => canary - stable - part * stable.abs(),
            Margin::Absolute(most) => canary - stable - most,
        }
    }
}

/// A gauge on both sides, scrape by scrape.
#[derive(Clone, Debug)]
pub(crate) struct Gauge {
    margin: Margin,
    /// Canary and stable, as their hosts were before the rollout.
    before: Vec<(f64, f64)>,
    scrapes: usize,
    difference: Blocks,
    own: Neighbours,
    stable: Neighbours,
    /// One half of stable against the other one, both ways.
    halves: [Blocks; 2],
    sums: (f64, f64),
}

impl Gauge {
    pub(crate) fn new(margin: Margin, before: Vec<(f64, f64)>) -> Gauge {
        Gauge {
            margin,
            before,
            scrapes: 0,
            difference: Blocks::default(),
            own: Neighbours::default(),
            stable: Neighbours::default(),
            halves: [Blocks::default(), Blocks::default()],
            sums: (0.0, 0.0),
        }
    }

    /// One scrape of every instance.
    pub(crate) fn add(&mut self, canary: &[f64], stable: &[f64]) {
        let (level, reference) = (mean(canary.iter()), mean(stable.iter()));
        self.sums.0 += level;
        self.sums.1 += reference;
        let scrape = self.scrapes;
        self.scrapes += 1;
        if stable.len() > 1 {
            let even = mean(stable.iter().step_by(2));
            let odd = mean(stable.iter().skip(1).step_by(2));
            self.stable.add(even - odd);
            self.halves[0].add(self.margin.excess(even, odd));
            self.halves[1].add(self.margin.excess(odd, even));
        } else {
            self.stable.add(reference);
        }
        let usual = match self.before.get(scrape) {
            Some((canary, stable)) => canary - stable,
            None if self.before.is_empty() => 0.0,
            // One scrape of before for each one of now: a mean of those before would be an error
            // that all differences share.
            None => return,
        };
        let excess = self.margin.excess(level, reference) - usual;
        self.own.add(excess);
        self.difference.add(excess);
    }

    /// How many scrapes a block must have to be nearly independent of the next one.
    pub(crate) fn block(&self) -> f64 {
        let correlation = self.correlation();
        1.5 * (1.0 + correlation) / (1.0 - correlation)
    }

    pub(crate) fn correlation(&self) -> f64 {
        self.own.upper().max(self.stable.upper())
    }

    pub(crate) fn blocks(&self) -> usize {
        self.difference.evidence(self.block()).blocks
    }

    /// Evidence for and against an excess over the margin; none from too few blocks.
    pub(crate) fn ln_e(&self) -> (f64, f64) {
        let Evidence { above, below, .. } = self.difference.evidence(self.block());
        (above, below)
    }

    pub(crate) fn ln_placebo(&self) -> f64 {
        let [forth, back] = &self.halves;
        let block = self.block();
        let (forth, back) = (forth.evidence(block).above, back.evidence(block).above);
        crate::sequential::numbers::ln_mean_exp(&[forth, back])
    }

    /// The mean levels of both sides; `None` before the first scrape.
    pub(crate) fn levels(&self) -> Option<(f64, f64)> {
        let scrapes = self.scrapes as f64;
        (self.scrapes > 0).then(|| (self.sums.0 / scrapes, self.sums.1 / scrapes))
    }

    pub(crate) fn has_enough_blocks(&self) -> bool {
        self.blocks() >= FEWEST_BLOCKS
    }

    /// Whether there may be enough blocks after so many further scrapes: if the correlation is
    /// found to be as small as it can be.
    pub(crate) fn can_have_blocks(&self, further: f64) -> bool {
        let correlation = self.own.lower().max(self.stable.lower());
        let block = 1.5 * (1.0 + correlation) / (1.0 - correlation);
        let scrapes = self.scrapes as f64 + further;
        let scrapes = match self.before.len() {
            0 => scrapes,
            most => scrapes.min(most as f64),
        };
        scrapes / block >= FEWEST_BLOCKS as f64
    }
}

fn mean<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    if count > 0.0 { sum / count } else { 0.0 }
}

//! A spell: consecutive intervals in which the canary had far more errors than in all others.
//!
//! A dependency that answers badly for three minutes is one event, and an e-process counts three
//! intervals. Stable's instances tell of such events only once one of them had one, and of one rollout in
//! three with two instances the canary has the first. So a fail must stand without the highest
//! [`MAX_SPELLS`] spells of up to [`MAX_SPELL`] intervals: with their errors cut to what the canary's other
//! intervals have, and somewhat more. A release that is bad has no such spell, because its other
//! intervals are bad as well. In the first intervals nothing tells the two apart.
//!
//! The time is divided into blocks of each length, in every way, and in each division the
//! highest blocks are cut. What counts of a block grows with the canary's errors, those of the block and
//! all others: a block is cut no deeper than to the height of the first one that is not cut, so that it
//! does not matter which of two equal ones that is, and of its errors those that weigh least are cut. The
//! least evidence of all divisions then grows with them as well: more errors never help the canary.
//!
//! The evidence itself does not depend on the order of the intervals, and is not changed: a verdict
//! waits. Fewer errors of the canary are less evidence, so no bound depends on which are cut.

use std::sync::Arc;

use crate::sequential::mixture::Weights;
use crate::sequential::part::Part;

/// A longer one is no spell.
pub const MAX_SPELL: usize = 5;
/// Two spells that no division into blocks of their length has as blocks are mostly within two of these.
const PAIR: usize = 8;
/// Before so many intervals a spell may be all there is.
const FEWEST: usize = 3;
/// No spell has so large a part of the requests fail, and so many times as many as stable.
const FLAGRANT: f64 = 0.5;
const TIMES: f64 = 5.0;
/// Of so many intervals as `e`, the square of the standard deviations that a spell may be above what is
/// usual.
const HIGHEST: f64 = 6.0;
/// So many spells are left out.
const MAX_SPELLS: usize = 2;

#[derive(Clone, Debug, Default)]
pub(crate) struct Spells {
    intervals: usize,
    all: Errors,
    divisions: Vec<Division>,
}

/// The canary's errors, and how many stable's rate makes of its requests.
#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    canary: f64,
    even: f64,
    requests: f64,
}

/// The time in blocks of one length.
#[derive(Clone, Debug)]
struct Division {
    length: usize,
    /// Of the first block, the intervals that are before the first one.
    offset: usize,
    open: Block,
    /// Of those that are over, the highest first, and one more than are cut.
    highest: Vec<Block>,
}

#[derive(Clone, Debug, Default)]
struct Block {
    errors: Errors,
    /// The errors of each interval that has some, with what one of them weighs: the least first.
    each: Vec<(f64, Arc<Weights>)>,
}

impl Spells {
    /// One interval: the canary's errors, stable's rate, and what one error of the canary weighs.
    pub(crate) fn add(&mut self, canary: Part, stable: f64, weights: Option<&Arc<Weights>>) {
        if canary.exposure <= 0.0 {
            return;
        }
        if self.divisions.is_empty() {
            let lengths = (1..=MAX_SPELL).chain([PAIR]);
            let each = lengths.flat_map(|length| (0..length).map(move |at| (length, at)));
            self.divisions = each
                .map(|(length, offset)| Division {
                    length,
                    offset,
                    open: Block::default(),
                    highest: Vec::new(),
                })
                .collect();
        }
        let errors = Errors {
            canary: canary.failed,
            even: stable * canary.exposure,
            requests: canary.exposure,
        };
        let weights = weights.filter(|_| canary.failed > 0.0);
        for division in &mut self.divisions {
            division.add(self.intervals, errors, weights);
        }
        self.intervals += 1;
        self.all = self.all.plus(errors);
    }

    /// Whether what there was may be all of a spell.
    pub(crate) fn is_all(&self) -> bool {
        let Errors {
            canary,
            even,
            requests,
        } = self.all;
        let is_flagrant = canary > 0.0 && canary >= FLAGRANT * requests && canary >= TIMES * even;
        self.intervals < FEWEST && !is_flagrant
    }

    /// Of the spells of each division, their errors beyond what is usual, each with what one of them weighs.
    /// The errors vary so many times more than by chance.
    pub(crate) fn beyond(&self, variance: f64) -> impl Iterator<Item = Vec<(f64, &Weights)>> {
        // The highest of many is high by chance.
        let deviations = (HIGHEST * (self.intervals as f64).ln() * variance).sqrt();
        let each = self.divisions.iter();
        let each = each.map(move |division| division.beyond(self.intervals, self.all, deviations));
        each.filter(|beyond| !beyond.is_empty())
    }
}

impl Division {
    fn add(&mut self, before: usize, errors: Errors, weights: Option<&Arc<Weights>>) {
        if before > 0 && (before + self.offset).is_multiple_of(self.length) {
            let over = std::mem::take(&mut self.open);
            let is_higher = |one: &Block| one.errors.height() >= over.errors.height();
            let at = self.highest.partition_point(is_higher);
            self.highest.insert(at, over);
            self.highest.truncate(MAX_SPELLS + 1);
        }
        self.open.errors = self.open.errors.plus(errors);
        if let Some(weights) = weights {
            // The order is the same at each point.
            let each = &mut self.open.each;
            let at = each.partition_point(|(_, own)| own[0][0] <= weights[0][0]);
            each.insert(at, (errors.canary, Arc::clone(weights)));
        }
    }

    fn beyond(&self, intervals: usize, all: Errors, deviations: f64) -> Vec<(f64, &Weights)> {
        let mut blocks: Vec<&Block> = self.highest.iter().chain([&self.open]).collect();
        blocks.sort_by(|a, b| b.errors.height().total_cmp(&a.errors.height()));
        let left_out = (intervals.saturating_sub(1) / self.length).min(MAX_SPELLS);
        let left_out = left_out - usize::from(self.length == PAIR) * (left_out % MAX_SPELLS);
        let floor = blocks
            .get(left_out)
            .map_or(f64::NEG_INFINITY, |one| one.errors.height());
        blocks.truncate(left_out);
        let least = |block: &Block| block.errors.at(floor).clamp(0.0, block.errors.canary);
        let cut = blocks
            .iter()
            .map(|block| block.errors.canary - least(block));
        let counted = all.canary - cut.sum::<f64>();
        let mut beyond = Vec::new();
        for block in blocks {
            // Of few errors no ratio is known.
            let (canary, even) = (counted - least(block), all.even - block.errors.even);
            let usual = ((canary + 1.0) / (even + 1.0)).max(1.0) * block.errors.even;
            let most = usual + deviations * (usual + 1.0).sqrt();
            let mut left = block.errors.canary - most.max(least(block));
            for (errors, weights) in &block.each {
                if left > 0.0 {
                    beyond.push((left.min(*errors), &**weights));
                    left -= errors;
                }
            }
        }
        beyond
    }
}

impl Errors {
    fn plus(self, other: Errors) -> Errors {
        Errors {
            canary: self.canary + other.canary,
            even: self.even + other.even,
            requests: self.requests + other.requests,
        }
    }

    /// Standard deviations above stable's rate, of a sort.
    fn height(self) -> f64 {
        (self.canary - self.even) / (self.even + 1.0).sqrt()
    }

    /// How many the canary would have at a height.
    fn at(self, height: f64) -> f64 {
        self.even + height * (self.even + 1.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequential::mixture::{LEVELS, POINTS};

    /// Of the canary's 100 requests in each interval so many fail, and of stable's one in a hundred:
    /// the most errors of a length that do not count.
    fn beyond(errors: impl IntoIterator<Item = u32>) -> f64 {
        let mut spells = Spells::default();
        let weights = Arc::new([[1.0; POINTS]; LEVELS.len()]);
        for failed in errors {
            let canary = Part {
                failed: failed.into(),
                exposure: 100.0,
            };
            spells.add(canary, 0.01, Some(&weights));
        }
        let each = spells.beyond(1.0);
        let each = each.map(|spells| spells.iter().map(|(errors, _)| errors).sum());
        each.fold(0.0, f64::max)
    }

    fn among_ones(spells: &[(usize, usize)]) -> Vec<u32> {
        let is_high = |at: usize| spells.iter().any(|(from, to)| (*from..*to).contains(&at));
        (0..40).map(|at| if is_high(at) { 11 } else { 1 }).collect()
    }

    #[test]
    fn a_spell_or_two_do_not_count_and_a_bad_release_does() {
        assert!(beyond(among_ones(&[])) < 1e-9);
        assert!(beyond(among_ones(&[(20, 23)])) > 20.0);
        assert!(beyond(among_ones(&[(20, 25)])) > 35.0);
        let two = beyond(among_ones(&[(5, 10), (30, 35)]));
        assert!(two > 70.0, "{two}");
        // What comes a third time is no accident.
        let three = beyond(among_ones(&[(5, 10), (20, 25), (30, 35)]));
        assert!(three < two, "{three}");
        assert!(beyond(among_ones(&[(0, 40)])) < 1e-9);
        // Bad for longer than a spell lasts.
        let long = beyond(among_ones(&[(0, 20)]));
        assert!(long < 100.0, "{long}");
    }

    #[test]
    fn a_spell_ends_where_the_errors_do() {
        let near = |one: f64, other: f64| assert!((one - other).abs() < 1e-9, "{one} {other}");
        near(
            beyond(among_ones(&[(20, 23)])),
            beyond(among_ones(&[(7, 10)])),
        );
    }

    #[test]
    fn the_first_intervals_may_be_a_spell_unless_most_requests_fail() {
        let is_all = |failed: f64, intervals: usize| {
            let mut spells = Spells::default();
            for _ in 0..intervals {
                let canary = Part {
                    failed,
                    exposure: 100.0,
                };
                spells.add(canary, 0.01, None);
            }
            spells.is_all()
        };
        assert!(is_all(11.0, 1) && is_all(11.0, FEWEST - 1));
        assert!(!is_all(11.0, FEWEST));
        assert!(!is_all(80.0, 1) && is_all(80.0, 0));
        assert_eq!(Spells::default().beyond(1.0).count(), 0);
    }
}

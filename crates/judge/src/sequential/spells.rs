//! A spell: consecutive intervals in which the canary had far more errors than in all others.
//!
//! A dependency that answers badly for three minutes is one event, and an e-process counts three
//! intervals. Stable's instances tell of such events only once one of them had one, and of one rollout in
//! three with two instances the canary has the first. So a fail must stand without the highest
//! [`MAX_SPELLS`] spells of up to [`MAX_SPELL`] intervals: with their errors cut to what the canary's other
//! intervals have, and somewhat more. A release that is bad has no such spell, because its other
//! intervals are bad as well. In the first intervals nothing tells the two apart.
//!
//! The evidence itself does not depend on the order of the intervals, and is not changed: a verdict
//! waits. Fewer errors of the canary are less evidence, so no bound depends on which are cut.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::sequential::mixture::{LEVELS, POINTS, Weights};
use crate::sequential::part::Part;

/// A longer one is no spell.
pub const MAX_SPELL: usize = 5;
/// Before so many intervals a spell may be all there is.
const FEWEST: usize = 3;
/// No spell has so large a part of the requests fail, and so many times as many as stable.
const FLAGRANT: f64 = 0.5;
const TIMES: f64 = 5.0;
/// Of so many intervals as `e`, the square of the standard deviations that a spell may be above what is
/// usual.
const HIGHEST: f64 = 5.0;
/// So many spells are left out.
const MAX_SPELLS: usize = 2;

#[derive(Clone, Debug, Default)]
pub(crate) struct Spells {
    intervals: usize,
    all: Errors,
    /// The latest first.
    last: VecDeque<Interval>,
    /// Of each length, those with the most errors above stable's rate, in standard deviations. They have
    /// no interval in common.
    highest: [Vec<Spell>; MAX_SPELL],
}

/// The canary's errors, and how many stable's rate makes of its requests.
#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    canary: f64,
    even: f64,
    requests: f64,
}

#[derive(Clone, Debug)]
struct Interval {
    errors: Errors,
    weights: Option<Arc<Weights>>,
}

#[derive(Clone, Debug)]
struct Spell {
    /// Its last interval.
    end: usize,
    errors: Errors,
    /// What one of its errors weighs, on average.
    weights: Arc<Weights>,
}

impl Spells {
    /// One interval: the canary's errors, stable's rate, and what one error of the canary weighs.
    pub(crate) fn add(&mut self, canary: Part, stable: f64, weights: Option<&Arc<Weights>>) {
        if canary.exposure <= 0.0 {
            return;
        }
        let errors = Errors {
            canary: canary.failed,
            even: stable * canary.exposure,
            requests: canary.exposure,
        };
        self.intervals += 1;
        self.all = self.all.plus(errors);
        self.last.truncate(MAX_SPELL - 1);
        self.last.push_front(Interval {
            errors,
            weights: weights.filter(|_| canary.failed > 0.0).cloned(),
        });
        let mut errors = Errors::default();
        for length in 1..=self.last.len() {
            errors = errors.plus(self.last[length - 1].errors);
            self.add_spell(length, errors);
        }
    }

    /// The last intervals, so many of them.
    fn add_spell(&mut self, length: usize, errors: Errors) {
        let own = &self.highest[length - 1];
        let height = |at: &usize| own[*at].errors.height();
        let overlapping = own
            .iter()
            .position(|spell| spell.end + length > self.intervals);
        let lowest = || (0..own.len()).min_by(|a, b| height(a).total_cmp(&height(b)));
        let at = overlapping.or_else(|| lowest().filter(|_| own.len() == MAX_SPELLS));
        if at.is_some_and(|at| errors.height() <= height(&at)) {
            return;
        }
        let Some(new) = self.spell(length, errors) else {
            return;
        };
        let own = &mut self.highest[length - 1];
        match at {
            Some(at) => own[at] = new,
            None => own.push(new),
        }
    }

    fn spell(&self, length: usize, errors: Errors) -> Option<Spell> {
        if errors.canary <= errors.even {
            return None;
        }
        let mut own = self.last.iter().take(length);
        let first = own.find_map(|interval| interval.weights.as_ref())?;
        if own
            .filter_map(|interval| interval.weights.as_ref())
            .all(|weights| Arc::ptr_eq(weights, first))
        {
            let weights = Arc::clone(first);
            return Some(Spell {
                end: self.intervals,
                errors,
                weights,
            });
        }
        let mut mean = [[0.0; POINTS]; LEVELS.len()];
        for interval in self.last.iter().take(length) {
            let part = interval.errors.canary / errors.canary;
            for (mean, own) in mean
                .iter_mut()
                .zip(interval.weights.iter().flat_map(|own| own.iter()))
            {
                for (mean, weight) in mean.iter_mut().zip(own) {
                    *mean += part * weight;
                }
            }
        }
        let weights = Arc::new(mean);
        Some(Spell {
            end: self.intervals,
            errors,
            weights,
        })
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

    /// Of the spells of each length, their errors beyond what is usual, each with what one of them weighs.
    /// The errors vary so many times more than by chance.
    pub(crate) fn beyond(&self, variance: f64) -> impl Iterator<Item = Vec<(f64, &Weights)>> {
        // The highest of many is high by chance.
        let deviations = (HIGHEST * (self.intervals as f64).ln()).sqrt();
        let lengths = self.highest.iter().zip(1..);
        lengths.filter_map(move |(spells, length)| {
            let left_out = (self.intervals.saturating_sub(1) / length).min(spells.len());
            let mut spells: Vec<&Spell> = spells.iter().collect();
            spells.sort_by(|a, b| b.errors.height().total_cmp(&a.errors.height()));
            spells.truncate(left_out);
            let in_spells = spells
                .iter()
                .fold(Errors::default(), |sum, spell| sum.plus(spell.errors));
            // Of few errors no ratio is known.
            let canary = self.all.canary - in_spells.canary + 1.0;
            let ratio = (canary / (self.all.even - in_spells.even + 1.0)).max(1.0);
            let beyond = spells.into_iter().filter_map(|spell| {
                let usual = ratio * spell.errors.even;
                let most = usual + deviations * (variance * (usual + 1.0)).sqrt();
                let beyond = spell.errors.canary - most;
                (beyond > 0.0).then_some((beyond, &*spell.weights))
            });
            let beyond: Vec<_> = beyond.collect();
            (!beyond.is_empty()).then_some(beyond)
        })
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

    fn height(self) -> f64 {
        (self.canary - self.even) / (self.even + 1.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

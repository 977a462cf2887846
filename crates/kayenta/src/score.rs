//! All metrics as one number from 0 to 100.

use std::collections::{BTreeMap, BTreeSet};

use crate::classify::{Classification, Classified};

/// From this share of metrics without data on, the score is zero.
const MAX_WITHOUT_DATA: f64 = 0.5;

/// A metric's classification and the groups that it counts in.
#[derive(Clone, Debug, PartialEq)]
pub struct Graded<'a> {
    pub found: Classified,
    pub groups: &'a [String],
}

/// The scores from which on a canary passes, or is at least marginal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreLimits {
    pub pass: f64,
    pub marginal: f64,
}

impl Default for ScoreLimits {
    /// What the examples of Spinnaker's documentation have.
    fn default() -> ScoreLimits {
        ScoreLimits {
            pass: 95.0,
            marginal: 75.0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    Pass,
    Marginal,
    Fail,
}

/// What makes the score zero, whatever the groups have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// A metric that is critical did not pass.
    Critical,
    /// Half of the metrics or more have no data.
    Nodata,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    pub total: f64,
    pub zero: Option<Zero>,
    pub groups: BTreeMap<String, f64>,
}

impl Score {
    pub fn grade(&self, limits: ScoreLimits) -> Grade {
        if self.total >= limits.pass {
            Grade::Pass
        } else if self.total >= limits.marginal {
            Grade::Marginal
        } else {
            Grade::Fail
        }
    }
}

/// The mean of the groups, weighted in percent. Groups without a weight share what is left of the
/// hundred; a group of which no metric was compared counts as a hundred.
pub fn score(metrics: &[Graded<'_>], weights: &BTreeMap<String, f64>) -> Score {
    let names: BTreeSet<&String> = metrics.iter().flat_map(|metric| metric.groups).collect();
    let groups: BTreeMap<String, f64> = names
        .iter()
        .map(|name| ((*name).clone(), group_score(metrics, name)))
        .collect();
    let unweighted = names.iter().filter(|name| !weights.contains_key(**name));
    let share = (100.0 - weights.values().sum::<f64>()) / unweighted.count().max(1) as f64;
    let weight = |name: &String| weights.get(name).copied().unwrap_or(share) / 100.0;
    let total: f64 = groups.iter().map(|(name, own)| own * weight(name)).sum();
    let zero = zero(metrics);
    Score {
        total: if zero.is_some() { 0.0 } else { total },
        zero,
        groups,
    }
}

fn zero(metrics: &[Graded<'_>]) -> Option<Zero> {
    let found = || metrics.iter().map(|metric| metric.found);
    let fails = |it: &Classified| it.is_critical && it.classification != Classification::Pass;
    let without = found().filter(|it| it.classification == Classification::Nodata);
    if found().any(|it| fails(&it)) {
        Some(Zero::Critical)
    } else if without.count() as f64 >= MAX_WITHOUT_DATA * metrics.len() as f64 {
        Some(Zero::Nodata)
    } else {
        None
    }
}

fn group_score(metrics: &[Graded<'_>], name: &String) -> f64 {
    let (mut passed, mut compared) = (0, 0);
    let members = metrics.iter().filter(|it| it.groups.contains(name));
    for member in members {
        match member.found.classification {
            Classification::Pass => {
                passed += 1;
                compared += 1;
            }
            Classification::High | Classification::Low | Classification::NodataFailMetric => {
                compared += 1;
            }
            Classification::Nodata | Classification::Error => {}
        }
    }
    if compared == 0 {
        return 100.0;
    }
    f64::from(passed) / f64::from(compared) * 100.0
}

#[cfg(test)]
mod tests {
    use super::Classification::{Error, High, Low, Nodata, NodataFailMetric, Pass};
    use super::*;

    fn found(classification: Classification, is_critical: bool) -> Classified {
        Classified {
            classification,
            is_critical,
            shift: None,
            effect: None,
        }
    }

    fn scored(metrics: &[(Classification, &str)], weights: &[(&str, f64)]) -> Score {
        let groups: Vec<[String; 1]> = metrics.iter().map(|it| [it.1.to_owned()]).collect();
        let graded: Vec<Graded<'_>> = metrics
            .iter()
            .zip(&groups)
            .map(|((classification, _), groups)| Graded {
                found: found(*classification, false),
                groups,
            })
            .collect();
        let weights = weights.iter().map(|(name, it)| ((*name).to_owned(), *it));
        score(&graded, &weights.collect())
    }

    /// The cases of Kayenta's `ScorerSuite`.
    #[test]
    fn a_group_scores_the_share_of_its_metrics_that_pass() {
        assert_eq!(scored(&[(Pass, "a")], &[]).total, 100.0);
        assert_eq!(scored(&[(High, "a")], &[]).total, 0.0);
        assert_eq!(scored(&[(Pass, "a"), (High, "a")], &[]).total, 50.0);
        let third = scored(&[(Pass, "a"), (High, "a"), (Low, "a")], &[]).total;
        assert!((third - 100.0 / 3.0).abs() < 1e-9, "{third}");
        let weights = [("a", 75.0), ("b", 25.0)];
        let three = [(Pass, "a"), (Pass, "a"), (High, "b")];
        assert_eq!(scored(&three, &weights).total, 75.0);
        let weights = [("a", 50.0), ("b", 50.0)];
        let three = [(Pass, "a"), (High, "a"), (High, "b")];
        assert_eq!(scored(&three, &weights).total, 25.0);
    }

    #[test]
    fn groups_without_a_weight_share_the_rest() {
        let three = [(Pass, "a"), (High, "b"), (Pass, "c")];
        let score = scored(&three, &[("a", 60.0)]);
        assert_eq!(score.total, 80.0);
        assert_eq!(score.groups["b"], 0.0);
    }

    #[test]
    fn a_metric_that_must_have_data_lowers_its_group() {
        let two = [(Pass, "a"), (NodataFailMetric, "a")];
        assert_eq!(scored(&two, &[]).total, 50.0);
    }

    #[test]
    fn metrics_without_data_do_not_count_until_they_are_half_of_all() {
        let three = [(Pass, "a"), (Pass, "a"), (Nodata, "b")];
        assert_eq!(scored(&three, &[]).total, 100.0);
        let half = scored(&[(Pass, "a"), (Nodata, "b")], &[]);
        assert_eq!((half.total, half.zero), (0.0, Some(Zero::Nodata)));
        assert_eq!(scored(&[], &[]).zero, Some(Zero::Nodata));
    }

    /// So Kayenta passes a canary of which one metric could not be tested at all.
    #[test]
    fn an_error_counts_as_if_the_metric_were_not_there() {
        assert_eq!(scored(&[(Error, "a")], &[]).total, 100.0);
    }

    #[test]
    fn a_critical_metric_that_does_not_pass_makes_the_score_zero() {
        let groups = ["a".to_owned()];
        let graded = |is_critical| {
            let metrics = [found(Pass, false), found(High, is_critical)];
            let graded = metrics.map(|found| Graded {
                found,
                groups: &groups,
            });
            score(&graded, &BTreeMap::new())
        };
        assert_eq!(graded(false).total, 50.0);
        assert_eq!(graded(true).total, 0.0);
        assert_eq!(graded(true).zero, Some(Zero::Critical));
    }

    #[test]
    fn a_score_at_its_limit_has_its_grade() {
        let limits = ScoreLimits::default();
        let grade = |total| {
            Score {
                total,
                zero: None,
                groups: BTreeMap::new(),
            }
            .grade(limits)
        };
        assert_eq!(grade(95.0), Grade::Pass);
        assert_eq!(grade(94.9), Grade::Marginal);
        assert_eq!(grade(75.0), Grade::Marginal);
        assert_eq!(grade(74.9), Grade::Fail);
    }
}

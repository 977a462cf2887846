//! One metric: is the canary higher, or lower, than stable?

use crate::mann_whitney::{Shift, Z_98, rank_sum, shift};
use crate::prepare::{MissingPoints, Outliers, prepare};

/// The interval of the shift must be farther from zero than this share of the estimate.
const TOLERANCE: f64 = 0.25;

/// Which way is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    Increase,
    Decrease,
    #[default]
    Either,
}

/// How the size of a difference is measured, besides being certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// The canary's mean divided by stable's. It is not asked where either mean is zero.
    #[default]
    MeanRatio,
    /// How often a point of the canary is above one of stable (common language effect size).
    Cles,
}

/// Effects that are still accepted: below `increase` nothing is high, above `decrease` nothing low.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    pub increase: f64,
    pub decrease: f64,
}

/// The configuration of a metric (`analysisConfigurations.canary`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metric {
    pub direction: Direction,
    pub missing: MissingPoints,
    pub outliers: Outliers,
    pub effect: Effect,
    /// `None` accepts no increase and no decrease that is certain.
    pub allowed: Option<Thresholds>,
    /// Whether a difference beyond `allowed_critically` fails the whole canary.
    pub is_critical: bool,
    pub allowed_critically: Option<Thresholds>,
    pub must_have_data: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classification {
    Pass,
    High,
    Low,
    /// A side has no points.
    Nodata,
    /// A side has no points, and the metric must have them.
    NodataFailMetric,
    /// The test could not be made.
    Error,
}

/// What the judge found about one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Classified {
    pub classification: Classification,
    /// Whether it fails the whole canary, unless it is `Pass`.
    pub is_critical: bool,
    /// `None` where the points were not compared.
    pub shift: Option<Shift>,
    /// `None` where the points were not compared, or a mean is zero.
    pub effect: Option<f64>,
}

impl Effect {
    fn neutral(self) -> Thresholds {
        let same = match self {
            Effect::MeanRatio => 1.0,
            Effect::Cles => 0.5,
        };
        Thresholds {
            increase: same,
            decrease: same,
        }
    }

    fn of(self, canary: &[f64], stable: &[f64]) -> Option<f64> {
        let (n, m) = (canary.len() as f64, stable.len() as f64);
        match self {
            Effect::MeanRatio => {
                let mean = |points: &[f64], length| points.iter().sum::<f64>() / length;
                let (canary, stable) = (mean(canary, n), mean(stable, m));
                (canary != 0.0 && stable != 0.0).then(|| canary / stable)
            }
            Effect::Cles => {
                let above = rank_sum(canary, stable) - n * (n + 1.0) / 2.0;
                Some(above / (n * m))
            }
        }
    }
}

impl Classified {
    fn without_test(classification: Classification, is_critical: bool) -> Classified {
        Classified {
            classification,
            is_critical,
            shift: None,
            effect: None,
        }
    }
}

/// Compares the points of the canary (`experiment`) with those of stable (`control`). There is no
/// least number of points: with two on each side, one canary in five that is like stable is
/// classified high or low, with five less than one in two hundred.
pub fn classify(metric: &Metric, canary: &[f64], stable: &[f64]) -> Classified {
    let prepared = |points| prepare(points, metric.missing, metric.outliers);
    let (canary, stable) = (prepared(canary), prepared(stable));
    if canary.is_empty() || stable.is_empty() {
        return without_data(metric);
    }
    if is_same(&canary, &stable) {
        return Classified::without_test(Classification::Pass, false);
    }
    let Ok(shift) = shift(&canary, &stable, Z_98) else {
        return Classified::without_test(Classification::Error, metric.is_critical);
    };
    let effect = metric.effect.of(&canary, &stable);
    let compare = |allowed: Option<Thresholds>| {
        let allowed = allowed.unwrap_or_else(|| metric.effect.neutral());
        compared(metric.direction, shift, effect, allowed)
    };
    let critically = if metric.is_critical {
        compare(metric.allowed_critically)
    } else {
        Classification::Pass
    };
    let is_critical = critically != Classification::Pass;
    Classified {
        classification: if is_critical {
            critically
        } else {
            compare(metric.allowed)
        },
        is_critical,
        shift: Some(shift),
        effect,
    }
}

fn without_data(metric: &Metric) -> Classified {
    let classification = match metric.missing {
        MissingPoints::Replace => return Classified::without_test(Classification::Pass, false),
        MissingPoints::Remove if metric.must_have_data && !metric.is_critical => {
            Classification::NodataFailMetric
        }
        MissingPoints::Remove => Classification::Nodata,
    };
    Classified::without_test(classification, metric.is_critical)
}

/// Whether both sides have the same points in any order, or all points are one value.
fn is_same(canary: &[f64], stable: &[f64]) -> bool {
    let sorted = |points: &[f64]| {
        let mut points = points.to_vec();
        points.sort_by(f64::total_cmp);
        points
    };
    sorted(canary) == sorted(stable) || canary.iter().chain(stable).all(|point| *point == canary[0])
}

fn compared(
    direction: Direction,
    shift: Shift,
    effect: Option<f64>,
    allowed: Thresholds,
) -> Classification {
    let margin = TOLERANCE * shift.estimate.abs();
    let is_large = effect.is_none_or(|effect| effect >= allowed.increase);
    let is_small = effect.is_none_or(|effect| effect <= allowed.decrease);
    if direction != Direction::Decrease && shift.lower > margin && is_large {
        Classification::High
    } else if direction != Direction::Increase && shift.upper < -margin && is_small {
        Classification::Low
    } else {
        Classification::Pass
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn as_is(canary: &[f64], stable: &[f64]) -> Classification {
        classify(&Metric::default(), canary, stable).classification
    }

    fn ones_and(bad: usize) -> Vec<f64> {
        (0..10).map(|n| if n < bad { 100.0 } else { 1.0 }).collect()
    }

    /// spinnaker/spinnaker#6278: seven of ten points are a hundred times too high, and it passes.
    #[test]
    fn seven_bad_points_of_ten_pass_and_eight_are_high() {
        assert_eq!(as_is(&ones_and(7), &[1.0; 10]), Classification::Pass);
        assert_eq!(as_is(&ones_and(8), &[1.0; 10]), Classification::High);
    }

    /// spinnaker/kayenta#426.
    #[test]
    fn sparse_errors_pass_against_none() {
        let sparse = [0.0, 1.0, 2.0, 1.0, 0.0, 0.0];
        assert_eq!(as_is(&sparse, &[0.0; 6]), Classification::Pass);
    }

    /// The data of spinnaker/kayenta#799, and Kayenta's own test of a critical metric.
    #[test]
    fn five_errors_against_five_zeros_are_high_and_their_ratio_is_not_asked() {
        let canary = [1.0, 4.0, 2.0, 3.0, 1.0];
        let metric = Metric {
            allowed: Some(Thresholds {
                increase: 1.5,
                decrease: 1.0,
            }),
            ..Metric::default()
        };
        let found = classify(&metric, &canary, &[0.0; 5]);
        assert_eq!(found.classification, Classification::High);
        assert_eq!(found.effect, None);
        assert!(!found.is_critical);
        let critical = Metric {
            is_critical: true,
            ..metric
        };
        assert!(classify(&critical, &canary, &[0.0; 5]).is_critical);
    }

    #[test]
    fn the_direction_says_which_difference_counts() {
        let (low, high) = ([1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 11.0, 12.0, 13.0, 14.0]);
        let with = |direction, canary, stable| {
            let metric = Metric {
                direction,
                ..Metric::default()
            };
            classify(&metric, canary, stable).classification
        };
        assert_eq!(with(Direction::Either, &high, &low), Classification::High);
        assert_eq!(with(Direction::Either, &low, &high), Classification::Low);
        assert_eq!(with(Direction::Increase, &high, &low), Classification::High);
        assert_eq!(with(Direction::Increase, &low, &high), Classification::Pass);
        assert_eq!(with(Direction::Decrease, &high, &low), Classification::Pass);
        assert_eq!(with(Direction::Decrease, &low, &high), Classification::Low);
    }

    #[test]
    fn a_certain_difference_passes_while_it_is_small_enough() {
        let (canary, stable) = (
            [11.0, 11.1, 11.2, 11.3, 11.4],
            [10.0, 10.1, 10.2, 10.3, 10.4],
        );
        assert_eq!(as_is(&canary, &stable), Classification::High);
        let allowing = |effect, increase| {
            let metric = Metric {
                effect,
                allowed: Some(Thresholds {
                    increase,
                    decrease: 0.0,
                }),
                ..Metric::default()
            };
            classify(&metric, &canary, &stable)
        };
        let by_mean = allowing(Effect::MeanRatio, 1.2);
        assert_eq!(by_mean.classification, Classification::Pass);
        assert!((by_mean.effect.unwrap() - 11.2 / 10.2).abs() < 1e-12);
        // Every point is above every other one.
        let by_rank = allowing(Effect::Cles, 0.99);
        assert_eq!(by_rank.classification, Classification::High);
        assert_eq!(by_rank.effect, Some(1.0));
    }

    #[test]
    fn a_critical_metric_fails_the_canary_beyond_its_own_threshold_only() {
        let (canary, stable) = (
            [11.0, 11.1, 11.2, 11.3, 11.4],
            [10.0, 10.1, 10.2, 10.3, 10.4],
        );
        let metric = Metric {
            is_critical: true,
            allowed_critically: Some(Thresholds {
                increase: 2.0,
                decrease: 0.5,
            }),
            ..Metric::default()
        };
        let found = classify(&metric, &canary, &stable);
        assert_eq!(found.classification, Classification::High);
        assert!(!found.is_critical);
    }

    #[test]
    fn without_points_on_a_side_the_configuration_decides() {
        let with = |metric: Metric| {
            let found = classify(&metric, &[f64::NAN], &[]);
            (found.classification, found.is_critical)
        };
        let metric = Metric::default();
        assert_eq!(with(metric), (Classification::Nodata, false));
        let required = Metric {
            must_have_data: true,
            ..metric
        };
        assert_eq!(with(required), (Classification::NodataFailMetric, false));
        let critical = Metric {
            is_critical: true,
            ..required
        };
        assert_eq!(with(critical), (Classification::Nodata, true));
        let replaced = Metric {
            missing: MissingPoints::Replace,
            ..metric
        };
        assert_eq!(with(replaced), (Classification::Pass, false));
    }

    #[test]
    fn the_same_points_pass_without_a_test() {
        let (canary, stable) = ([1.0, 2.0, 3.0], [3.0, 1.0, 2.0]);
        assert_eq!(classify(&Metric::default(), &canary, &stable).shift, None);
        assert_eq!(as_is(&canary, &stable), Classification::Pass);
        assert_eq!(as_is(&[1.0; 3], &[1.0; 2]), Classification::Pass);
    }

    #[test]
    fn constant_sides_that_differ_are_high_or_low_every_time() {
        assert_eq!(as_is(&[2.0; 5], &[1.0; 5]), Classification::High);
        assert_eq!(as_is(&[0.0; 5], &[1.0; 5]), Classification::Low);
    }

    #[test]
    fn what_cannot_be_tested_is_an_error_and_never_a_pass() {
        assert_eq!(as_is(&[2.0], &[1.0]), Classification::Error);
        let endless = [f64::INFINITY, 1.0, 2.0];
        assert_eq!(as_is(&endless, &[1.0, 2.0, 3.0]), Classification::Error);
    }

    /// Points of a lognormal distribution with a deviation of a half, the same in every run.
    fn lognormal(state: &mut u64, number: usize) -> Vec<f64> {
        let mut uniform = || {
            *state = state
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(0x1405_7b7e_f767_814f);
            ((*state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let mut normal =
            || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        (0..number).map(|_| (0.5 * normal()).exp()).collect()
    }

    #[test]
    fn quiet_canaries_are_high_or_low_the_more_often_the_fewer_points_they_have() {
        const RUNS: u32 = 2000;
        let mut state = 7;
        let mut percent = |number| {
            let wrong = (0..RUNS).filter(|_| {
                let (canary, stable) =
                    (lognormal(&mut state, number), lognormal(&mut state, number));
                as_is(&canary, &stable) != Classification::Pass
            });
            100.0 * wrong.count() as f64 / f64::from(RUNS)
        };
        let near = |is: f64, wanted: f64| assert!((is - wanted).abs() < 2.0, "{is} % of {wanted}");
        near(percent(2), 22.5);
        near(percent(3), 5.4);
        near(percent(4), 1.2);
        assert!(percent(5) < 0.8);
    }

    proptest! {
        #[test]
        fn no_side_is_higher_than_one_that_is_higher(
            canary in vec(-50_i32..50, 1..12),
            stable in vec(-50_i32..50, 1..12),
        ) {
            let points = |side: &[i32]| side.iter().copied().map(f64::from).collect::<Vec<f64>>();
            let (canary, stable) = (points(&canary), points(&stable));
            // A ratio of means says nothing where they are negative.
            let metric = Metric { effect: Effect::Cles, ..Metric::default() };
            let found = classify(&metric, &canary, &stable).classification;
            let turned = classify(&metric, &stable, &canary).classification;
            prop_assert!(found == Classification::Pass || found != turned || found == Classification::Error);
        }

        #[test]
        fn any_numbers_have_an_answer(canary in vec(any::<f64>(), 0..9), stable in vec(any::<f64>(), 0..9)) {
            let metric = Metric {
                outliers: Outliers::Remove { factor: 3.0 },
                ..Metric::default()
            };
            let found = classify(&metric, &canary, &stable);
            if let Some(shift) = found.shift {
                prop_assert!(shift.lower.is_finite() && shift.upper.is_finite());
            }
        }
    }
}

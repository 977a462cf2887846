//! Fixed limits: the runbook's and Flagger's rules.

use judge::sequential::Verdict;
use judge::threshold::{Check, Limit, NoData, Rule, ThresholdStatus, Watch};
use judge::{Buckets, Counts, Measure, Reading, SideData, Sides};
use proptest::collection::vec;
use proptest::prelude::*;

const RUNBOOK: Runbook = runbook_003(5);

/// The rules of runbook 003 by what they are called there.
struct Runbook {
    errors: Rule,
    latency: Rule,
    availability: Rule,
}

/// Runbook 003's table: fail if the canary's error rate is more than five points above stable's, its
/// p95 latency more than three seconds above stable's (in seconds), or its availability below 95 %.
/// The page has windows of five minutes: `window` is how many intervals these are.
const fn runbook_003(window: usize) -> Runbook {
    const fn rule(measure: Measure, limit: Limit, window: usize) -> Rule {
        Rule {
            measure,
            limit,
            window,
            failures: 1,
            no_data: NoData::Inconclusive,
        }
    }
    Runbook {
        errors: rule(Measure::FailureRate, Limit::AtMostAboveStable(0.05), window),
        latency: rule(
            Measure::Quantile(0.95),
            Limit::AtMostAboveStable(3.0),
            window,
        ),
        availability: rule(Measure::Availability, Limit::AtLeast(0.95), window),
    }
}

fn ratio(canary: (u64, u64), stable: (u64, u64)) -> Reading {
    let side = |(failed, total)| SideData::Whole(Counts::new(failed, total).unwrap());
    Reading::Ratio(Sides {
        canary: side(canary),
        stable: side(stable),
    })
}

fn latency(canary: &[(f64, u64)], stable: &[(f64, u64)]) -> Reading {
    let side = |pairs: &[(f64, u64)]| SideData::Whole(Buckets::new(pairs.iter().copied()).unwrap());
    Reading::Histogram(Sides {
        canary: side(canary),
        stable: side(stable),
    })
}

fn after(rule: Rule, readings: &[Option<Reading>]) -> ThresholdStatus {
    let mut watch = Watch::new(rule);
    for reading in readings {
        watch.push(reading.as_ref());
    }
    watch.standing()
}

/// Abort or promote: `canary_error_rate > stable_error_rate + 0.05`.
#[test]
fn the_runbook_aborts_above_five_points_more_errors_than_stable() {
    let after = |failed| after(RUNBOOK.errors, &[Some(ratio((failed, 100), (1, 100)))]);
    assert_eq!(after(6), ThresholdStatus::Held { failed: 0, of: 1 });
    let check = Check::Exceeded {
        canary: 0.07,
        limit: 0.01 + 0.05,
    };
    let failed = ThresholdStatus::Failed {
        check,
        failed: 1,
        of: 1,
    };
    assert_eq!(after(7), failed);
}

/// Abort or promote: `canary_latency_p95 > stable_latency_p95 + 3s`.
#[test]
fn the_runbook_aborts_when_the_p95_is_more_than_three_seconds_longer() {
    let stable = [(0.5, 96), (5.0, 100), (f64::INFINITY, 100)];
    let slow = [(0.5, 90), (5.0, 100), (f64::INFINITY, 100)];
    let slower = [(0.5, 10), (5.0, 100), (f64::INFINITY, 100)];
    let rule = RUNBOOK.latency;
    let held = after(rule, &[Some(latency(&slow, &stable))]);
    assert_eq!(held, ThresholdStatus::Held { failed: 0, of: 1 });
    let failed = after(rule, &[Some(latency(&slower, &stable))]);
    assert!(
        matches!(failed, ThresholdStatus::Failed { .. }),
        "{failed:?}"
    );
}

/// Abort or promote: `canary_availability < 0.95`.
#[test]
fn the_runbook_aborts_below_95_percent_availability() {
    let after = |failed| {
        let reading = ratio((failed, 100), (failed, 100));
        after(RUNBOOK.availability, &[Some(reading)])
    };
    assert_eq!(after(5), ThresholdStatus::Held { failed: 0, of: 1 });
    assert!(matches!(after(6), ThresholdStatus::Failed { .. }));
}

#[test]
fn a_window_is_the_rate_of_its_intervals_together() {
    let (bad, good) = (ratio((10, 100), (1, 100)), ratio((1, 100), (1, 100)));
    let one_bad_of_three = [Some(good.clone()), Some(good), Some(bad)];
    let standing = after(RUNBOOK.errors, &one_bad_of_three);
    assert_eq!(standing, ThresholdStatus::Held { failed: 0, of: 3 });
    let each = Rule {
        window: 1,
        ..RUNBOOK.errors
    };
    assert!(matches!(
        after(each, &one_bad_of_three),
        ThresholdStatus::Failed {
            failed: 1,
            of: 3,
            ..
        }
    ));
}

/// Troubleshooting 4: metrics that are not there do not promote.
#[test]
fn without_data_nothing_passes() {
    let good = Some(ratio((1, 100), (1, 100)));
    let rule = RUNBOOK.errors;
    let unknown = |without_data, of| ThresholdStatus::Unknown { without_data, of };
    assert_eq!(after(rule, &[]), unknown(0, 0));
    assert_eq!(after(rule, &[None, None]), unknown(2, 2));
    assert_eq!(
        after(rule, &[good.clone(), None, good.clone()]),
        unknown(1, 3)
    );
    let no_stable = Reading::Ratio(Sides {
        canary: SideData::Whole(Counts::new(1, 100).unwrap()),
        stable: SideData::Instances(Vec::new()),
    });
    assert_eq!(after(rule, &[good, Some(no_stable)]), unknown(1, 2));
    // No request is no availability.
    let silent = Some(ratio((0, 0), (1, 100)));
    assert_eq!(after(RUNBOOK.availability, &[silent]), unknown(1, 1));
}

#[test]
fn flagger_fails_at_its_threshold_of_failed_checks_in_a_row_or_not() {
    let rule = Rule::flagger(Measure::FailureRate, Limit::AtMost(0.05), 3);
    let (bad, good) = (ratio((6, 100), (0, 0)), ratio((5, 100), (0, 0)));
    let of = |marks: &str| {
        let reading = |mark| match mark {
            '+' => Some(good.clone()),
            '-' => Some(bad.clone()),
            _ => None,
        };
        after(rule, &marks.chars().map(reading).collect::<Vec<_>>())
    };
    assert_eq!(of("-+-+"), ThresholdStatus::Held { failed: 2, of: 4 });
    assert!(matches!(
        of("-+-+-"),
        ThresholdStatus::Failed {
            failed: 3,
            of: 5,
            ..
        }
    ));
    // No values found: a failed check.
    assert!(matches!(
        of("..."),
        ThresholdStatus::Failed {
            check: Check::NoData,
            failed: 3,
            of: 3
        }
    ));
    assert_eq!(
        of(""),
        ThresholdStatus::Unknown {
            without_data: 0,
            of: 0
        }
    );
}

#[test]
fn flagger_passes_nothing_that_had_no_data_once() {
    let rule = Rule::flagger(Measure::FailureRate, Limit::AtMost(0.05), 3);
    let unknown = ThresholdStatus::Unknown {
        without_data: 1,
        of: 2,
    };
    assert_eq!(after(rule, &[Some(ratio((0, 100), (0, 0))), None]), unknown);
}

/// All that is known of a quantile above the largest bound is that it is above.
#[test]
fn a_quantile_above_the_largest_bound_is_not_known() {
    let p95 = |limit| Rule::flagger(Measure::Quantile(0.95), limit, 1);
    let of = |limit, canary: u64, stable: u64| {
        let within = |count| [(0.5, count), (1.0, count), (f64::INFINITY, 100)];
        let mut watch = Watch::new(p95(limit));
        let check = watch.push(Some(&latency(&within(canary), &within(stable))));
        (check, watch.standing().verdict())
    };
    let beyond = (Check::Beyond { bound: 1.0 }, Verdict::Inconclusive);
    assert_eq!(of(Limit::AtMostAboveStable(3.0), 0, 100), beyond);
    assert_eq!(of(Limit::AtMostAboveStable(3.0), 0, 0), beyond);
    assert_eq!(of(Limit::AtMost(2.0), 0, 100), beyond);
    assert_eq!(of(Limit::AtLeast(2.0), 0, 100), beyond);
    assert_eq!(of(Limit::AtMost(1.0), 0, 100).1, Verdict::Fail);
    assert_eq!(of(Limit::AtLeast(1.0), 0, 100).1, Verdict::Pass);
    // However much slower stable is, the canary is not.
    assert_eq!(of(Limit::AtMostAboveStable(0.0), 100, 0).1, Verdict::Pass);
    assert_eq!(of(Limit::AtMost(2.0), 100, 0).1, Verdict::Pass);
}

proptest! {
    #[test]
    fn more_failures_never_help(
        counts in vec((0_u64..20, 0_u64..20), 1..10),
        at in 0_usize..10,
        more in 0_u64..80,
        window in 1_usize..4,
    ) {
        let rule = runbook_003(window).errors;
        let readings = |extra: u64| -> Vec<Option<Reading>> {
            let with = |(n, (canary, stable)): (usize, &(u64, u64))| {
                let canary = canary + if n == at { extra } else { 0 };
                Some(ratio((canary, 100), (*stable, 100)))
            };
            counts.iter().enumerate().map(with).collect()
        };
        let held = |extra| matches!(after(rule, &readings(extra)), ThresholdStatus::Held { .. });
        prop_assert!(held(0) || !held(more));
    }
}

//! Latency by histograms.

use judge::random::Random;
use judge::sequential::{Figures, Reason, Rule, Tolerance, Verdict, Watch};
use judge::{Buckets, Reading, SideData, Sides};

use crate::support::{at_most, found, one, report, runs, watch};

/// Prometheus' default bounds.
const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

fn rule(tolerance: f64) -> Rule {
    Rule::Histogram {
        tolerance: Tolerance::new(tolerance).unwrap(),
        at_most: None,
    }
}

fn buckets(durations: &[f64]) -> Buckets {
    let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
    Buckets::new(bounds.map(|bound| {
        let below = durations.iter().filter(|duration| **duration <= bound);
        (bound, below.count() as u64)
    }))
    .unwrap()
}

/// How long requests take.
#[derive(Clone, Copy, Debug)]
enum Service {
    /// Lognormal, with a tail above half a second.
    Tailed,
    /// Never above half a second.
    Fast,
}

impl Service {
    fn duration(self, random: &mut Random) -> f64 {
        match self {
            Service::Tailed => (-2.5 + 0.8 * random.normal()).exp(),
            Service::Fast => 0.02 + 0.3 * random.uniform(),
        }
    }
}

struct Fault {
    /// The part of requests that are a second slower.
    slow: f64,
    /// How many times slower all of them are.
    times: f64,
}

const QUIET: Fault = Fault {
    slow: 0.0,
    times: 1.0,
};

fn minute(
    service: Service,
    fault: &Fault,
    instances: usize,
    random: &mut Random,
) -> judge::Interval {
    let canary: Vec<f64> = (0..100)
        .map(|_| {
            let slow = if random.uniform() < fault.slow {
                1.0
            } else {
                0.0
            };
            service.duration(random) * fault.times + slow
        })
        .collect();
    let mut side = |requests: usize| -> Buckets {
        let durations: Vec<f64> = (0..requests).map(|_| service.duration(random)).collect();
        buckets(&durations)
    };
    let stable = match instances {
        1 => SideData::Whole(side(900)),
        n => SideData::Instances((0..n).map(|_| side(900 / n)).collect()),
    };
    one(Reading::Histogram(Sides {
        canary: SideData::Whole(buckets(&canary)),
        stable,
    }))
}

fn rollout(
    service: Service,
    tolerance: f64,
    fault: &Fault,
    instances: usize,
    random: &mut Random,
) -> Watch {
    crate::support::follow(rule(tolerance), random, |_, random| {
        minute(service, fault, instances, random)
    })
}

#[test]
fn one_request_of_a_hundred_a_second_slower_is_found_in_six_minutes() {
    let runs = runs(100).min(1000);
    let mut late = Vec::new();
    for (service, tolerance, instances) in [
        (Service::Tailed, 1.01, 1),
        (Service::Fast, 1.01, 1),
        (Service::Fast, 1.5, 1),
        (Service::Fast, 1.5, 2),
        (Service::Fast, 1.5, 3),
        (Service::Fast, 1.5, 9),
    ] {
        let mut random = Random::new(20);
        let fault = Fault {
            slow: 0.01,
            times: 1.0,
        };
        let got = found(Verdict::Fail, runs, |_| {
            rollout(service, tolerance, &fault, instances, &mut random)
        });
        let name = format!("{service:?}, tolerance {tolerance}, {instances} instances");
        report(format_args!(
            "1 % a second slower, {name}: {:.1} % ({})",
            got.percent, got.median
        ));
        // Among a tail of its own it is found in 6 minutes as well, and in a hundred runs, by chance,
        // in 7.
        let latest = if matches!(service, Service::Tailed) {
            7
        } else {
            6
        };
        if got.median > latest || got.percent < 90.0 {
            late.push(name);
        }
    }
    assert!(late.is_empty(), "{late:?}");
}

#[test]
fn a_quiet_histogram_never_fails() {
    let runs = runs(20).min(300);
    for (service, instances) in [
        (Service::Tailed, 1),
        (Service::Fast, 1),
        (Service::Tailed, 3),
    ] {
        let mut random = Random::new(21);
        let fails = (0..runs).filter(|_| {
            let mut watch = watch(rule(1.01));
            for _ in 0..60 {
                watch
                    .observe(&minute(service, &QUIET, instances, &mut random))
                    .unwrap();
            }
            watch.verdict() == Verdict::Fail
        });
        let fails = fails.count();
        report(format_args!("quiet histograms: {fails} of {runs} fail"));
        assert_eq!(fails, 0);
    }
}

/// A minute that is a bad one for an instance, on either side, so often: a tenth of its requests take
/// a second longer.
fn minute_of_bursts(
    service: Service,
    often: f64,
    instances: usize,
    random: &mut Random,
) -> judge::Interval {
    let mut side = |requests: usize| -> Buckets {
        let slow = if random.uniform() < often { 0.1 } else { 0.0 };
        let mut duration = || {
            let more = if random.uniform() < slow { 1.0 } else { 0.0 };
            service.duration(random) + more
        };
        let durations: Vec<f64> = (0..requests).map(|_| duration()).collect();
        buckets(&durations)
    };
    let canary = SideData::Whole(side(100));
    let stable = (0..instances).map(|_| side(900 / instances)).collect();
    one(Reading::Histogram(Sides {
        canary,
        stable: SideData::Instances(stable),
    }))
}

#[test]
fn bursts_of_slow_requests_on_both_sides_fail_in_at_most_two_of_a_hundred_rollouts() {
    let runs = runs(20);
    for service in [Service::Tailed, Service::Fast] {
        for (often, instances) in [(0.03, 2), (0.03, 3), (0.03, 9), (0.1, 2), (0.1, 9)] {
            let mut random = Random::new(24);
            let got = found(Verdict::Fail, runs, |_| {
                crate::support::follow(rule(1.01), &mut random, |_, random| {
                    minute_of_bursts(service, often, instances, random)
                })
            });
            report(format_args!(
                "bursts in {often} of {instances} instances' minutes, {service:?}: {:.2} % false",
                got.percent
            ));
            assert!(
                got.percent <= at_most(2.0, runs),
                "{service:?}, {often}, {instances}: {got:?}"
            );
        }
    }
}

#[test]
fn a_quiet_histogram_passes_at_ordinary_traffic() {
    let mut random = Random::new(22);
    let got = found(Verdict::Pass, 20, |_| {
        rollout(Service::Fast, 1.5, &QUIET, 1, &mut random)
    });
    report(format_args!(
        "quiet histogram, tolerance 1.5: pass {:.0} % ({})",
        got.percent, got.median
    ));
    assert!(got.percent >= 95.0 && got.median <= 20, "{got:?}");
}

/// Far from the limits the evidence is not computed in full: no verdict is later for that.
#[test]
fn a_verdict_comes_with_the_interval_that_reaches_its_limit() {
    let mut random = Random::new(26);
    let mut verdicts = [0; 2];
    for run in 0..40 {
        let instances = [1, 3][run % 2];
        let slow = [0.0, 0.03][run / 2 % 2];
        let fault = Fault { slow, times: 1.0 };
        let mut watch = watch(rule(1.5));
        for n in 1..=60 {
            let minute = minute(Service::Fast, &fault, instances, &mut random);
            watch.observe(&minute).unwrap();
            let (fail, pass) = watch.evidence(0).unwrap();
            let fails = fail.ln_e >= fail.limit;
            assert_eq!(fails, watch.verdict() == Verdict::Fail, "{run} {n}");
            if watch.decided_at().is_some() {
                assert!(fails || pass.ln_e >= pass.limit, "{run} {n}");
                verdicts[usize::from(fails)] += 1;
                break;
            }
            // At most a third later: an early pass waits.
            assert!(pass.ln_e < pass.limit + 4.0, "{run} {n}");
        }
    }
    assert!(verdicts[0] >= 10 && verdicts[1] >= 18, "{verdicts:?}");
}

/// What a pass says without an absolute limit holds for few slow requests as well.
#[test]
fn slow_requests_at_the_tolerance_pass_in_at_most_one_of_twenty_rollouts() {
    let runs = runs(40).min(2000);
    // The part of stable's requests that are a second slower, and of the canary's.
    for (stable, canary) in [(0.0, 0.003), (0.002, 0.003), (0.004, 0.006), (0.02, 0.03)] {
        for requests in [100, 500] {
            let mut random = Random::new(27);
            let got = found(Verdict::Pass, runs, |_| {
                crate::support::follow(rule(1.5), &mut random, |_, random| {
                    let mut side = |requests: u64, slow: f64| {
                        let slow = random.poisson(requests as f64 * slow).min(requests);
                        let bounds = [(0.5, requests - slow), (1.5, requests)];
                        let all = bounds.into_iter().chain([(f64::INFINITY, requests)]);
                        SideData::Whole(Buckets::new(all).unwrap())
                    };
                    let canary = side(requests, canary);
                    let stable = side(9 * requests, stable);
                    one(Reading::Histogram(Sides { canary, stable }))
                })
            });
            report(format_args!(
                "{canary} slow against {stable}, {requests} requests: {:.2} % pass",
                got.percent
            ));
            assert!(got.percent <= at_most(5.0, runs), "{canary}, {stable}");
        }
    }
}

#[test]
fn the_verdict_names_the_bound() {
    let mut random = Random::new(23);
    let fault = Fault {
        slow: 0.05,
        times: 1.0,
    };
    let watch = rollout(Service::Fast, 1.5, &fault, 1, &mut random);
    assert_eq!(watch.verdict(), Verdict::Fail);
    let Figures::Latency { worst, .. } = watch.findings()[0].figures else {
        unreachable!()
    };
    assert!((0.5..=1.0).contains(&worst.bound), "{worst:?}");
    assert!(worst.canary > 0.02 && worst.stable < 0.001, "{worst:?}");
}

#[test]
fn the_order_of_the_minutes_is_no_evidence() {
    for instances in [1, 9] {
        let mut random = Random::new(29);
        let mut minutes: Vec<_> = (0..20)
            .map(|n| {
                let slow = if n % 7 == 3 { 0.05 } else { 0.0 };
                let fault = Fault { slow, times: 1.0 };
                minute(Service::Tailed, &fault, instances, &mut random)
            })
            .collect();
        let evidence = |minutes: &[judge::Interval]| {
            let mut watch = watch(rule(1.5));
            for minute in minutes {
                watch.observe(minute).unwrap();
            }
            let (fail, pass) = watch.evidence(0).unwrap();
            [fail.ln_e, pass.ln_e]
        };
        let forth = evidence(&minutes);
        minutes.reverse();
        let back = evidence(&minutes);
        for (one, other) in forth.into_iter().zip(back) {
            assert!(
                one.is_finite() && (one - other).abs() < 1e-6,
                "{one} {other}"
            );
        }
    }
}

/// No request of either side is above 0.5 s: there is no ratio to show there.
#[test]
fn a_pass_shows_a_bound_that_is_exceeded() {
    let mut random = Random::new(28);
    let watch = rollout(Service::Fast, 1.5, &QUIET, 1, &mut random);
    assert_eq!(watch.verdict(), Verdict::Pass);
    let Figures::Latency { worst, ratio, .. } = watch.findings()[0].figures else {
        unreachable!()
    };
    assert!(worst.bound < 0.5 && worst.stable > 0.0, "{worst:?}");
    assert!(
        ratio.estimate.is_some() && ratio.high.is_finite(),
        "{ratio:?}"
    );
}

fn with_bounds(bounds: &[(f64, u64)]) -> Buckets {
    Buckets::new(bounds.iter().copied()).unwrap()
}

#[test]
fn different_bounds_are_compared_where_they_are_common() {
    let interval = |slow: u64| {
        one(Reading::Histogram(Sides {
            canary: SideData::Whole(with_bounds(&[
                (0.1, 50),
                (0.3, 100 - slow),
                (f64::INFINITY, 100),
            ])),
            stable: SideData::Whole(with_bounds(&[(0.2, 700), (0.3, 890), (f64::INFINITY, 900)])),
        }))
    };
    let mut watch = watch(rule(1.5));
    for _ in 0..10 {
        watch.observe(&interval(20)).unwrap();
    }
    assert_eq!(watch.verdict(), Verdict::Fail);
    let Figures::Latency { worst, .. } = watch.findings()[0].figures else {
        unreachable!()
    };
    assert!((worst.bound - 0.3).abs() < 1e-9);
}

#[test]
fn histograms_without_a_common_bound_decide_nothing() {
    let mut watch = watch(rule(1.5));
    for _ in 0..60 {
        let interval = one(Reading::Histogram(Sides {
            canary: SideData::Whole(with_bounds(&[(0.1, 50), (f64::INFINITY, 100)])),
            stable: SideData::Whole(with_bounds(&[(0.2, 700), (f64::INFINITY, 900)])),
        }));
        watch.observe(&interval).unwrap();
    }
    assert_eq!(watch.verdict(), Verdict::Inconclusive);
    assert!(
        watch.findings()[0]
            .reasons
            .contains(&Reason::NoCommonBounds)
    );
}

#[test]
fn a_bound_that_comes_later_is_compared_from_then_on() {
    let whole =
        |counts: &[(f64, u64)]| SideData::Whole(Buckets::new(counts.iter().copied()).unwrap());
    let interval = |canary, stable| one(Reading::Histogram(Sides { canary, stable }));
    let mut watch = watch(rule(1.5));
    let sparse = interval(
        whole(&[(10.0, 100), (f64::INFINITY, 100)]),
        whole(&[(10.0, 900), (f64::INFINITY, 900)]),
    );
    watch.observe(&sparse).unwrap();
    // A fifth of the canary's requests is slower than a second, and none of stable's.
    let slow = interval(
        whole(&[(1.0, 80), (10.0, 100), (f64::INFINITY, 100)]),
        whole(&[(1.0, 900), (10.0, 900), (f64::INFINITY, 900)]),
    );
    for _ in 0..5 {
        watch.observe(&slow).unwrap();
    }
    assert_eq!(watch.verdict(), Verdict::Fail);
    assert!(watch.decided_at().unwrap() <= 3, "{:?}", watch.decided_at());
}

/// Every request of the canary takes nine seconds, and its histogram has but such bounds in common with
/// stable's as nearly all of stable's requests are below, or above.
#[test]
fn bounds_that_tell_nothing_of_stable_let_nothing_pass() {
    let mut random = Random::new(30);
    for bounds in [&[10.0][..], &[0.005], &[0.005, 10.0]] {
        for instances in [1, 3] {
            let mut watch = watch(rule(1.5));
            for _ in 0..60 {
                let Some(Reading::Histogram(Sides { stable, .. })) =
                    &minute(Service::Tailed, &QUIET, instances, &mut random).metrics[0].reading
                else {
                    unreachable!()
                };
                let slow = bounds.iter().chain([&f64::INFINITY]).map(|bound| {
                    let within = if *bound < 9.0 { 0 } else { 1000 };
                    (*bound, within)
                });
                let interval = one(Reading::Histogram(Sides {
                    canary: SideData::Whole(Buckets::new(slow).unwrap()),
                    stable: stable.clone(),
                }));
                watch.observe(&interval).unwrap();
            }
            assert_eq!(watch.verdict(), Verdict::Inconclusive, "{bounds:?}");
            let finding = &watch.findings()[0];
            assert!(
                finding.reasons.iter().any(|reason| {
                    let lowest = bounds[0];
                    matches!(reason, Reason::BoundsTellNothing { lowest: of, .. } if of.total_cmp(&lowest).is_eq())
                }),
                "{:?}",
                finding.reasons
            );
            let Figures::Latency {
                compared,
                of_stable,
                ..
            } = finding.figures
            else {
                unreachable!()
            };
            assert_eq!((compared, of_stable), (bounds.len(), BOUNDS.len()));
        }
    }
}

/// No bound could tell more of a service that is faster than the lowest one.
#[test]
fn a_service_below_the_lowest_bound_passes_with_a_canary_that_is() {
    let run = |slow: u64| {
        let mut watch = watch(rule(1.5));
        for _ in 0..60 {
            let side = |slow: u64, of: u64| {
                SideData::Whole(with_bounds(&[
                    (0.005, of - slow),
                    (0.01, of),
                    (f64::INFINITY, of),
                ]))
            };
            let interval = one(Reading::Histogram(Sides {
                canary: side(slow, 100),
                stable: side(0, 900),
            }));
            watch.observe(&interval).unwrap();
        }
        watch.verdict()
    };
    assert_eq!(run(0), Verdict::Pass);
    assert_eq!(run(20), Verdict::Fail);
}

//! Data that must not decide, and the reason that is named.

use judge::random::Random;
use judge::sequential::{Idle, Reason, Rule, Tolerance, Verdict, Watch};
use judge::{
    Buckets, Counts, Doubt, Events, Interval, Reading, ReadingError, Sample, SideData, Sides,
};

use crate::support::{counted, counts, one, ratio, settings, watch};

fn reasons(watch: &Watch) -> Vec<Reason> {
    watch.findings()[0].reasons.clone()
}

fn by_instance(canary: &[(u64, u64)], stable: &[(u64, u64)]) -> Interval {
    let side = |parts: &[(u64, u64)]| {
        SideData::Instances(
            parts
                .iter()
                .map(|(failed, total)| counts(*failed, *total))
                .collect(),
        )
    };
    one(Reading::Ratio(Sides {
        canary: side(canary),
        stable: side(stable),
    }))
}

#[test]
fn no_interval_is_inconclusive() {
    let watch = watch(ratio(1.5, None));
    assert_eq!(watch.verdict(), Verdict::Inconclusive);
    assert!(reasons(&watch).contains(&Reason::NoData));
}

#[test]
fn no_data_never_passes() {
    let empty = Interval {
        metrics: vec![Sample::default()],
    };
    let none = one(Reading::Ratio(Sides {
        canary: SideData::Instances(Vec::<Counts>::new()),
        stable: SideData::Instances(Vec::new()),
    }));
    for (interval, reason) in [
        (empty, Reason::NoData),
        (none, Reason::NoData),
        (counted((0, 0), (0, 0)), Reason::NoRequests(Idle::Both)),
        (counted((0, 0), (5, 900)), Reason::NoRequests(Idle::Canary)),
        (counted((0, 100), (0, 0)), Reason::NoRequests(Idle::Stable)),
    ] {
        let mut watch = watch(ratio(1.5, Some(0.5)));
        for _ in 0..1000 {
            watch.observe(&interval).unwrap();
        }
        assert_eq!(watch.verdict(), Verdict::Inconclusive, "{interval:?}");
        assert!(reasons(&watch).contains(&reason));
    }
}

#[test]
fn many_intervals_without_data_keep_a_metric_from_passing() {
    let run = |gap: bool| {
        let mut watch = watch(ratio(2.0, None));
        for n in 0..60 {
            let interval = if gap && n % 4 == 3 {
                Interval {
                    metrics: vec![Sample {
                        reading: None,
                        doubts: [Doubt::Gap].into(),
                    }],
                }
            } else {
                counted((1, 100), (9, 900))
            };
            watch.observe(&interval).unwrap();
        }
        watch
    };
    assert_eq!(run(false).verdict(), Verdict::Pass);
    let watch = run(true);
    assert_eq!(watch.verdict(), Verdict::Inconclusive);
    let reasons = reasons(&watch);
    assert!(
        reasons.contains(&Reason::Missing {
            missing: 15,
            intervals: 60
        }),
        "{reasons:?}"
    );
    assert!(reasons.contains(&Reason::Doubt(Doubt::Gap)));
}

#[test]
fn doubtful_data_never_passes_and_fails_only_where_the_sides_compare() {
    for doubt in Doubt::ALL {
        for failed in [1, 30] {
            let mut watch = watch(ratio(2.0, None));
            for n in 0..60 {
                let mut interval = counted((failed, 100), (9, 900));
                if n == 0 {
                    interval.metrics[0].doubts.insert(doubt);
                }
                watch.observe(&interval).unwrap();
            }
            let verdict = if failed == 30 && !doubt.is_of_comparison() {
                Verdict::Fail
            } else {
                Verdict::Inconclusive
            };
            assert_eq!(watch.verdict(), verdict, "{doubt}");
            assert!(reasons(&watch).contains(&Reason::Doubt(doubt)));
        }
    }
}

#[test]
fn different_halves_of_stable_are_no_ground_for_a_verdict() {
    // The canary is as stable is on average, or as one of its halves.
    for (canary, stable) in [
        (0.05, &[0.1, 0.01, 0.1, 0.01][..]),
        (0.02, &[0.04, 0.002]),
        (0.01, &[0.02, 0.002]),
        (0.04, &[0.04, 0.002]),
        (0.03, &[0.05, 0.01]),
    ] {
        let mut random = Random::new(70);
        let mut wrong = Vec::new();
        for _ in 0..50 {
            let mut watch = watch(ratio(1.5, None));
            for _ in 0..60 {
                let mut draw = |rate: f64| (random.poisson(300.0 * rate), 300);
                let canary = draw(canary);
                let stable: Vec<_> = stable.iter().map(|rate| draw(*rate)).collect();
                watch.observe(&by_instance(&[canary], &stable)).unwrap();
            }
            if watch.verdict() == Verdict::Inconclusive {
                assert_eq!(reasons(&watch)[0], Reason::HalvesOfStable);
            } else {
                wrong.push((watch.verdict(), watch.decided_at()));
            }
        }
        assert!(wrong.len() <= 2, "{canary} {stable:?}: {wrong:?}");
    }
}

/// Wherever the bad instances stand in the list, and however many there are.
#[test]
fn any_split_of_stable_is_seen_before_a_pass() {
    let runs = crate::support::runs(40);
    for (canary, stable) in [
        (2.5, &[1.0, 1.0, 4.0, 4.0][..]),
        (1.0, &[1.0, 1.0, 4.0, 4.0]),
        (2.5, &[1.0, 4.0]),
        (1.0, &[1.0, 4.0]),
        (1.75, &[1.0, 1.0, 1.0, 4.0]),
        (1.0, &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 4.0, 4.0, 4.0]),
        (2.0, &[4.0, 1.0, 1.0, 1.0, 4.0, 1.0, 1.0, 4.0, 1.0]),
        (1.0, &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 6.0]),
    ] {
        for (requests, tolerance) in [(100, 1.5), (1000, 1.5), (1000, 2.0)] {
            let mut random = Random::new(70);
            let quiet = (0..runs).filter(|_| {
                let mut watch = watch(ratio(tolerance, None));
                for _ in 0..60 {
                    let mut draw =
                        |rate: f64| (random.poisson(requests as f64 * 0.01 * rate), requests);
                    let canary = draw(canary);
                    let stable: Vec<_> = stable.iter().map(|rate| draw(*rate)).collect();
                    watch.observe(&by_instance(&[canary], &stable)).unwrap();
                }
                !reasons(&watch).contains(&Reason::HalvesOfStable)
                    || watch.verdict() != Verdict::Inconclusive
            });
            let percent = 100.0 * quiet.count() as f64 / runs as f64;
            crate::support::report(format_args!(
                "{stable:?}, canary {canary}, {requests} requests, tolerance {tolerance}: \
                 {percent:.1} % not seen"
            ));
            // A canary as good as the better half is almost below the tolerance at 2.
            let most = if tolerance > 1.9 && canary < 1.1 {
                8.0
            } else {
                2.0
            };
            assert!(
                percent <= crate::support::at_most(most, runs),
                "{stable:?}, {canary}, {requests}, {tolerance}"
            );
        }
    }
}

/// Waiting for the placebo costs no time where stable is one thing.
#[test]
fn a_good_release_passes_by_instance_about_as_early_as_without() {
    let runs = crate::support::runs(60);
    for (instances, latest) in [(1, 5), (3, 9), (9, 16)] {
        let mut random = Random::new(71);
        let got = crate::support::found(Verdict::Pass, runs, |_| {
            crate::support::follow(ratio(2.0, None), &mut random, |_, random| {
                let mut draw = |total: u64| (random.poisson(total as f64 * 0.01), total);
                let each = 900 / instances;
                let canary = draw(each);
                let stable: Vec<_> = (0..instances).map(|_| draw(each)).collect();
                by_instance(&[canary], &stable)
            })
        });
        crate::support::report(format_args!(
            "a good release, {instances} instances: {:.1} % pass ({})",
            got.percent, got.median
        ));
        assert!(got.percent >= 95.0 && got.median <= latest, "{got:?}");
    }
}

#[test]
fn unequal_requests_per_instance_are_no_ground_for_a_verdict() {
    for (requests, verdict) in [(700, Verdict::Inconclusive), (550, Verdict::Pass)] {
        let mut watch = watch(ratio(2.0, None));
        for _ in 0..60 {
            let canary = (requests / 100, requests);
            watch
                .observe(&by_instance(&[canary], &[(3, 300), (3, 300), (3, 300)]))
                .unwrap();
        }
        assert_eq!(watch.verdict(), verdict);
        let is_unequal = |reason: &Reason| matches!(reason, Reason::RequestsPerInstance { .. });
        assert_eq!(
            reasons(&watch).iter().any(is_unequal),
            verdict != Verdict::Pass
        );
    }
}

#[test]
fn unequal_requests_within_the_canary_are_no_ground_for_a_verdict() {
    for (canary, verdict) in [
        (&[(3, 300), (3, 300)][..], Verdict::Pass),
        (&[(5, 500), (1, 100)], Verdict::Inconclusive),
        (&[(50, 500), (10, 100)], Verdict::Inconclusive),
    ] {
        let mut watch = watch(ratio(2.0, None));
        for _ in 0..60 {
            watch
                .observe(&by_instance(canary, &[(3, 300), (3, 300), (3, 300)]))
                .unwrap();
        }
        assert_eq!(watch.verdict(), verdict, "{canary:?}");
        let is_unequal = |reason: &Reason| matches!(reason, Reason::UnequalCanary(_));
        assert_eq!(
            reasons(&watch).iter().any(is_unequal),
            verdict != Verdict::Pass
        );
    }
}

/// A canary that is no list is one instance; one with little to do may fail, and cannot pass.
#[test]
fn a_canary_without_instances_is_one_instance() {
    let run = |requests: u64, failed: u64, stable: &[(u64, u64)]| {
        let mut watch = watch(ratio(2.0, None));
        for _ in 0..60 {
            let mut interval = by_instance(&[], stable);
            if let Some(Reading::Ratio(sides)) = &mut interval.metrics[0].reading {
                sides.canary = SideData::Whole(counts(failed, requests));
            }
            watch.observe(&interval).unwrap();
        }
        let is_unequal = reasons(&watch).iter().any(|reason| {
            matches!(
                reason,
                Reason::RequestsPerInstance { .. } | Reason::UnequalStable(_)
            )
        });
        (watch.verdict(), is_unequal)
    };
    let three = &[(3, 300); 3];
    assert_eq!(run(300, 3, three), (Verdict::Pass, false));
    assert_eq!(run(1000, 10, three), (Verdict::Inconclusive, true));
    assert_eq!(run(1000, 100, three), (Verdict::Inconclusive, true));
    assert_eq!(run(100, 1, three), (Verdict::Inconclusive, true));
    assert_eq!(run(100, 20, three), (Verdict::Fail, true));
    // One on each side: the share is the router's.
    assert_eq!(run(100, 1, &[(9, 900)]), (Verdict::Pass, false));
    let unequal = &[(8, 800), (1, 100)];
    assert_eq!(run(300, 3, unequal), (Verdict::Inconclusive, true));
}

#[test]
fn hostile_numbers_are_refused_where_they_come_in() {
    let words = Counts::from_floats(2.5, 10.0).unwrap_err().to_string();
    assert!(words.contains("whole number"), "{words}");
    for (failed, total) in [
        (f64::NAN, 1.0),
        (1.0, f64::INFINITY),
        (-1.0, 1.0),
        (2.0, 1.0),
        (1.0, 1e300),
    ] {
        assert!(
            Counts::from_floats(failed, total).is_err(),
            "{failed} of {total}"
        );
    }
    assert!(Counts::new(1, u64::MAX).is_err());
    assert!(Events::new(u64::MAX, None).is_err());
    assert!(Events::from_floats(0.5, None).is_err());
    let inf = f64::INFINITY;
    for (buckets, error) in [
        (vec![], ReadingError::NoBuckets),
        (vec![(0.1, 1)], ReadingError::NoInfiniteBucket),
        (
            vec![(0.1, 2), (inf, 1)],
            ReadingError::DecreasingBuckets { bound: inf },
        ),
        (
            vec![(0.1, 1), (0.1, 1), (inf, 1)],
            ReadingError::SameBound(0.1),
        ),
        (vec![(-inf, 0), (inf, 1)], ReadingError::Bound(-inf)),
    ] {
        assert_eq!(Buckets::new(buckets).unwrap_err(), error);
    }
    assert!(Buckets::new([(f64::NAN, 1), (inf, 1)]).is_err());
}

/// The largest numbers that are allowed leave no infinity and no NaN behind.
#[test]
fn the_largest_counts_are_counted() {
    let most = (1 << 53) - 1;
    for (canary, stable) in [
        ((most, most), (0, most)),
        ((0, most), (most, most)),
        ((most, most), (most, most)),
    ] {
        let mut watch = watch(ratio(1.5, Some(0.01)));
        for _ in 0..60 {
            watch
                .observe(&by_instance(&[canary, canary], &[stable, stable]))
                .unwrap();
        }
        let findings = watch.findings();
        assert!(
            !findings[0].fail.ln_e.is_nan() && !findings[0].pass.ln_e.is_nan(),
            "{findings:?}"
        );
    }
}

#[test]
fn a_reading_of_another_kind_is_refused() {
    let mut watch = watch(ratio(1.5, None));
    let gauge = one(Reading::Gauge {
        canary: vec![1.0],
        stable: vec![1.0],
    });
    assert!(watch.observe(&gauge).is_err());
    assert!(watch.observe(&Interval::default()).is_err());
    assert_eq!(watch.intervals(), 0);
}

fn count(tolerance: f64) -> Rule {
    Rule::Count {
        tolerance: Tolerance::new(tolerance).unwrap(),
    }
}

#[test]
fn events_without_a_total_are_compared_by_instance() {
    let events = |n: u64| Events::new(n, None).unwrap();
    let run = |canary: u64, stable: &[u64]| {
        let mut watch = Watch::new(settings([count(2.0)])).unwrap();
        for _ in 0..60 {
            watch
                .observe(&one(Reading::Count(Sides {
                    canary: SideData::Instances(vec![events(canary)]),
                    stable: SideData::Instances(stable.iter().map(|n| events(*n)).collect()),
                })))
                .unwrap();
        }
        watch.verdict()
    };
    assert_eq!(run(4, &[4, 5, 3]), Verdict::Pass);
    assert_eq!(run(20, &[4, 5, 3]), Verdict::Fail);
}

#[test]
fn events_of_which_only_some_have_a_total_are_refused() {
    let mut watch = Watch::new(settings([count(2.0)])).unwrap();
    let [with, without] = [Some(100), None].map(|total| Events::new(5, total).unwrap());
    for (canary, stable) in [(with, without), (without, with)] {
        let interval = one(Reading::Count(Sides {
            canary: SideData::Whole(canary),
            stable: SideData::Instances(vec![stable, stable]),
        }));
        let why = watch.observe(&interval).unwrap_err().to_string();
        assert!(why.contains("some events have a `total`"), "{why}");
    }
    assert_eq!(watch.intervals(), 0);
}

#[test]
fn events_without_requests_are_evidence_of_nothing() {
    let events = |(events, total)| Events::new(events, Some(total)).unwrap();
    let run = |first: Option<[(u64, u64); 2]>, instances: usize| {
        let mut watch = Watch::new(settings([count(2.0)])).unwrap();
        for [canary, stable] in first.into_iter().chain([[(6, 100), (2, 100)]; 40]) {
            let interval = one(Reading::Count(Sides {
                canary: SideData::Whole(events(canary)),
                stable: SideData::Instances(vec![events(stable); instances]),
            }));
            watch.observe(&interval).unwrap();
        }
        let (fail, pass) = watch.evidence(0).unwrap();
        assert_ne!(watch.verdict(), Verdict::Pass);
        [fail.ln_e, pass.ln_e]
    };
    for instances in [1, 3] {
        let without = run(None, instances);
        for sides in [[(6, 100), (90, 0)], [(90, 0), (2, 100)], [(90, 0), (90, 0)]] {
            let with = run(Some(sides), instances);
            for (one, other) in with.into_iter().zip(without) {
                // Stable's instances alone say something of how errors vary.
                assert!((one - other).abs() < 0.5, "{sides:?}: {with:?} {without:?}");
            }
        }
    }
    // Nor where stable's instances are known only once the canary has none any more.
    let mut watch = Watch::new(settings([count(2.0)])).unwrap();
    let whole = SideData::Whole(events((1, 300)));
    let instances = SideData::Instances(vec![events((1, 100)); 3]);
    for (canary, stable) in [
        ((4, 100), &whole),
        ((3, 0), &instances),
        ((3, 0), &instances),
    ] {
        let interval = one(Reading::Count(Sides {
            canary: SideData::Whole(events(canary)),
            stable: stable.clone(),
        }));
        watch.observe(&interval).unwrap();
    }
    assert_ne!(watch.verdict(), Verdict::Pass);
}

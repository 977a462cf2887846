//! Errors in clusters: their variance is several times their mean.

use judge::random::Random;
use judge::sequential::{Assumption, Figures, Reason, Verdict};
use judge::{Counts, Reading, SideData, Sides};

use crate::support::{BadTimes, at_most, counts, one, ratio, report, runs, watch};

struct Clustered {
    canary: u64,
    stable: u64,
    rate: f64,
    variance: f64,
    instances: u64,
}

impl Clustered {
    fn draw(&self, times: f64, random: &mut Random) -> judge::Interval {
        let mut failed = |total: u64, rate: f64| -> Counts {
            counts(
                random.negative_binomial(total as f64 * rate, self.variance),
                total,
            )
        };
        let each = self.stable / self.instances;
        // Instances with as many requests each.
        let of_canary = (self.canary / each).max(1);
        let canary = (0..of_canary)
            .map(|_| failed(self.canary / of_canary, self.rate * times))
            .collect();
        let stable = (0..self.instances)
            .map(|_| failed(each, self.rate))
            .collect();
        one(Reading::Ratio(Sides {
            canary: SideData::Instances(canary),
            stable: SideData::Instances(stable),
        }))
    }

    /// With a canary that has the load of an instance of stable: less is no ground for a pass.
    fn loaded(&self) -> Clustered {
        Clustered {
            canary: self.canary.max(self.stable / self.instances),
            ..*self
        }
    }
}

/// Wrong verdicts in per cent: a fail at equal rates, a pass at the tolerance.
fn wrong(traffic: &Clustered, verdict: Verdict, times: f64, runs: u64) -> f64 {
    let mut random = Random::new(7);
    let wrong = (0..runs).filter(|_| {
        let mut watch = watch(ratio(if times > 1.0 { times } else { 1.01 }, None));
        (0..60).any(|_| {
            watch.observe(&traffic.draw(times, &mut random)).unwrap();
            let (fail, pass) = watch.evidence(0).unwrap();
            match verdict {
                Verdict::Fail => fail.ln_e >= fail.limit,
                _ => pass.ln_e >= pass.limit,
            }
        })
    });
    100.0 * wrong.count() as f64 / runs as f64
}

#[test]
fn clustered_errors_of_a_quiet_canary_fail_in_at_most_two_of_a_hundred_rollouts() {
    let runs = runs(12);
    for (canary, stable, rate) in [
        (100, 900, 0.01),
        (500, 500, 0.05),
        (1000, 9000, 0.01),
        (100, 900, 0.002),
    ] {
        for variance in [3.0, 10.0] {
            for instances in [2, 3, 5, 9] {
                let traffic = Clustered {
                    canary,
                    stable,
                    rate,
                    variance,
                    instances,
                };
                let fails = wrong(&traffic, Verdict::Fail, 1.0, runs);
                let passes = wrong(&traffic.loaded(), Verdict::Pass, 2.0, runs);
                report(format_args!(
                    "{canary}+{stable}, {rate}, variance {variance}, {instances} instances: \
                     false fail {fails:.2} %, false pass {passes:.2} %"
                ));
                assert!(
                    fails <= at_most(2.0, runs),
                    "{variance}, {instances}: {fails} %"
                );
                assert!(
                    passes <= at_most(5.0, runs),
                    "{variance}, {instances}: {passes} %"
                );
            }
        }
    }
}

#[test]
fn clusters_delay_the_verdict_of_a_bad_release_and_do_not_hide_it() {
    let runs = runs(40);
    for (variance, latest) in [(1.0, 3), (3.0, 5), (10.0, 13)] {
        let traffic = Clustered {
            canary: 1000,
            stable: 9000,
            rate: 0.01,
            variance,
            instances: 3,
        };
        let mut random = Random::new(8);
        let got = crate::support::found(Verdict::Fail, runs, |_| {
            crate::support::follow(ratio(1.01, None), &mut random, |_, random| {
                traffic.draw(3.0, random)
            })
        });
        report(format_args!(
            "three times worse, variance {variance}: {:.1} % ({})",
            got.percent, got.median
        ));
        assert!(got.median <= latest, "{variance}: {got:?}");
    }
}

/// Where stable is known by instance and its errors are independent, that has to be seen first: at
/// least as early as the earlier one of Kayenta's two variants, all the same.
#[test]
fn independent_errors_by_instance_are_found_as_early_as_by_kayenta() {
    let runs = runs(100);
    for (canary, stable, rate, times, kayenta) in [
        (100, 900, 0.01, 2.0, 29),
        (100, 900, 0.01, 3.0, 8),
        (100, 900, 0.01, 10.0, 5),
        (1000, 9000, 0.01, 1.5, 8),
        (1000, 9000, 0.01, 2.0, 5),
        (20, 180, 0.01, 3.0, 33),
        (20, 180, 0.01, 5.0, 33),
        (100, 900, 0.001, 5.0, 30),
        (100, 900, 0.001, 10.0, 24),
    ] {
        for instances in [2, 3, 5, 9] {
            let traffic = Clustered {
                canary,
                stable,
                rate,
                variance: 1.0,
                instances,
            };
            let mut random = Random::new(11);
            let got = crate::support::found(Verdict::Fail, runs, |_| {
                crate::support::follow(ratio(1.01, None), &mut random, |_, random| {
                    traffic.draw(times, random)
                })
            });
            report(format_args!(
                "{canary}+{stable}, {rate}, {times} times, independent, {instances} instances: \
                 {:.1} % ({})",
                got.percent, got.median
            ));
            // The median of a hundred runs is off by an interval in eight or nine of them.
            let latest = kayenta + kayenta / 8;
            assert!(got.median <= latest, "{times} times {rate}: {got:?}");
        }
    }
}

/// One interval of one instance: a tenth of its requests fail.
#[test]
fn bursts_of_errors_on_both_sides_fail_in_at_most_two_of_a_hundred_rollouts() {
    let runs = runs(60);
    for (often, instances) in [(0.03, 2), (0.03, 3), (0.03, 9), (0.1, 9)] {
        let mut random = Random::new(12);
        let got = crate::support::found(Verdict::Fail, runs, |_| {
            crate::support::follow(ratio(1.01, None), &mut random, |_, random| {
                let mut side = |total: u64| {
                    let burst = if random.uniform() < often { 0.1 } else { 0.0 };
                    counts(random.poisson(total as f64 * (0.01 + burst)), total)
                };
                let canary = SideData::Whole(side(100));
                let stable = (0..instances).map(|_| side(900 / instances)).collect();
                one(Reading::Ratio(Sides {
                    canary,
                    stable: SideData::Instances(stable),
                }))
            })
        });
        report(format_args!(
            "bursts of errors in {often} of {instances} instances' minutes: {:.2} % false",
            got.percent
        ));
        assert!(got.percent <= at_most(2.0, runs), "{often}, {instances}");
    }
}

/// Of the canary, with so many times the errors, and of each instance of stable.
fn minute_of_bad_times(
    (canary, each): (u64, u64),
    times: f64,
    bad: &mut [BadTimes],
    random: &mut Random,
) -> judge::Interval {
    let instances = bad.len();
    let mut side = |nth: usize, total: u64, times: f64| {
        let burst = if bad[nth].is_bad(random) { 0.1 } else { 0.0 };
        let failed = random.poisson(total as f64 * times * (0.01 + burst));
        counts(failed, total)
    };
    let canary = SideData::Whole(side(0, canary, times));
    let stable = (1..instances).map(|nth| side(nth, each, 1.0)).collect();
    one(Reading::Ratio(Sides {
        canary,
        stable: SideData::Instances(stable),
    }))
}

/// One instance after the other has several bad minutes in a row.
#[test]
fn bursts_that_last_for_minutes_are_rarely_taken_for_a_bad_release() {
    let runs = runs(60);
    // At the start nothing tells them from one: a rollout begins within one more often, the longer they
    // are.
    for (lasting, most) in [(1, 2.0), (2, 2.0), (3, 4.0), (4, 6.0), (5, 7.0)] {
        for (instances, each) in [(2, 450), (2, 100), (3, 300), (5, 180), (9, 100)] {
            let wrong = |verdict, requests, tolerance: f64, times| {
                let mut random = Random::new(13);
                let found = crate::support::found(verdict, runs, |_| {
                    let mut bad: Vec<_> = (0..=instances)
                        .map(|_| BadTimes::new(0.01, lasting, &mut random))
                        .collect();
                    crate::support::follow(ratio(tolerance, None), &mut random, |_, random| {
                        minute_of_bad_times((requests, each), times, &mut bad, random)
                    })
                });
                found.percent
            };
            let any = wrong(Verdict::Fail, 100, 1.01, 1.0);
            let half = wrong(Verdict::Fail, 100, 1.5, 1.0);
            let passes = wrong(Verdict::Pass, each, 2.0, 2.0);
            report(format_args!(
                "bursts of {lasting} minutes, {instances} instances of {each}: false fail {any:.2} % at \
                 1.01, {half:.2} % at 1.5, false pass {passes:.2} % at 2"
            ));
            assert!(
                any <= at_most(most, runs),
                "{lasting}, {instances}: {any} %"
            );
            assert!(
                half <= at_most(most / 2.0, runs),
                "{lasting}, {instances}: {half} %"
            );
            assert!(
                passes <= at_most(5.0, runs),
                "{lasting}, {instances}: {passes} %"
            );
        }
    }
}

#[test]
fn halves_of_stable_that_are_alike_stay_quiet() {
    let runs = runs(20);
    for (stable, rate) in [(900, 0.01), (9000, 0.01), (900, 0.001)] {
        for variance in [1.0, 3.0, 10.0] {
            for instances in [2, 3, 9] {
                let traffic = Clustered {
                    canary: stable / 9,
                    stable,
                    rate,
                    variance,
                    instances,
                };
                let mut random = Random::new(10);
                let loud = (0..runs).filter(|_| {
                    let mut watch = watch(ratio(1.01, None));
                    for _ in 0..60 {
                        watch.observe(&traffic.draw(1.0, &mut random)).unwrap();
                    }
                    watch.findings()[0]
                        .reasons
                        .contains(&Reason::HalvesOfStable)
                });
                let percent = 100.0 * loud.count() as f64 / runs as f64;
                report(format_args!(
                    "halves of {stable} at {rate}, variance {variance}, {instances} instances: \
                     {percent:.2} % loud"
                ));
                assert!(percent <= at_most(1.0, runs), "{variance}, {instances}");
            }
        }
    }
}

#[test]
fn the_assumption_is_part_of_the_report() {
    let traffic = Clustered {
        canary: 1000,
        stable: 9000,
        rate: 0.01,
        variance: 3.0,
        instances: 5,
    };
    let mut random = Random::new(9);
    let mut by_instance = watch(ratio(1.5, None));
    let mut as_a_whole = watch(ratio(1.5, None));
    for _ in 0..60 {
        by_instance
            .observe(&traffic.draw(1.0, &mut random))
            .unwrap();
        as_a_whole
            .observe(&crate::support::counted((10, 1000), (90, 9000)))
            .unwrap();
    }
    let assumption = |watch: &judge::sequential::Watch| match watch.findings()[0].figures {
        Figures::Rates { assumption, .. } => assumption,
        _ => unreachable!(),
    };
    assert_eq!(assumption(&as_a_whole), Assumption::Independent);
    let Assumption::Variance(variance) = assumption(&by_instance) else {
        unreachable!()
    };
    assert!((2.5..6.0).contains(&variance), "{variance}");
}

/// Of a hundred requests each, at the canary and at three instances of stable.
const MONOTONE: [(u64, [u64; 3]); 11] = [
    (5, [0, 2, 1]),
    (6, [0, 1, 1]),
    (5, [0, 1, 1]),
    (0, [0, 0, 2]),
    (1, [1, 2, 0]),
    (0, [2, 1, 2]),
    (9, [2, 2, 1]),
    (7, [0, 0, 0]),
    (8, [0, 1, 1]),
    (9, [1, 0, 1]),
    (7, [1, 1, 1]),
];

/// Six errors more in the first interval change which intervals are taken for a spell.
#[test]
fn more_errors_of_the_canary_do_not_take_a_fail_back() {
    let run = |first: u64| {
        let mut watch = watch(ratio(1.01, None));
        for (failed, stable) in MONOTONE {
            let failed = if watch.intervals() == 0 {
                first
            } else {
                failed
            };
            let stable = stable.map(|failed| counts(failed, 100));
            let reading = Reading::Ratio(Sides {
                canary: SideData::Whole(counts(failed, 100)),
                stable: SideData::Instances(stable.into()),
            });
            watch.observe(&one(reading)).unwrap();
        }
        watch.verdict()
    };
    for (less, more) in (0..60).zip(1..) {
        assert!(run(less) <= run(more), "{less}");
    }
}

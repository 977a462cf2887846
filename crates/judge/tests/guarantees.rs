//! The error bounds hold, whatever the background does.

use judge::random::Random;
use judge::sequential::Verdict;

use crate::support::{Minute, at_most, counted, follow, found, ratio, report, runs};

const fn minute(canary: u64, stable: u64, rate: f64) -> Minute {
    Minute {
        canary,
        stable,
        rate,
    }
}

/// A rollout's traffic, minute by minute.
type Scenario = (&'static str, fn(u32) -> Minute);

const SCENARIOS: [Scenario; 9] = [
    ("20+180, 1 %", |_| minute(20, 180, 0.01)),
    ("100+900, 1 %", |_| minute(100, 900, 0.01)),
    ("100+900, 0.1 %", |_| minute(100, 900, 0.001)),
    ("1000+9000, 1 %", |_| minute(1000, 9000, 0.01)),
    ("500+500, 3 %", |_| minute(500, 500, 0.03)),
    ("drift, 0.2 % to 5 %", |n| {
        minute(100, 900, 0.002 + 0.0008 * f64::from(n))
    }),
    ("drift, up and down", |n| {
        minute(100, 900, 0.01 * (1.1 + (f64::from(n) / 5.0).sin()))
    }),
    ("ramp, rising background", |n| match n {
        0..10 => minute(100, 900, 0.005),
        10..20 => minute(250, 750, 0.01),
        _ => minute(500, 500, 0.03),
    }),
    ("ramp, falling background", |n| match n {
        0..10 => minute(100, 900, 0.03),
        10..20 => minute(250, 750, 0.01),
        _ => minute(500, 500, 0.005),
    }),
];

#[test]
fn a_quiet_canary_fails_in_at_most_one_of_a_hundred_rollouts() {
    let runs = runs(200);
    for (name, traffic) in SCENARIOS {
        // Only the test for a fail is watched: a pass would end the run before a false alarm.
        let mut random = Random::new(1);
        let fails = (0..runs).filter(|_| {
            let mut watch = crate::support::watch(ratio(1.01, None));
            (0..60).any(|n| {
                watch.observe(&traffic(n).draw(1.0, &mut random)).unwrap();
                let (fail, _) = watch.evidence(0).unwrap();
                fail.ln_e >= fail.limit
            })
        });
        let percent = 100.0 * fails.count() as f64 / runs as f64;
        report(format_args!("false fail, {name}: {percent:.2} %"));
        assert!(percent <= at_most(1.0, runs), "{name}: {percent} %");
    }
}

#[test]
fn a_canary_at_the_tolerance_passes_in_at_most_one_of_twenty_rollouts() {
    let runs = runs(200);
    for (name, traffic) in SCENARIOS {
        for tolerance in [1.5, 2.0] {
            let mut random = Random::new(2);
            let passes = (0..runs).filter(|_| {
                let mut watch = crate::support::watch(ratio(tolerance, None));
                (0..60).any(|n| {
                    watch
                        .observe(&traffic(n).draw(tolerance, &mut random))
                        .unwrap();
                    let (_, pass) = watch.evidence(0).unwrap();
                    pass.ln_e >= pass.limit
                })
            });
            let percent = 100.0 * passes.count() as f64 / runs as f64;
            report(format_args!(
                "false pass at {tolerance}, {name}: {percent:.2} %"
            ));
            assert!(percent <= at_most(5.0, runs), "{name}: {percent} %");
        }
    }
}

/// Both limits at once: at the absolute limit, with a ratio that is harm.
#[test]
fn an_absolute_limit_keeps_both_bounds() {
    let runs = runs(200);
    for (rate, canary_rate, wrong, bound) in [
        // Five times stable's, and exactly what is allowed at most: no fail.
        (0.002, 0.01, Verdict::Fail, 1.0),
        // Exactly at both limits: no pass.
        (0.005, 0.01, Verdict::Pass, 5.0),
    ] {
        let mut random = Random::new(3);
        let traffic = minute(100, 900, rate);
        let got = found(wrong, runs, |_| {
            follow(ratio(2.0, Some(0.01)), &mut random, |_, random| {
                traffic.draw(canary_rate / rate, random)
            })
        });
        report(format_args!(
            "at the absolute limit, wrong {wrong:?}: {:.2} %",
            got.percent
        ));
        assert!(got.percent <= at_most(bound, runs), "{got:?}");
    }
}

/// Requests that fail one by one, however many do: nothing is assumed to be rare.
#[test]
fn frequent_errors_keep_both_bounds() {
    let runs = runs(40).min(2000);
    for (rate, ratio_of_rates) in [(0.2, 2.0), (0.4, 1.5), (0.6, 1.5), (0.9, 1.05)] {
        let mut random = Random::new(5);
        let mut interval = |times: f64| {
            let mut failed = |total: u64, rate: f64| {
                let failed = (0..total).filter(|_| random.uniform() < rate);
                (failed.count() as u64, total)
            };
            let canary = failed(100, (rate * times).min(1.0));
            counted(canary, failed(300, rate))
        };
        let (mut fails, mut passes) = (0, 0);
        for _ in 0..runs {
            let mut quiet = crate::support::watch(ratio(1.01, None));
            let mut bad = crate::support::watch(ratio(ratio_of_rates, None));
            for _ in 0..60 {
                quiet.observe(&interval(1.0)).unwrap();
                bad.observe(&interval(ratio_of_rates)).unwrap();
            }
            fails += u64::from(quiet.verdict() == Verdict::Fail);
            passes += u64::from(bad.verdict() == Verdict::Pass);
        }
        let [fails, passes] = [fails, passes].map(|n| 100.0 * n as f64 / runs as f64);
        report(format_args!(
            "{rate} fail: false fail {fails:.2} %, false pass {passes:.2} %"
        ));
        assert!(
            fails <= at_most(1.0, runs) && passes <= at_most(5.0, runs),
            "{rate}"
        );
    }
}

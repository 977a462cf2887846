//! How fast a bad release is found: against the figures measured for Kayenta on the same traffic
//! (its two variants, a baseline of the same size and all of stable; the faster one counts).

use judge::random::Random;
use judge::sequential::Verdict;

use crate::support::{Minute, follow, found, ratio, report, runs};

#[test]
fn every_row_is_found_at_least_as_early_as_by_kayenta() {
    let runs = runs(60);
    for (canary, stable, rate, times, kayenta) in [
        (100, 900, 0.01, 2.0, Some(29)),
        (100, 900, 0.01, 3.0, Some(8)),
        (100, 900, 0.01, 10.0, Some(5)),
        (1000, 9000, 0.01, 1.5, Some(8)),
        (1000, 9000, 0.01, 2.0, Some(5)),
        (20, 180, 0.01, 3.0, Some(33)),
        (20, 180, 0.01, 5.0, Some(33)),
        // Kayenta finds it in less than half of the rollouts.
        (100, 900, 0.001, 3.0, None),
        (100, 900, 0.001, 5.0, Some(30)),
        (100, 900, 0.001, 10.0, Some(24)),
    ] {
        let traffic = Minute {
            canary,
            stable,
            rate,
        };
        let mut random = Random::new(4);
        let got = found(Verdict::Fail, runs, |_| {
            follow(ratio(1.01, None), &mut random, |_, random| {
                traffic.draw(times, random)
            })
        });
        report(format_args!(
            "{canary}+{stable}, {rate}, {times} times: {:.1} % ({})",
            got.percent, got.median
        ));
        assert!(
            got.median <= kayenta.unwrap_or(60),
            "{times} times {rate}: {got:?}"
        );
        assert!(kayenta.is_some() || got.percent > 28.0, "{got:?}");
    }
}

#[test]
fn a_release_twice_as_bad_is_found_during_a_ramp_on_a_moving_background() {
    let runs = runs(100);
    for (name, rates) in [
        ("rising", [0.005, 0.01, 0.03]),
        ("falling", [0.03, 0.01, 0.005]),
    ] {
        let mut random = Random::new(5);
        let mut detect = |times: f64| {
            found(Verdict::Fail, runs, |_| {
                let mut watch = crate::support::watch(ratio(1.01, None));
                for n in 0..30 {
                    let (canary, stable) = [(100, 900), (250, 750), (500, 500)][n / 10];
                    let traffic = Minute {
                        canary,
                        stable,
                        rate: rates[n / 10],
                    };
                    watch.observe(&traffic.draw(times, &mut random)).unwrap();
                }
                watch
            })
        };
        let (quiet, bad) = (detect(1.0), detect(2.0));
        report(format_args!(
            "ramp, {name}: false {:.2} %, found {:.1} % ({})",
            quiet.percent, bad.percent, bad.median
        ));
        assert!(
            quiet.percent <= crate::support::at_most(1.0, runs),
            "{name}: {quiet:?}"
        );
        assert!(bad.percent >= 95.0, "{name}: {bad:?}");
    }
}

#[test]
fn a_good_release_passes() {
    let runs = runs(60);
    let traffic = Minute {
        canary: 100,
        stable: 900,
        rate: 0.01,
    };
    let mut random = Random::new(6);
    let got = found(Verdict::Pass, runs, |_| {
        follow(ratio(2.0, None), &mut random, |_, random| {
            traffic.draw(1.0, random)
        })
    });
    report(format_args!(
        "pass of a good release: {:.1} % ({})",
        got.percent, got.median
    ));
    assert!(got.percent >= 98.0 && got.median <= 13, "{got:?}");
}

//! Plans, held against simulated rollouts.

use judge::random::Random;
use judge::sequential::{Reach, Tolerance, Traffic, Verdict, Watch, plan};

use crate::support::{Minute, at_least, chance, ratio, report, runs, settings};

/// Requests a minute with their rates of errors.
const SERVICES: [(f64, f64); 9] = [
    (100.0, 0.01),
    (100.0, 0.05),
    (1000.0, 0.001),
    (1000.0, 0.01),
    (1000.0, 0.02),
    (1000.0, 0.05),
    (10_000.0, 0.001),
    (10_000.0, 0.01),
    (10_000.0, 0.05),
];

fn traffic(requests: f64, share: f64, rate: f64, tolerance: f64) -> Traffic {
    Traffic {
        requests,
        share: chance(share),
        rate,
        tolerance: Tolerance::new(tolerance).unwrap(),
        at_most: None,
        alpha: chance(0.01),
        beta: chance(0.05),
        deadline: 60,
    }
}

/// Of so many single rollouts with the planned traffic the part that takes half to twice the planned
/// time, in per cent. What ends otherwise, or not, is outside.
fn near(planned: u32, traffic: &Traffic, times: f64, verdict: Verdict, runs: u64) -> f64 {
    let mut random = Random::new(50);
    let canary = traffic.requests * traffic.share.get();
    let mut minute = Minute {
        canary: 0,
        stable: 0,
        rate: traffic.rate,
    };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small numbers"
    )]
    {
        minute.canary = canary as u64;
        minute.stable = (traffic.requests - canary) as u64;
    }
    let mut settings = settings([ratio(traffic.tolerance.get(), None)]);
    settings.deadline = Some(traffic.deadline);
    let near = (0..runs).filter(|_| {
        let mut watch = Watch::new(settings.clone()).unwrap();
        let end = (1..=2 * planned).find(|_| {
            watch.observe(&minute.draw(times, &mut random)).unwrap();
            watch.decided_at().is_some()
        });
        end.is_some_and(|end| 2 * end >= planned && watch.verdict() == verdict)
    });
    100.0 * near.count() as f64 / runs as f64
}

/// Single rollouts, not their median. A pass takes a planned time because it needs a least number of
/// errors of stable. The time until a fail is spread by chance: what decides is a few errors of
/// the canary. A bad release is not held up for the sake of the plan.
#[test]
fn single_rollouts_take_half_to_twice_the_planned_time() {
    let runs = runs(40).min(500);
    let mut of_all = [(0.0, 0.0); 3];
    for (requests, rate) in SERVICES {
        for share in [0.1, 0.25, 0.5] {
            for tolerance in [1.5, 2.0] {
                let mut traffic = traffic(requests, share, rate, tolerance);
                traffic.deadline = 240;
                let plan = plan(&traffic).unwrap();
                let kinds = [
                    (plan.pass, 1.0, Verdict::Pass, 80.0),
                    (plan.twice, 2.0, Verdict::Fail, 60.0),
                    (plan.fivefold, 5.0, Verdict::Fail, 60.0),
                ];
                for (kind, (reach, times, verdict, least)) in kinds.into_iter().enumerate() {
                    let Reach::Within { typical, .. } = reach else {
                        continue;
                    };
                    let percent = near(typical, &traffic, times, verdict, runs);
                    report(format_args!(
                        "{requests} at {share}, {rate}, tolerance {tolerance}, {times} times: \
                         {reach:?}, {percent:.1} % within half to twice"
                    ));
                    assert!(percent >= at_least(least, runs), "{traffic:?} {times}");
                    of_all[kind].0 += percent;
                    of_all[kind].1 += 1.0;
                }
            }
        }
    }
    let mean = |(sum, number): (f64, f64)| sum / number;
    report(format_args!(
        "pass {:.1} %, twice {:.1} %, five times {:.1} %",
        mean(of_all[0]),
        mean(of_all[1]),
        mean(of_all[2])
    ));
    assert!(mean(of_all[0]) > 84.0 && mean(of_all[2]) > 78.0);
}

#[test]
fn what_the_traffic_cannot_show_is_not_promised() {
    let little = plan(&traffic(100.0, 0.1, 0.001, 1.5)).unwrap();
    assert!(matches!(little.pass, Reach::Beyond { .. }), "{little:?}");
    let nothing = plan(&traffic(100.0, 0.1, 0.0, 1.5)).unwrap();
    assert_eq!(nothing.pass, Reach::Beyond { needed: None });
    let tolerant = plan(&traffic(10_000.0, 0.1, 0.01, 3.0)).unwrap();
    assert_eq!(tolerant.twice, Reach::Tolerated);
    assert!(matches!(tolerant.fivefold, Reach::Within { .. }));
    for requests in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(plan(&traffic(requests, 0.1, 0.01, 1.5)).is_err());
    }
}

#[test]
fn an_absolute_limit_lets_a_service_without_errors_pass() {
    let mut quiet = traffic(1000.0, 0.1, 0.0, 1.5);
    quiet.at_most = Some(chance(0.01));
    let Reach::Within { median, .. } = plan(&quiet).unwrap().pass else {
        panic!()
    };
    assert!((4..=5).contains(&median), "{median}");
}

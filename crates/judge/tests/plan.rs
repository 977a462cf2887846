//! Plans, held against simulated rollouts.

use judge::random::Random;
use judge::sequential::{Reach, Tolerance, Traffic, Verdict, plan};

use crate::support::{Minute, chance, follow, ratio, report, runs};

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

#[test]
fn rollouts_take_half_to_twice_the_planned_time() {
    let runs = runs(40).min(500);
    for (requests, share, rate, tolerance, times) in [
        (1000.0, 0.1, 0.01, 2.0, 1.0),
        (1000.0, 0.5, 0.01, 1.5, 1.0),
        (1000.0, 0.1, 0.02, 1.5, 1.0),
        (1000.0, 0.1, 0.01, 1.5, 5.0),
        (2000.0, 0.2, 0.01, 1.01, 2.0),
        (1000.0, 0.1, 0.01, 1.01, 2.0),
    ] {
        let plan = plan(&traffic(requests, share, rate, tolerance)).unwrap();
        let (reach, verdict) = match times {
            1.0 => (plan.pass, Verdict::Pass),
            2.0 => (plan.twice, Verdict::Fail),
            _ => (plan.fivefold, Verdict::Fail),
        };
        let Reach::Within { median, .. } = reach else {
            panic!("{reach:?}")
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small numbers"
        )]
        let canary = (requests * share) as u64;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small numbers"
        )]
        let minute = Minute {
            canary,
            stable: requests as u64 - canary,
            rate,
        };
        let mut random = Random::new(50);
        let mut taken: Vec<u32> = (0..runs)
            .filter_map(|_| {
                let rule = ratio(tolerance, None);
                let watch = follow(rule, &mut random, |_, random| minute.draw(times, random));
                watch.decided_at().filter(|_| watch.verdict() == verdict)
            })
            .collect();
        taken.sort_unstable();
        let realised = taken[taken.len() / 2];
        let near = taken
            .iter()
            .filter(|time| 2 * **time >= median && **time <= 2 * median);
        let percent = 100.0 * near.count() as f64 / runs as f64;
        report(format_args!(
            "{requests} at {share}, {rate}, tolerance {tolerance}, {times} times: planned {reach:?}, median {realised}, \
             {percent:.1} % within half to twice"
        ));
        assert!(
            2 * realised >= median && realised <= 2 * median,
            "{reach:?} {realised}"
        );
    }
}

/// Whatever the traffic: the median of a few rollouts is near the planned one.
#[test]
fn plans_for_any_traffic_come_true() {
    let plans = runs(8).min(500);
    let mut random = Random::new(51);
    let mut near = 0;
    for _ in 0..plans {
        let mut between = |low: f64, high: f64| low * (high / low).powf(random.uniform());
        let (requests, rate) = (between(500.0, 20_000.0).round(), between(0.002, 0.05));
        let (share, tolerance) = (between(0.1, 0.5), between(1.3, 3.0));
        let plan = plan(&traffic(requests, share, rate, tolerance)).unwrap();
        let (times, reach) = match plan.pass {
            Reach::Within { .. } => (1.0, plan.pass),
            _ => (5.0, plan.fivefold),
        };
        let Reach::Within { median, .. } = reach else {
            near += 1;
            continue;
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small numbers"
        )]
        let canary = (requests * share) as u64;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small numbers"
        )]
        let stable = requests as u64 - canary;
        let minute = Minute {
            canary,
            stable,
            rate,
        };
        let mut taken: Vec<u32> = (0..15)
            .map(|_| {
                let rule = ratio(tolerance, None);
                let watch = follow(rule, &mut random, |_, random| minute.draw(times, random));
                watch.decided_at().unwrap_or(u32::MAX)
            })
            .collect();
        taken.sort_unstable();
        let realised = taken[7];
        near += u64::from(realised.saturating_mul(2) >= median && realised <= 2 * median);
    }
    let percent = 100.0 * near as f64 / plans as f64;
    report(format_args!(
        "{percent:.1} % of {plans} plans within half to twice"
    ));
    assert!(percent >= 80.0, "{percent} %");
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

//! Plans, held against simulated rollouts.

use judge::random::Random;
use judge::sequential::{
    Chance, IntervalsToVerdict, Rule, Tolerance, Traffic, Verdict, Watch, plan, plan_latency,
};
use judge::{Buckets, Reading, SideData, Sides};

use crate::support::{Minute, at_least, chance, one, ratio, report, runs, settings};

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

/// When single rollouts with the planned traffic end with a verdict, up to an interval; `None` where they
/// end otherwise, or not.
fn ends(
    until: u32,
    traffic: &Traffic,
    times: f64,
    verdict: Verdict,
    runs: u64,
) -> Vec<Option<u32>> {
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
    let at_most = traffic.at_most.map(Chance::get);
    let mut settings = settings([ratio(traffic.tolerance.get(), at_most)]);
    settings.deadline = Some(traffic.deadline);
    let end = |_| {
        let mut watch = Watch::new(settings.clone()).unwrap();
        let end = (1..=until).find(|_| {
            watch.observe(&minute.draw(times, &mut random)).unwrap();
            watch.decided_at().is_some()
        });
        end.filter(|_| watch.verdict() == verdict)
    };
    (0..runs).map(end).collect()
}

/// As `healthgate plan` tells one number.
const NEAR: u32 = 83;

/// In per cent of all.
fn within(ends: &[Option<u32>], from: u32, to: u32) -> f64 {
    let within = ends
        .iter()
        .flatten()
        .filter(|end| (from..=to).contains(*end));
    100.0 * within.count() as f64 / ends.len() as f64
}

/// Single rollouts, not their median. A pass takes a planned time because it needs a least number of
/// errors of stable: at least eight of ten take half to twice of one number. The time until a fail is
/// spread by chance: what decides is a few errors of the canary, and a bad release is not held up for the
/// sake of the plan. There the plan has a range, which at least eight of ten are in.
#[test]
fn eight_of_ten_rollouts_end_when_they_are_planned_to() {
    let runs = runs(60).min(500);
    let mut of_all = [(0.0, 0.0); 3];
    let mut one_number = (0, 0);
    for (requests, rate) in SERVICES {
        for share in [0.1, 0.25, 0.5] {
            for (tolerance, at_most) in
                [(1.5, None), (2.0, None), (1.5, Some(2.5)), (1.5, Some(4.0))]
            {
                let mut traffic = traffic(requests, share, rate, tolerance);
                traffic.at_most = at_most.map(|times| chance(times * rate));
                traffic.deadline = 240;
                let plan = plan(&traffic).unwrap();
                let kinds = [
                    (plan.pass, 1.0, Verdict::Pass),
                    (plan.twice, 2.0, Verdict::Fail),
                    (plan.fivefold, 5.0, Verdict::Fail),
                ];
                for (kind, (reach, times, verdict)) in kinds.into_iter().enumerate() {
                    let IntervalsToVerdict::Within {
                        typical,
                        near_typical,
                        earliest,
                        latest,
                        ..
                    } = reach
                    else {
                        continue;
                    };
                    let until = latest.max(2 * typical).min(2000);
                    let ends = ends(until, &traffic, times, verdict, runs);
                    let near = within(&ends, typical.div_ceil(2), 2 * typical);
                    let between = within(&ends, earliest, latest);
                    report(format_args!(
                        "{requests} at {share}, {rate}, tolerance {tolerance} or {at_most:?}, {times} times: \
                         {reach:?}, {near:.1} % within half to twice, {between:.1} % in between"
                    ));
                    assert!(between >= at_least(80.0, runs), "{traffic:?} {times}");
                    // Told as one number, it holds; and nearly every pass is.
                    let is_one_number = near_typical >= NEAR;
                    assert!(
                        !is_one_number || near >= at_least(80.0, runs),
                        "{traffic:?} {times}"
                    );
                    assert!(
                        verdict == Verdict::Fail || near >= at_least(80.0, runs),
                        "{traffic:?} {times}"
                    );
                    if verdict == Verdict::Fail {
                        one_number.0 += u32::from(is_one_number);
                        one_number.1 += 1;
                    }
                    assert!(earliest <= typical && typical <= latest, "{reach:?}");
                    of_all[kind].0 += if verdict == Verdict::Pass {
                        near
                    } else {
                        between
                    };
                    of_all[kind].1 += 1.0;
                }
            }
        }
    }
    let mean = |(sum, number): (f64, f64)| sum / number;
    report(format_args!(
        "pass {:.1} % within half to twice, twice {:.1} % in between, five times {:.1} %",
        mean(of_all[0]),
        mean(of_all[1]),
        mean(of_all[2])
    ));
    report(format_args!(
        "{} of {} times until a fail are one number",
        one_number.0, one_number.1
    ));
    assert!(of_all.map(mean).iter().all(|percent| *percent >= 84.0));
    assert!(
        one_number.0 > 0 && one_number.0 < one_number.1,
        "{one_number:?}"
    );
}

#[test]
fn what_the_traffic_cannot_show_is_not_promised() {
    let little = plan(&traffic(100.0, 0.1, 0.001, 1.5)).unwrap();
    assert!(
        matches!(little.pass, IntervalsToVerdict::Beyond { .. }),
        "{little:?}"
    );
    let nothing = plan(&traffic(100.0, 0.1, 0.0, 1.5)).unwrap();
    assert_eq!(nothing.pass, IntervalsToVerdict::Beyond { needed: None });
    let tolerant = plan(&traffic(10_000.0, 0.1, 0.01, 3.0)).unwrap();
    assert_eq!(tolerant.twice, IntervalsToVerdict::Tolerated);
    assert!(matches!(
        tolerant.fivefold,
        IntervalsToVerdict::Within { .. }
    ));
    for requests in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(plan(&traffic(requests, 0.1, 0.01, 1.5)).is_err());
    }
}

#[test]
fn an_absolute_limit_lets_a_service_without_errors_pass() {
    let mut quiet = traffic(1000.0, 0.1, 0.0, 1.5);
    quiet.at_most = Some(chance(0.01));
    let IntervalsToVerdict::Within { median, .. } = plan(&quiet).unwrap().pass else {
        panic!()
    };
    assert!((4..=5).contains(&median), "{median}");
}

/// A lognormal service, in some of Prometheus' default buckets.
const SLOWER: [(f64, f64); 5] = [
    (0.1, 0.405),
    (0.25, 0.082),
    (0.5, 0.0119),
    (1.0, 0.0009),
    (2.5, 0.000_01),
];

/// The same for histograms: a release twice as bad has twice as many requests above each bound.
#[test]
fn histograms_end_when_they_are_planned_to() {
    let runs = runs(40).min(500);
    for (requests, tolerance) in [(10_000.0, 1.5), (1000.0, 2.0)] {
        let mut traffic = traffic(requests, 0.25, 0.0, tolerance);
        traffic.deadline = 120;
        let plan = plan_latency(&traffic, SLOWER).unwrap();
        let kinds = [
            (plan.pass, 1.0, Verdict::Pass),
            (plan.twice, 2.0, Verdict::Fail),
            (plan.fivefold, 5.0, Verdict::Fail),
        ];
        for (reach, times, verdict) in kinds {
            if times > 1.0 && times <= tolerance {
                assert_eq!(reach, IntervalsToVerdict::Tolerated);
                continue;
            }
            let IntervalsToVerdict::Within {
                typical,
                earliest,
                latest,
                ..
            } = reach
            else {
                panic!("{times} times: {reach:?}");
            };
            let mut random = Random::new(52);
            let mut settings = settings([Rule::Histogram {
                tolerance: traffic.tolerance,
                at_most: None,
            }]);
            settings.deadline = Some(traffic.deadline);
            let ends: Vec<Option<u32>> = (0..runs)
                .map(|_| {
                    let mut watch = Watch::new(settings.clone()).unwrap();
                    let end = (1..=latest.max(2 * typical).min(1000)).find(|_| {
                        let mut side = |share: f64, times: f64| {
                            drawn_buckets(requests * share, times, &mut random)
                        };
                        let canary = side(0.25, times);
                        let stable = side(0.75, 1.0);
                        let sides = Sides { canary, stable };
                        watch.observe(&one(Reading::Histogram(sides))).unwrap();
                        watch.decided_at().is_some()
                    });
                    end.filter(|_| watch.verdict() == verdict)
                })
                .collect();
            let near = within(&ends, typical.div_ceil(2), 2 * typical);
            let between = within(&ends, earliest, latest);
            report(format_args!(
                "histogram, {requests}, tolerance {tolerance}, {times} times: {reach:?}, \
                 {near:.1} % within half to twice, {between:.1} % in between"
            ));
            assert!(between >= at_least(80.0, runs), "{requests}, {times}");
            assert!(
                verdict == Verdict::Fail || near >= at_least(80.0, runs),
                "{requests}, {times}"
            );
        }
    }
    let little = plan_latency(&traffic(100.0, 0.1, 0.0, 1.5), SLOWER).unwrap();
    assert!(
        matches!(little.pass, IntervalsToVerdict::Beyond { needed: Some(_) }),
        "{little:?}"
    );
    let nothing = plan_latency(&traffic(100.0, 0.1, 0.0, 1.5), []).unwrap();
    assert_eq!(nothing.pass, IntervalsToVerdict::Beyond { needed: None });
    for odd in [f64::NAN, -0.1, 1.1] {
        assert!(plan_latency(&traffic(100.0, 0.1, 0.0, 1.5), [(1.0, odd)]).is_err());
    }
}

fn drawn_buckets(requests: f64, times: f64, random: &mut Random) -> SideData<Buckets> {
    let mut counts = Vec::new();
    let (mut above, mut count) = (1.0, 0);
    let bounds = SLOWER.map(|(bound, slower)| (bound, (slower * times).min(1.0)));
    for (bound, slower) in bounds.into_iter().chain([(f64::INFINITY, 0.0)]) {
        count += random.poisson(requests * (above - slower));
        above = slower;
        counts.push((bound, count));
    }
    SideData::Whole(Buckets::new(counts).unwrap())
}

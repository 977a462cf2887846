//! What cannot be decided before the deadline is told early, and rarely wrongly.

use judge::random::Random;
use judge::sequential::{Idle, Reason, Rule, Tolerance, Verdict};
use judge::{Buckets, Reading, SideData, Sides};

use crate::support::{Minute, at_most, counted, one, ratio, report, runs, watch};

#[test]
fn few_rollouts_that_were_called_futile_are_decided_after_all() {
    let runs = runs(60).min(2000);
    for (canary, stable, rate, tolerance, times) in [
        (100, 900, 0.01, 2.0, 1.0),
        (100, 900, 0.01, 1.5, 1.0),
        (100, 900, 0.01, 1.5, 2.0),
        (20, 180, 0.01, 1.5, 1.0),
        (20, 180, 0.01, 1.5, 3.0),
        (100, 900, 0.001, 1.5, 1.0),
        (100, 900, 0.001, 2.0, 5.0),
        (100, 900, 0.01, 1.5, 1.4),
    ] {
        let traffic = Minute {
            canary,
            stable,
            rate,
        };
        let mut random = Random::new(40);
        let (mut futile, mut wrong, mut undecided, mut first) = (0, 0, 0, Vec::new());
        for _ in 0..runs {
            let mut watch = watch(ratio(tolerance, None));
            let mut called = None;
            for n in 0..60 {
                watch.observe(&traffic.draw(times, &mut random)).unwrap();
                if called.is_none() && watch.futile().is_some() {
                    called = Some(n + 1);
                }
            }
            let decided = watch.verdict() != Verdict::Inconclusive;
            undecided += u64::from(!decided);
            futile += u64::from(called.is_some_and(|at| at < 60));
            wrong += u64::from(called.is_some() && decided && watch.decided_at() > called);
            first.extend(called);
        }
        first.sort_unstable();
        let median = first.get(first.len() / 2);
        report(format_args!(
            "{canary}+{stable}, {rate}, {tolerance}, {times} times: {futile} of {runs} futile ({median:?}), \
             {wrong} wrongly, {undecided} undecided"
        ));
        let percent = 100.0 * wrong as f64 / runs as f64;
        assert!(percent <= at_most(4.0, runs), "{wrong} of {runs}");
    }
}

#[test]
fn hopeless_traffic_is_told_at_once_with_what_is_missing() {
    let mut watch = watch(ratio(1.5, None));
    let mut at = None;
    for n in 0..60 {
        let failed = u64::from(n % 20 == 0);
        watch.observe(&counted((0, 10), (failed, 90))).unwrap();
        if at.is_none() && watch.futile().is_some() {
            at = Some(n + 1);
        }
    }
    assert!(at.unwrap() <= 25, "{at:?}");
    let finding = &watch.findings()[0];
    let missing = finding.reasons.iter().find_map(|reason| match reason {
        Reason::Futile { missing_requests } => *missing_requests,
        _ => None,
    });
    assert!(missing.unwrap() > 1000, "{finding:?}");
}

/// A side that has just begun to be scraped: that it has served nothing yet, or hardly anything, says
/// nothing of what is to come.
#[test]
fn a_side_without_requests_yet_is_waited_for() {
    for (early, late, verdict) in [
        (counted((0, 0), (9, 900)), (30, 100), Verdict::Fail),
        (counted((0, 1), (9, 900)), (30, 100), Verdict::Fail),
        (counted((0, 0), (9, 900)), (1, 100), Verdict::Pass),
        (counted((1, 100), (0, 0)), (30, 100), Verdict::Fail),
    ] {
        let mut watch = watch(ratio(2.0, None));
        for _ in 0..10 {
            watch.observe(&early).unwrap();
            assert!(watch.futile().is_none(), "{early:?}");
        }
        while watch.verdict() == Verdict::Inconclusive {
            assert!(watch.futile().is_none(), "{early:?}");
            watch.observe(&counted(late, (9, 900))).unwrap();
        }
        assert_eq!(watch.verdict(), verdict, "{early:?}");
    }
}

#[test]
fn slow_requests_of_a_side_without_any_are_waited_for() {
    let side = |slow: u64, total: u64| {
        SideData::Whole(Buckets::new([(0.5, total - slow), (f64::INFINITY, total)]).unwrap())
    };
    let minute = |canary, stable| one(Reading::Histogram(Sides { canary, stable }));
    let rule = Rule::Histogram {
        tolerance: Tolerance::new(2.0).unwrap(),
        at_most: None,
    };
    let mut watch = watch(rule);
    for _ in 0..10 {
        watch.observe(&minute(side(0, 0), side(9, 900))).unwrap();
        assert!(watch.futile().is_none());
    }
    let finding = &watch.findings()[0];
    assert_eq!(finding.reasons, [Reason::NoRequests(Idle::Canary)]);
    assert_eq!(finding.intervals, 0);
    while watch.verdict() == Verdict::Inconclusive {
        watch.observe(&minute(side(30, 100), side(9, 900))).unwrap();
    }
    assert_eq!(watch.verdict(), Verdict::Fail);
}

/// A canary without an error, by luck or not: the evidence is there before stable has shown enough.
#[test]
fn a_pass_waits_for_errors_of_stable() {
    let mut watch = watch(ratio(2.0, None));
    let mut waited = 0;
    while watch.verdict() == Verdict::Inconclusive {
        watch.observe(&counted((0, 100), (9, 900))).unwrap();
        let (_, pass) = watch.evidence(0).unwrap();
        if pass.ln_e >= pass.limit && watch.verdict() == Verdict::Inconclusive {
            assert!(watch.findings()[0].reasons.contains(&Reason::Early));
            waited += 1;
        }
        assert!(watch.intervals() < 20);
    }
    assert_eq!(watch.verdict(), Verdict::Pass);
    assert!((2..8).contains(&waited), "{waited}");
}

//! Several metrics under one guarantee.

use judge::random::Random;
use judge::sequential::{Reason, Verdict, Watch};
use judge::{Interval, Sample};

use crate::support::{Minute, at_most, counted, ratio, report, runs, settings};

fn interval(parts: impl IntoIterator<Item = Interval>) -> Interval {
    Interval {
        metrics: parts.into_iter().flat_map(|part| part.metrics).collect(),
    }
}

#[test]
fn the_bad_one_of_three_metrics_is_named() {
    let mut watch = Watch::new(settings([(); 3].map(|()| ratio(1.5, None)))).unwrap();
    for _ in 0..60 {
        let quiet = || counted((1, 100), (9, 900));
        watch
            .observe(&interval([quiet(), counted((9, 100), (9, 900)), quiet()]))
            .unwrap();
    }
    assert_eq!(watch.verdict(), Verdict::Fail);
    let verdicts: Vec<Verdict> = watch
        .findings()
        .iter()
        .map(|finding| finding.verdict)
        .collect();
    assert_eq!(verdicts[1], Verdict::Fail);
    assert_ne!(verdicts[0], Verdict::Fail);
    assert_eq!(watch.decided_at(), watch.findings()[1].decided_at);
}

#[test]
fn a_pass_needs_every_required_metric() {
    let mut settings = settings([(); 2].map(|()| ratio(2.0, None)));
    for required in [true, false] {
        settings.metrics[1].required = required;
        let mut watch = Watch::new(settings.clone()).unwrap();
        for _ in 0..60 {
            let silent = Interval {
                metrics: vec![Sample::default()],
            };
            watch
                .observe(&interval([counted((1, 100), (9, 900)), silent]))
                .unwrap();
        }
        let verdict = if required {
            Verdict::Inconclusive
        } else {
            Verdict::Pass
        };
        assert_eq!(watch.verdict(), verdict);
        assert_eq!(watch.findings()[0].verdict, Verdict::Pass);
        assert!(watch.findings()[1].reasons.contains(&Reason::NoData));
    }
}

#[test]
fn an_advisory_metric_is_shown_and_decides_nothing() {
    let mut settings = settings([(); 2].map(|()| ratio(2.0, None)));
    settings.metrics[1].required = false;
    let mut watch = Watch::new(settings).unwrap();
    for _ in 0..60 {
        watch
            .observe(&interval([
                counted((1, 100), (9, 900)),
                counted((30, 100), (9, 900)),
            ]))
            .unwrap();
    }
    assert_eq!(watch.verdict(), Verdict::Pass);
    assert_eq!(watch.findings()[1].verdict, Verdict::Fail);
}

#[test]
fn the_first_verdict_stands() {
    let run = |first: (u64, u64), then: (u64, u64)| {
        let mut watch = crate::support::watch(ratio(2.0, None));
        for n in 0..120 {
            watch
                .observe(&counted(if n < 60 { first } else { then }, (9, 900)))
                .unwrap();
        }
        (watch.verdict(), watch.findings()[0].verdict)
    };
    assert_eq!(run((1, 100), (50, 100)), (Verdict::Pass, Verdict::Pass));
    assert_eq!(run((50, 100), (0, 100)), (Verdict::Fail, Verdict::Fail));
}

#[test]
fn five_quiet_metrics_together_fail_no_more_often_than_one() {
    let runs = runs(100);
    let traffic = Minute {
        canary: 100,
        stable: 900,
        rate: 0.01,
    };
    let mut random = Random::new(30);
    let fails = (0..runs).filter(|_| {
        let mut watch = Watch::new(settings([(); 5].map(|()| ratio(1.01, None)))).unwrap();
        for _ in 0..60 {
            let parts = [(); 5].map(|()| traffic.draw(1.0, &mut random));
            watch.observe(&interval(parts)).unwrap();
        }
        watch.verdict() == Verdict::Fail
    });
    let percent = 100.0 * fails.count() as f64 / runs as f64;
    report(format_args!("five quiet metrics: {percent:.2} % false"));
    assert!(percent <= at_most(1.0, runs), "{percent} %");
}

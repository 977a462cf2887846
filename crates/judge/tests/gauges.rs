//! Gauges: scrapes that have much to do with their neighbours decide nothing.

use judge::random::Random;
use judge::sequential::{Margin, Reason, Rule, Verdict, Watch};
use judge::{Interval, Reading};

use crate::support::{at_most, found, one, report, runs, watch};

fn gauge(margin: Margin) -> Rule {
    Rule::Gauge {
        margin,
        before: Vec::new(),
    }
}

/// A level that forgets where it was: each scrape keeps `memory` of the one before.
struct Level {
    memory: f64,
    now: f64,
}

impl Level {
    fn new(memory: f64, random: &mut Random) -> Level {
        Level {
            memory,
            now: random.normal(),
        }
    }

    fn next(&mut self, random: &mut Random) -> f64 {
        let news = (1.0 - self.memory * self.memory).sqrt();
        self.now = self.memory * self.now + news * random.normal();
        self.now
    }
}

fn scrapes(rule: Rule, memory: f64, shift: f64, scrapes: u32, random: &mut Random) -> Watch {
    let mut watch = watch(rule);
    let mut levels: Vec<Level> = (0..3).map(|_| Level::new(memory, random)).collect();
    for _ in 0..scrapes {
        let values: Vec<f64> = levels.iter_mut().map(|level| level.next(random)).collect();
        let interval = one(Reading::Gauge {
            canary: vec![100.0 + 5.0 * values[0] + shift],
            stable: values[1..]
                .iter()
                .map(|value| 100.0 + 5.0 * value)
                .collect(),
        });
        watch.observe(&interval).unwrap();
    }
    watch
}

#[test]
fn a_gauge_that_remembers_never_decides() {
    let runs = runs(2000);
    for length in [60, 240] {
        let mut random = Random::new(10);
        let decided = (0..runs).filter(|_| {
            let watch = scrapes(gauge(Margin::Absolute(0.0)), 0.95, 0.0, length, &mut random);
            watch.decided_at().is_some()
        });
        let decided = decided.count();
        report(format_args!(
            "gauge with a memory of .95, {length} scrapes: {decided} of {runs}"
        ));
        // None of 10,000, here.
        assert_eq!(decided, 0, "of {runs}");
    }
    let watch = scrapes(
        gauge(Margin::Absolute(0.0)),
        0.95,
        0.0,
        60,
        &mut Random::new(11),
    );
    let finding = &watch.findings()[0];
    assert!(
        finding
            .reasons
            .iter()
            .any(|reason| matches!(reason, Reason::FewBlocks { .. }))
    );
}

#[test]
fn a_gauge_keeps_its_bound_whatever_it_remembers() {
    let runs = runs(60);
    for memory in [0.0, 0.5, 0.8, 0.9, 0.95] {
        for length in [60, 240] {
            let mut random = Random::new(12);
            let got = found(Verdict::Fail, runs, |_| {
                scrapes(
                    gauge(Margin::Absolute(0.0)),
                    memory,
                    0.0,
                    length,
                    &mut random,
                )
            });
            report(format_args!(
                "gauge, memory {memory}, {length} scrapes: {:.2} % false",
                got.percent
            ));
            assert!(got.percent <= at_most(1.0, runs), "{memory}: {got:?}");
        }
    }
}

#[test]
fn a_clear_shift_is_found_and_a_quiet_gauge_passes() {
    let mut random = Random::new(13);
    let twenty = || gauge(Margin::Relative(0.2));
    let bad = found(Verdict::Fail, 40, |_| {
        scrapes(twenty(), 0.1, 60.0, 60, &mut random)
    });
    let good = found(Verdict::Pass, 40, |_| {
        scrapes(twenty(), 0.1, 0.0, 60, &mut random)
    });
    report(format_args!(
        "gauge 60 % above: {bad:?}; not above: {good:?}"
    ));
    assert!(bad.percent > 95.0 && good.percent > 95.0);
}

#[test]
fn what_was_so_before_the_rollout_is_no_harm() {
    let mut random = Random::new(14);
    let mut run = |before: Vec<(f64, f64)>| {
        let rule = Rule::Gauge {
            margin: Margin::Absolute(5.0),
            before,
        };
        scrapes(rule, 0.0, 30.0, 60, &mut random).verdict()
    };
    assert_eq!(run(Vec::new()), Verdict::Fail);
    let mut noise = Random::new(15);
    let before = (0..60).map(|_| (130.0 + 5.0 * noise.normal(), 100.0 + 3.0 * noise.normal()));
    assert_ne!(run(before.collect()), Verdict::Fail);
}

#[test]
fn levels_that_are_no_numbers_are_refused() {
    for level in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
        let mut watch = watch(gauge(Margin::Relative(0.2)));
        let interval: Interval = one(Reading::Gauge {
            canary: vec![level],
            stable: vec![1.0],
        });
        assert!(watch.observe(&interval).is_err());
        assert_eq!(watch.intervals(), 0);
    }
}

//! Simulated rollouts.

use judge::random::Random;
use judge::sequential::{Chance, Metric, Rule, Settings, Tolerance, Verdict, Watch};
use judge::{Counts, Interval, Reading, Sample, SideData, Sides};

/// As many runs as asked for with `RUNS`, else few enough for a debug build.
pub(crate) fn runs(few: u64) -> u64 {
    let asked = std::env::var("RUNS").ok();
    asked.map_or(few, |runs| runs.parse().unwrap())
}

pub(crate) fn chance(chance: f64) -> Chance {
    Chance::new(chance).unwrap()
}

pub(crate) fn settings(rules: impl IntoIterator<Item = Rule>) -> Settings {
    let metrics = rules.into_iter().enumerate().map(|(n, rule)| Metric {
        name: format!("metric-{n}"),
        rule,
        required: true,
    });
    Settings {
        alpha: chance(0.01),
        beta: chance(0.05),
        deadline: Some(60),
        most_missing: Settings::MAX_MISSING,
        metrics: metrics.collect(),
    }
}

pub(crate) fn ratio(tolerance: f64, at_most: Option<f64>) -> Rule {
    Rule::Ratio {
        tolerance: Tolerance::new(tolerance).unwrap(),
        at_most: at_most.map(chance),
    }
}

pub(crate) fn watch(rule: Rule) -> Watch {
    Watch::new(settings([rule])).unwrap()
}

pub(crate) fn counts(failed: u64, total: u64) -> Counts {
    Counts::new(failed.min(total), total).unwrap()
}

pub(crate) fn one(reading: Reading) -> Interval {
    Interval {
        metrics: vec![Sample::from(reading)],
    }
}

pub(crate) fn counted(canary: (u64, u64), stable: (u64, u64)) -> Interval {
    one(Reading::Ratio(Sides {
        canary: SideData::Whole(counts(canary.0, canary.1)),
        stable: SideData::Whole(counts(stable.0, stable.1)),
    }))
}

/// Traffic of one minute after the other.
#[derive(Clone, Copy)]
pub(crate) struct Minute {
    pub(crate) canary: u64,
    pub(crate) stable: u64,
    pub(crate) rate: f64,
}

impl Minute {
    /// A minute in which the canary has so many times the errors of stable.
    pub(crate) fn draw(self, ratio: f64, random: &mut Random) -> Interval {
        let failed = |total: u64, rate: f64, random: &mut Random| {
            (random.poisson(total as f64 * rate), total)
        };
        let canary = failed(self.canary, self.rate * ratio, random);
        counted(canary, failed(self.stable, self.rate, random))
    }
}

/// Bad times of one instance: in so many of its good minutes one begins, and it lasts for so long.
pub(crate) struct BadTimes {
    often: f64,
    lasting: u32,
    left: u32,
}

impl BadTimes {
    /// Of an instance that has run for long.
    pub(crate) fn new(often: f64, lasting: u32, random: &mut Random) -> BadTimes {
        let mut times = BadTimes {
            often,
            lasting,
            left: 0,
        };
        for _ in 0..10 * lasting {
            times.is_bad(random);
        }
        times
    }

    /// Whether the next minute is a bad one.
    pub(crate) fn is_bad(&mut self, random: &mut Random) -> bool {
        if self.left == 0 && random.uniform() < self.often {
            self.left = self.lasting;
        }
        let is_bad = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_bad
    }
}

/// Watches minutes until a verdict, at most 60.
pub(crate) fn follow(
    rule: Rule,
    random: &mut Random,
    mut minute: impl FnMut(u32, &mut Random) -> Interval,
) -> Watch {
    let mut watch = watch(rule);
    for n in 0..60 {
        watch.observe(&minute(n, random)).unwrap();
        if watch.decided_at().is_some() {
            break;
        }
    }
    watch
}

/// How often a verdict was reached, in per cent, and the median minute of all runs.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) percent: f64,
    pub(crate) median: u32,
}

pub(crate) fn found(verdict: Verdict, runs: u64, mut run: impl FnMut(u64) -> Watch) -> Found {
    let times = (0..runs).map(|n| {
        let watch = run(n);
        let at = watch.decided_at().filter(|_| watch.verdict() == verdict);
        at.unwrap_or(u32::MAX)
    });
    let mut times: Vec<u32> = times.collect();
    times.sort_unstable();
    let reached = times.iter().filter(|time| **time < u32::MAX).count();
    Found {
        percent: 100.0 * reached as f64 / runs as f64,
        median: times[times.len() / 2],
    }
}

/// The most of `runs` that a chance of `percent` reaches except in one of ten thousand tries.
pub(crate) fn at_most(percent: f64, runs: u64) -> f64 {
    let (p, n) = (percent / 100.0, runs as f64);
    // The sampling error of the simulation, no slack of the bound.
    percent + 100.0 * 3.7 * (p * (1.0 - p) / n).sqrt()
}

/// The least of `runs` that a chance of `percent` reaches except in one of ten thousand tries.
pub(crate) fn at_least(percent: f64, runs: u64) -> f64 {
    100.0 - at_most(100.0 - percent, runs)
}

/// Printed with `--nocapture`.
#[allow(clippy::print_stdout, reason = "figures for the reader of a long run")]
pub(crate) fn report(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}

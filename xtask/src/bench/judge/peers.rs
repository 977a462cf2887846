//! The judges that are compared, each as it is used: it sees a minute at a time and ends as soon as
//! it knows.

use judge::sequential::Verdict;
use judge::threshold::{self, Limit, NoData, Rule};
use judge::{Interval, Measure, Reading, SideData};
use kayenta::{Direction, Grade, Metric, Watched};

use super::traffic::Minute;

pub(super) trait Judge {
    /// `None` while it goes on.
    fn see(&mut self, minute: &Minute) -> Option<Verdict>;

    /// After the last minute.
    fn end(&mut self) -> Verdict;
}

/// What Kayenta compares the canary with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    Stable,
    /// A second group of the stable release with as many requests.
    Baseline,
}

/// Kayenta: a point a minute, a look at all points every minute from the fifth on.
pub(super) struct Kayenta {
    against: Against,
    watch: kayenta::Watch,
}

impl Kayenta {
    pub(super) fn new(measure: Measure, against: Against) -> Kayenta {
        let watched = Watched {
            metric: Metric {
                direction: Direction::Increase,
                ..Metric::default()
            },
            measure,
            groups: vec!["canary".to_owned()],
        };
        Kayenta {
            against,
            watch: kayenta::Watch::new(kayenta::Settings::new(vec![watched])),
        }
    }
}

impl Judge for Kayenta {
    fn see(&mut self, minute: &Minute) -> Option<Verdict> {
        let look = self.watch.push(match self.against {
            Against::Stable => &minute.against_stable,
            Against::Baseline => &minute.against_baseline,
        })?;
        (look.grade == Grade::Fail).then_some(Verdict::Fail)
    }

    fn end(&mut self) -> Verdict {
        self.watch.at_end(&self.watch.evaluate()).verdict()
    }
}

/// Flagger's rule and the runbook's.
pub(super) struct Threshold(threshold::Watch);

impl Threshold {
    /// More than a limit in five minutes, in a row or not.
    pub(super) fn flagger(measure: Measure, limit: f64) -> Threshold {
        let rule = Rule::flagger(measure, Limit::AtMost(limit), 5);
        Threshold(threshold::Watch::new(rule))
    }

    /// Five points more errors than stable, over so many minutes.
    pub(super) fn runbook(window: usize) -> Threshold {
        // Runbook 003: five points above stable's.
        let rule = Rule {
            measure: Measure::FailureRate,
            limit: Limit::AtMostAboveStable(0.05),
            window,
            failures: 1,
            no_data: NoData::Inconclusive,
        };
        Threshold(threshold::Watch::new(rule))
    }
}

impl Judge for Threshold {
    fn see(&mut self, minute: &Minute) -> Option<Verdict> {
        self.0.push(reading(&minute.against_stable));
        Some(self.end()).filter(|verdict| *verdict == Verdict::Fail)
    }

    fn end(&mut self) -> Verdict {
        self.0.standing().verdict()
    }
}

/// The same test at every look: all errors since the start, and how likely so many of them would be
/// the canary's by chance.
#[derive(Default)]
pub(super) struct RepeatedTest {
    canary: (u64, u64),
    stable: (u64, u64),
}

impl RepeatedTest {
    const LEVEL: f64 = 0.01;
}

impl Judge for RepeatedTest {
    fn see(&mut self, minute: &Minute) -> Option<Verdict> {
        let Some(Reading::Ratio(sides)) = reading(&minute.against_stable) else {
            return None;
        };
        let add = |sum: &mut (u64, u64), side: &SideData<judge::Counts>| {
            for counts in side.parts() {
                sum.0 += counts.failed();
                sum.1 += counts.total();
            }
        };
        add(&mut self.canary, &sides.canary);
        add(&mut self.stable, &sides.stable);
        let share = self.canary.1 as f64 / (self.canary.1 + self.stable.1) as f64;
        let chance = tail(self.canary.0, self.canary.0 + self.stable.0, share);
        (chance <= Self::LEVEL).then_some(Verdict::Fail)
    }

    fn end(&mut self) -> Verdict {
        Verdict::Pass
    }
}

fn reading(interval: &Interval) -> Option<&Reading> {
    interval.metrics.first()?.reading.as_ref()
}

/// How likely at least `least` of `number` is, each with this probability.
fn tail(least: u64, number: u64, probability: f64) -> f64 {
    if least as f64 <= number as f64 * probability {
        return 1.0;
    }
    let odds = probability / (1.0 - probability);
    // ln C(n, k), a factor at a time: there are a few hundred errors.
    let choices: f64 = (1..=least)
        .map(|k| ((number - least + k) as f64 / k as f64).ln())
        .sum();
    let log = choices
        + least as f64 * probability.ln()
        + (number - least) as f64 * (-probability).ln_1p();
    let (mut share, mut sum) = (log.exp(), 0.0);
    for k in least..=number {
        sum += share;
        share *= (number - k) as f64 / (k + 1) as f64 * odds;
        if share < 1e-12 * sum {
            break;
        }
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 6 errors of 1,000 requests against 1 of 1,000, and 5 of 500 against 10 of 4,500.
    #[test]
    fn the_chance_of_so_many_errors_is_that_of_the_binomial_test() {
        assert!((tail(6, 7, 0.5) - 0.0625).abs() < 1e-12);
        assert!((tail(5, 15, 0.1) - 0.012_72).abs() < 5e-6);
        assert!(tail(0, 0, 0.1) >= 1.0);
        assert!((tail(20, 80, 0.1) - 1.2e-4).abs() < 1e-4);
    }
}

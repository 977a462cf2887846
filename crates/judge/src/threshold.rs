//! Rules with fixed limits: the runbooks' rule, and Flagger's.
//!
//! Each interval (or window of intervals) is one number of the canary, held against a limit or
//! against stable's number of the same interval. The rules count how often the limit was exceeded,
//! not how certain that is: with few requests they fail by chance, and with a limit far above what
//! is usual they see nothing below it.

use std::collections::VecDeque;

use crate::measure::{Measure, Tallies, Tally};
use crate::reading::Reading;
use crate::sequential::Verdict;

/// What the canary's number may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    /// At most so much more than stable's, in the unit of the number.
    AtMostAboveStable(f64),
}

/// What an interval without data for the number is. With either, a canary that had one does not
/// pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoData {
    #[default]
    Inconclusive,
    /// A failed check, as Flagger counts it.
    FailedCheck,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    pub measure: Measure,
    pub limit: Limit,
    /// The number is that of so many intervals together, the newest and those before it.
    pub window: usize,
    /// The canary fails with so many failed checks, in a row or not (Flagger's `threshold`).
    pub failures: usize,
    pub no_data: NoData,
}

/// The rules of runbook 003 by what they are called there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Runbook {
    pub errors: Rule,
    pub latency: Rule,
    pub availability: Rule,
}

/// Runbook 003's table: fail if the canary's error rate is more than five points above stable's, its
/// p95 latency more than three seconds above stable's (in seconds), or its availability below 95 %.
/// The page has windows of five minutes: `window` is how many intervals these are.
pub const fn runbook_003(window: usize) -> Runbook {
    const fn rule(measure: Measure, limit: Limit, window: usize) -> Rule {
        Rule {
            measure,
            limit,
            window,
            failures: 1,
            no_data: NoData::Inconclusive,
        }
    }
    Runbook {
        errors: rule(Measure::FailureRate, Limit::AtMostAboveStable(0.05), window),
        latency: rule(
            Measure::Quantile(0.95),
            Limit::AtMostAboveStable(3.0),
            window,
        ),
        availability: rule(Measure::Availability, Limit::AtLeast(0.95), window),
    }
}

impl Rule {
    /// Flagger's: the number of one interval against a fixed limit, with its `threshold` of failed
    /// checks over the whole rollout.
    pub const fn flagger(measure: Measure, limit: Limit, threshold: usize) -> Rule {
        Rule {
            measure,
            limit,
            window: 1,
            failures: threshold,
            no_data: NoData::FailedCheck,
        }
    }
}

/// One check of the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    Held { canary: f64, limit: f64 },
    Exceeded { canary: f64, limit: f64 },
    NoData,
}

/// What the checks so far come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    Failed {
        /// The last one that failed.
        check: Check,
        failed: usize,
        of: usize,
    },
    /// Every interval had data, and too few checks failed.
    Held { failed: usize, of: usize },
    /// Intervals without data: the canary has not failed, and nothing says that it is good.
    Unknown { without_data: usize, of: usize },
}

impl Standing {
    /// At the end of the watch; a fail ends it.
    pub fn verdict(self) -> Verdict {
        match self {
            Standing::Failed { .. } => Verdict::Fail,
            Standing::Held { .. } => Verdict::Pass,
            Standing::Unknown { .. } => Verdict::Inconclusive,
        }
    }
}

/// A rule over the intervals of a canary.
#[derive(Clone, Debug)]
pub struct Watch {
    rule: Rule,
    window: VecDeque<Tallies>,
    checks: usize,
    failed: usize,
    without_data: usize,
    last_failed: Option<Check>,
}

impl Watch {
    pub fn new(rule: Rule) -> Watch {
        Watch {
            rule,
            window: VecDeque::new(),
            checks: 0,
            failed: 0,
            without_data: 0,
            last_failed: None,
        }
    }

    /// The next interval; `None` is one without data.
    pub fn push(&mut self, reading: Option<&Reading>) -> Check {
        let none = Tallies {
            canary: None,
            stable: None,
        };
        self.window.push_back(reading.map_or(none, Tallies::of));
        if self.window.len() > self.rule.window.max(1) {
            self.window.pop_front();
        }
        let check = self.check();
        self.checks += 1;
        let is_failed = match (check, self.rule.no_data) {
            (Check::Held { .. }, _) | (Check::NoData, NoData::Inconclusive) => false,
            (Check::NoData, NoData::FailedCheck) | (Check::Exceeded { .. }, _) => true,
        };
        if check == Check::NoData {
            self.without_data += 1;
        }
        if is_failed {
            self.failed += 1;
            self.last_failed = Some(check);
        }
        check
    }

    /// What the checks so far come to: a failure ends the watch, anything else counts at its end.
    pub fn standing(&self) -> Standing {
        let (failed, of) = (self.failed, self.checks);
        match self.last_failed {
            Some(check) if failed >= self.rule.failures.max(1) => {
                Standing::Failed { check, failed, of }
            }
            _ if self.without_data > 0 || of == 0 => Standing::Unknown {
                without_data: self.without_data,
                of,
            },
            _ => Standing::Held { failed, of },
        }
    }

    fn check(&self) -> Check {
        let newest = self.window.back();
        let Some(newest) = newest.filter(|it| it.canary.is_some()) else {
            return Check::NoData;
        };
        let sum = |side: fn(&Tallies) -> Option<&Tally>| {
            let all = self.window.iter().filter_map(side).cloned();
            let sum = all.reduce(|sum, tally| sum.plus(&tally));
            sum.and_then(|sum| sum.value(self.rule.measure))
        };
        let canary = sum(|it| it.canary.as_ref());
        let limit = match self.rule.limit {
            Limit::AtMost(limit) | Limit::AtLeast(limit) => Some(limit),
            Limit::AtMostAboveStable(margin) => match newest.stable {
                Some(_) => sum(|it| it.stable.as_ref()).map(|stable| stable + margin),
                None => None,
            },
        };
        let (Some(canary), Some(limit)) = (canary, limit) else {
            return Check::NoData;
        };
        let holds = match self.rule.limit {
            Limit::AtLeast(_) => canary >= limit,
            Limit::AtMost(_) | Limit::AtMostAboveStable(_) => canary <= limit,
        };
        if holds {
            Check::Held { canary, limit }
        } else {
            Check::Exceeded { canary, limit }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::reading::{Buckets, Counts, Side, Sides};

    const RUNBOOK: Runbook = runbook_003(5);

    fn ratio(canary: (u64, u64), stable: (u64, u64)) -> Reading {
        let side = |(failed, total)| Side::Whole(Counts::new(failed, total).unwrap());
        Reading::Ratio(Sides {
            canary: side(canary),
            stable: side(stable),
        })
    }

    fn latency(canary: &[(f64, u64)], stable: &[(f64, u64)]) -> Reading {
        let side = |pairs: &[(f64, u64)]| Side::Whole(Buckets::new(pairs.iter().copied()).unwrap());
        Reading::Histogram(Sides {
            canary: side(canary),
            stable: side(stable),
        })
    }

    fn after(rule: Rule, readings: &[Option<Reading>]) -> Standing {
        let mut watch = Watch::new(rule);
        for reading in readings {
            watch.push(reading.as_ref());
        }
        watch.standing()
    }

    /// Abort or promote: `canary_error_rate > stable_error_rate + 0.05`.
    #[test]
    fn the_runbook_aborts_above_five_points_more_errors_than_stable() {
        let after = |failed| after(RUNBOOK.errors, &[Some(ratio((failed, 100), (1, 100)))]);
        assert_eq!(after(6), Standing::Held { failed: 0, of: 1 });
        let check = Check::Exceeded {
            canary: 0.07,
            limit: 0.01 + 0.05,
        };
        let failed = Standing::Failed {
            check,
            failed: 1,
            of: 1,
        };
        assert_eq!(after(7), failed);
    }

    /// Abort or promote: `canary_latency_p95 > stable_latency_p95 + 3s`.
    #[test]
    fn the_runbook_aborts_when_the_p95_is_more_than_three_seconds_longer() {
        let stable = [(0.5, 96), (5.0, 100), (f64::INFINITY, 100)];
        let slow = [(0.5, 90), (5.0, 100), (f64::INFINITY, 100)];
        let slower = [(0.5, 10), (5.0, 100), (f64::INFINITY, 100)];
        let rule = RUNBOOK.latency;
        let held = after(rule, &[Some(latency(&slow, &stable))]);
        assert_eq!(held, Standing::Held { failed: 0, of: 1 });
        let failed = after(rule, &[Some(latency(&slower, &stable))]);
        assert!(matches!(failed, Standing::Failed { .. }), "{failed:?}");
    }

    /// Abort or promote: `canary_availability < 0.95`.
    #[test]
    fn the_runbook_aborts_below_95_percent_availability() {
        let after = |failed| {
            let reading = ratio((failed, 100), (failed, 100));
            after(RUNBOOK.availability, &[Some(reading)])
        };
        assert_eq!(after(5), Standing::Held { failed: 0, of: 1 });
        assert!(matches!(after(6), Standing::Failed { .. }));
    }

    #[test]
    fn a_window_is_the_rate_of_its_intervals_together() {
        let (bad, good) = (ratio((10, 100), (1, 100)), ratio((1, 100), (1, 100)));
        let one_bad_of_three = [Some(good.clone()), Some(good), Some(bad)];
        let standing = after(RUNBOOK.errors, &one_bad_of_three);
        assert_eq!(standing, Standing::Held { failed: 0, of: 3 });
        let each = Rule {
            window: 1,
            ..RUNBOOK.errors
        };
        assert!(matches!(
            after(each, &one_bad_of_three),
            Standing::Failed {
                failed: 1,
                of: 3,
                ..
            }
        ));
    }

    /// Troubleshooting 4: metrics that are not there do not promote.
    #[test]
    fn without_data_nothing_passes() {
        let good = Some(ratio((1, 100), (1, 100)));
        let rule = RUNBOOK.errors;
        let unknown = |without_data, of| Standing::Unknown { without_data, of };
        assert_eq!(after(rule, &[]), unknown(0, 0));
        assert_eq!(after(rule, &[None, None]), unknown(2, 2));
        assert_eq!(
            after(rule, &[good.clone(), None, good.clone()]),
            unknown(1, 3)
        );
        let no_stable = Reading::Ratio(Sides {
            canary: Side::Whole(Counts::new(1, 100).unwrap()),
            stable: Side::Instances(Vec::new()),
        });
        assert_eq!(after(rule, &[good, Some(no_stable)]), unknown(1, 2));
        // No request is no availability.
        let silent = Some(ratio((0, 0), (1, 100)));
        assert_eq!(after(RUNBOOK.availability, &[silent]), unknown(1, 1));
    }

    #[test]
    fn flagger_fails_at_its_threshold_of_failed_checks_in_a_row_or_not() {
        let rule = Rule::flagger(Measure::FailureRate, Limit::AtMost(0.05), 3);
        let (bad, good) = (ratio((6, 100), (0, 0)), ratio((5, 100), (0, 0)));
        let of = |marks: &str| {
            let reading = |mark| match mark {
                '+' => Some(good.clone()),
                '-' => Some(bad.clone()),
                _ => None,
            };
            after(rule, &marks.chars().map(reading).collect::<Vec<_>>())
        };
        assert_eq!(of("-+-+"), Standing::Held { failed: 2, of: 4 });
        assert!(matches!(
            of("-+-+-"),
            Standing::Failed {
                failed: 3,
                of: 5,
                ..
            }
        ));
        // No values found: a failed check.
        assert!(matches!(
            of("..."),
            Standing::Failed {
                check: Check::NoData,
                failed: 3,
                of: 3
            }
        ));
        assert_eq!(
            of(""),
            Standing::Unknown {
                without_data: 0,
                of: 0
            }
        );
    }

    #[test]
    fn flagger_passes_nothing_that_had_no_data_once() {
        let rule = Rule::flagger(Measure::FailureRate, Limit::AtMost(0.05), 3);
        let unknown = Standing::Unknown {
            without_data: 1,
            of: 2,
        };
        assert_eq!(after(rule, &[Some(ratio((0, 100), (0, 0))), None]), unknown);
    }

    proptest! {
        #[test]
        fn more_failures_never_help(
            counts in vec((0_u64..20, 0_u64..20), 1..10),
            at in 0_usize..10,
            more in 0_u64..80,
            window in 1_usize..4,
        ) {
            let rule = runbook_003(window).errors;
            let readings = |extra: u64| -> Vec<Option<Reading>> {
                let with = |(n, (canary, stable)): (usize, &(u64, u64))| {
                    let canary = canary + if n == at { extra } else { 0 };
                    Some(ratio((canary, 100), (*stable, 100)))
                };
                counts.iter().enumerate().map(with).collect()
            };
            let held = |extra| matches!(after(rule, &readings(extra)), Standing::Held { .. });
            prop_assert!(held(0) || !held(more));
        }
    }
}

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
    Held {
        canary: f64,
        limit: f64,
    },
    Exceeded {
        canary: f64,
        limit: f64,
    },
    /// A quantile is above the largest bound of the histogram, and may be above the limit.
    Beyond {
        bound: f64,
    },
    NoData,
}

/// What the checks so far come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ThresholdStatus {
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
    /// In so many intervals the number is above the largest bound of the histogram.
    Beyond {
        bound: f64,
        beyond: usize,
        of: usize,
    },
}

impl ThresholdStatus {
    /// At the end of the watch; a fail ends it.
    pub fn verdict(self) -> Verdict {
        match self {
            ThresholdStatus::Failed { .. } => Verdict::Fail,
            ThresholdStatus::Held { .. } => Verdict::Pass,
            ThresholdStatus::Unknown { .. } | ThresholdStatus::Beyond { .. } => {
                Verdict::Inconclusive
            }
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
    beyond: usize,
    /// The largest bound, where the number was beyond it.
    bound: f64,
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
            beyond: 0,
            bound: 0.0,
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
            (Check::Held { .. } | Check::Beyond { .. }, _)
            | (Check::NoData, NoData::Inconclusive) => false,
            (Check::NoData, NoData::FailedCheck) | (Check::Exceeded { .. }, _) => true,
        };
        match check {
            Check::NoData => self.without_data += 1,
            Check::Beyond { bound } => {
                self.beyond += 1;
                self.bound = bound;
            }
            Check::Held { .. } | Check::Exceeded { .. } => {}
        }
        if is_failed {
            self.failed += 1;
            self.last_failed = Some(check);
        }
        check
    }

    /// What the checks so far come to: a failure ends the watch, anything else counts at its end.
    pub fn standing(&self) -> ThresholdStatus {
        let (failed, of) = (self.failed, self.checks);
        match self.last_failed {
            Some(check) if failed >= self.rule.failures.max(1) => {
                ThresholdStatus::Failed { check, failed, of }
            }
            _ if self.beyond > 0 => ThresholdStatus::Beyond {
                bound: self.bound,
                beyond: self.beyond,
                of,
            },
            _ if self.without_data > 0 || of == 0 => ThresholdStatus::Unknown {
                without_data: self.without_data,
                of,
            },
            _ => ThresholdStatus::Held { failed, of },
        }
    }

    fn check(&self) -> Check {
        let newest = self.window.back();
        let Some(newest) = newest.filter(|it| it.canary.is_some()) else {
            return Check::NoData;
        };
        let sum = |side: fn(&Tallies) -> Option<&Tally>| {
            let all = self.window.iter().filter_map(side).cloned();
            let sum = all.reduce(|sum, tally| sum.plus(&tally))?;
            Some((sum.value(self.rule.measure)?, sum.beyond(self.rule.measure)))
        };
        let canary = sum(|it| it.canary.as_ref());
        let limit = match self.rule.limit {
            Limit::AtMost(limit) | Limit::AtLeast(limit) => Some((limit, None)),
            Limit::AtMostAboveStable(margin) => match newest.stable {
                Some(_) => {
                    sum(|it| it.stable.as_ref()).map(|(stable, beyond)| (stable + margin, beyond))
                }
                None => None,
            },
        };
        let (Some((canary, is_more)), Some((limit, may_be_more))) = (canary, limit) else {
            return Check::NoData;
        };
        // What is above the largest bound is more than that.
        let (holds, unsure) = match self.rule.limit {
            Limit::AtLeast(_) if canary >= limit => (true, None),
            Limit::AtLeast(_) => (false, is_more),
            _ if canary < limit || canary <= limit && is_more.is_none() => (true, is_more),
            _ => (false, may_be_more),
        };
        if let Some(bound) = unsure {
            Check::Beyond { bound }
        } else if holds {
            Check::Held { canary, limit }
        } else {
            Check::Exceeded { canary, limit }
        }
    }
}

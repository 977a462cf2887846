//! Numbers against fixed limits, and the findings in words.

use config::file::{Canary, CanaryKind, CanaryMetric, CanaryThresholds};
use config::value::{Quantity, Unit};
use judge::threshold::{Check, Limit, NoData, Rule, ThresholdStatus, Watch};
use judge::{Doubt, Interval, Measure};
use model::Verdict;

use crate::finding::Finding;
use crate::settings::intervals;

/// The rules of each metric.
#[derive(Clone, Debug)]
pub(crate) struct Thresholds {
    metrics: Vec<Vec<Ruled>>,
    intervals: u32,
}

#[derive(Clone, Debug)]
struct Ruled {
    watch: Watch,
    limit: Limit,
    unit: Unit,
    failures: usize,
    failed_at: Option<u32>,
    last: Option<Check>,
}

impl Thresholds {
    pub(crate) fn new(canary: &Canary, metrics: &[CanaryMetric]) -> Thresholds {
        let window = intervals(canary.thresholds.window, canary.interval);
        let rules = |metric: &CanaryMetric| {
            let limits = limits(metric, &canary.thresholds);
            let ruled = limits.into_iter().map(|(measure, limit)| {
                let rule = Rule {
                    measure,
                    limit,
                    window: window as usize,
                    failures: canary.thresholds.failures as usize,
                    no_data: if canary.thresholds.no_data_fails {
                        NoData::FailedCheck
                    } else {
                        NoData::Inconclusive
                    },
                };
                Ruled {
                    watch: Watch::new(rule),
                    limit,
                    unit: unit(metric),
                    failures: rule.failures,
                    failed_at: None,
                    last: None,
                }
            });
            ruled.collect()
        };
        Thresholds {
            metrics: metrics.iter().map(rules).collect(),
            intervals: 0,
        }
    }

    pub(crate) fn observe(&mut self, interval: &Interval) {
        self.intervals += 1;
        for (rules, sample) in self.metrics.iter_mut().zip(&interval.metrics) {
            // What is not sure to be the metric's is no number to compare. When it was counted changes none.
            let is_of_time = |doubt: &Doubt| matches!(doubt, Doubt::Gap | Doubt::Order);
            let reading = sample.reading.as_ref();
            let reading = reading.filter(|_| sample.doubts.iter().all(is_of_time));
            for rule in rules {
                if rule.failed_at.is_none() {
                    rule.last = Some(rule.watch.push(reading));
                    if matches!(rule.watch.standing(), ThresholdStatus::Failed { .. }) {
                        rule.failed_at = Some(self.intervals);
                    }
                }
            }
        }
    }

    pub(crate) fn has_failed(&self, metric: usize) -> bool {
        let mut rules = self.metrics.get(metric).into_iter().flatten();
        rules.any(|rule| rule.failed_at.is_some())
    }

    pub(crate) fn findings(&self, metrics: &[CanaryMetric]) -> Vec<Finding> {
        let each = self.metrics.iter().zip(metrics);
        each.map(|(rules, metric)| self.finding(rules, metric))
            .collect()
    }

    fn finding(&self, rules: &[Ruled], metric: &CanaryMetric) -> Finding {
        let told = rules.iter().map(Ruled::limit_result);
        // The rule that failed first, else the one that is least sure.
        let worst = told.max_by_key(|told| (told.verdict, std::cmp::Reverse(told.at)));
        let Some(worst) = worst else {
            return Finding {
                metric: metric.name.clone(),
                severity: metric.severity,
                verdict: Verdict::Skipped,
                decided_at: None,
                expected: "a limit".to_owned(),
                actual: None,
                reason: "no limit is set for it, and the runbook has none".to_owned(),
                hint: Some("add `max`, `min` or `max-increase`".to_owned()),
                missing_requests: None,
            };
        };
        let expected: Vec<String> = rules.iter().map(Ruled::expected).collect();
        Finding {
            metric: metric.name.clone(),
            severity: metric.severity,
            verdict: worst.verdict,
            decided_at: match worst.verdict {
                Verdict::Fail => worst.at,
                Verdict::Pass => Some(self.intervals),
                _ => None,
            },
            expected: expected.join(", "),
            actual: worst.actual,
            reason: worst.reason,
            hint: (worst.verdict == Verdict::Inconclusive).then(|| worst.hint.to_owned()),
            missing_requests: None,
        }
    }
}

struct LimitResult {
    verdict: Verdict,
    at: Option<u32>,
    actual: Option<String>,
    reason: String,
    hint: &'static str,
}

impl Ruled {
    fn expected(&self) -> String {
        match self.limit {
            Limit::AtMost(limit) => format!("at most {}", self.unit.show(limit)),
            Limit::AtLeast(limit) => format!("at least {}", self.unit.show(limit)),
            Limit::AtMostAboveStable(margin) => {
                format!("at most {} above stable", self.unit.show(margin))
            }
        }
    }

    fn limit_result(&self) -> LimitResult {
        let shown = |check: Check| match check {
            Check::Held { canary, limit } | Check::Exceeded { canary, limit } => Some(format!(
                "{}, limit {}",
                self.unit.show(canary),
                self.unit.show(limit)
            )),
            Check::Beyond { bound } => Some(format!("above {}", self.unit.show(bound))),
            Check::NoData => None,
        };
        let standing = self.watch.standing();
        let (verdict, check, reason) = match standing {
            ThresholdStatus::Failed { check, failed, of } => (
                Verdict::Fail,
                Some(check),
                format!(
                    "failed checks ({failed} of {of}) >= failures ({}): {}",
                    self.failures,
                    shown(check).unwrap_or_else(|| "no data".to_owned())
                ),
            ),
            ThresholdStatus::Held { failed, of } => (
                Verdict::Pass,
                self.last,
                format!(
                    "failed checks ({failed} of {of}) < failures ({})",
                    self.failures
                ),
            ),
            ThresholdStatus::Unknown { of: 0, .. } => (
                Verdict::Inconclusive,
                None,
                "no interval has data of both sides".to_owned(),
            ),
            ThresholdStatus::Unknown { without_data, of } => (
                Verdict::Inconclusive,
                self.last,
                format!("a gap: {without_data} of {of} intervals have no data"),
            ),
            ThresholdStatus::Beyond { bound, beyond, of } => (
                Verdict::Inconclusive,
                Some(Check::Beyond { bound }),
                format!(
                    "above the largest bound of the histogram, {}, in {beyond} of {of} intervals: how far is not known",
                    self.unit.show(bound)
                ),
            ),
        };
        LimitResult {
            verdict,
            at: self.failed_at,
            actual: check.and_then(shown),
            reason,
            hint: if matches!(standing, ThresholdStatus::Beyond { .. }) {
                "give the histogram larger buckets"
            } else {
                "check that both sides are scraped, and that their series have the same labels"
            },
        }
    }
}

fn unit(metric: &CanaryMetric) -> Unit {
    match metric.kind {
        CanaryKind::Ratio => Unit::Percent,
        CanaryKind::Histogram => Unit::Seconds,
        CanaryKind::Gauge | CanaryKind::Count => {
            let limits = [metric.max, metric.min, metric.max_increase];
            let given = limits.into_iter().flatten().next();
            given.map_or(Unit::Plain, Quantity::unit)
        }
    }
}

/// The metric's own limits, else those of the runbook.
fn limits(metric: &CanaryMetric, common: &CanaryThresholds) -> Vec<(Measure, Limit)> {
    let measure = measure(metric);
    let least = match metric.kind {
        CanaryKind::Ratio => Measure::Availability,
        _ => measure,
    };
    let own = [
        metric.max.map(|max| (measure, Limit::AtMost(max.get()))),
        metric.min.map(|min| (least, Limit::AtLeast(min.get()))),
        metric
            .max_increase
            .map(|more| (measure, Limit::AtMostAboveStable(more.get()))),
    ];
    let own: Vec<_> = own.into_iter().flatten().collect();
    if !own.is_empty() {
        return own;
    }
    let errors = (
        Measure::FailureRate,
        Limit::AtMostAboveStable(common.error_rate.get()),
    );
    let availability = (
        Measure::Availability,
        Limit::AtLeast(common.availability.get()),
    );
    match (metric.kind, metric.name.as_str()) {
        // The runbook's table has them apart.
        (CanaryKind::Ratio, "error-rate") => vec![errors],
        (CanaryKind::Ratio, "availability") => vec![availability],
        (CanaryKind::Ratio, _) => vec![errors, availability],
        (CanaryKind::Histogram, _) => {
            vec![(measure, Limit::AtMostAboveStable(common.p95.get()))]
        }
        (CanaryKind::Gauge | CanaryKind::Count, _) => Vec::new(),
    }
}

pub(crate) fn measure(metric: &CanaryMetric) -> Measure {
    match metric.kind {
        CanaryKind::Ratio => Measure::FailureRate,
        CanaryKind::Histogram => Measure::Quantile(metric.quantile()),
        CanaryKind::Gauge | CanaryKind::Count => Measure::Mean,
    }
}

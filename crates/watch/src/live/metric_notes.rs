//! What is told of a comparison: while it runs, and in the report.

use std::time::Duration;

use canary::Finding;
use config::file::{Canary, CanaryMetric, Policy};
use feed::DataDefect;
use jiff::Timestamp;
use model::{Measurement, Outcome, Severity, Verdict};

use crate::compared::Compared;

/// More intervals tell no reader more.
const MAX_INTERVALS: usize = 1000;

/// The words about each metric.
pub(super) struct MetricNotes {
    metrics: Vec<OfMetric>,
    policy: Policy,
    error: Option<String>,
    wrong: Option<String>,
    /// Where a person looks next.
    hint: String,
}

struct OfMetric {
    name: String,
    subject: String,
    severity: Severity,
    measurements: Vec<Measurement>,
    decided: bool,
    /// What was wrong with its numbers at the last look, and what spoilt them for good.
    flaw: Option<String>,
    lasting: Option<String>,
}

impl MetricNotes {
    pub(super) fn new(metrics: &[CanaryMetric], canary: &Canary, hint: String) -> MetricNotes {
        let of = |metric: &CanaryMetric| OfMetric {
            name: metric.name.clone(),
            subject: subject(metric),
            severity: metric.severity,
            measurements: Vec::new(),
            decided: false,
            flaw: None,
            lasting: None,
        };
        MetricNotes {
            metrics: metrics.iter().map(of).collect(),
            policy: Policy {
                deadline: canary.deadline,
                interval: canary.interval,
                ..Policy::default()
            },
            error: None,
            wrong: None,
            hint,
        }
    }

    pub(super) fn rows(&self) -> Vec<Compared> {
        let row = |metric: &OfMetric| Compared {
            id: id(&metric.name),
            subject: metric.subject.clone(),
            severity: metric.severity,
            policy: self.policy.clone(),
        };
        self.metrics.iter().map(row).collect()
    }

    pub(super) fn flaws(&mut self, flaws: &[Vec<DataDefect>]) {
        self.error = None;
        for (metric, flaws) in self.metrics.iter_mut().zip(flaws) {
            let texts: Vec<String> = flaws.iter().map(DataDefect::to_string).collect();
            metric.flaw = (!texts.is_empty()).then(|| texts.join("; "));
            let lasting = flaws.iter().find(|flaw| flaw.is_lasting());
            if let Some(lasting) = lasting {
                metric.lasting.get_or_insert_with(|| lasting.to_string());
            }
        }
    }

    pub(super) fn error(&mut self, error: &feed::Error) {
        self.error = Some(error.to_string());
    }

    pub(super) fn wrong(&mut self, why: &str) {
        self.wrong.get_or_insert_with(|| why.to_owned());
    }

    pub(super) fn unrecorded(&mut self, why: &std::io::Error) {
        self.wrong(&format!("the trace cannot be written: {why}"));
    }

    /// The interval that was just taken in.
    pub(super) fn measured(&mut self, at: Timestamp, findings: &[Finding]) {
        for (metric, finding) in self.metrics.iter_mut().zip(findings) {
            if metric.decided {
                continue;
            }
            metric.decided = finding.decided_at.is_some();
            if metric.measurements.len() >= MAX_INTERVALS {
                metric.measurements.remove(MAX_INTERVALS / 2);
            }
            metric.measurements.push(Measurement {
                at,
                verdict: finding.verdict,
                value: finding.actual.clone(),
                reason: metric.flaw.clone(),
                duration: Duration::ZERO,
                evidence: None,
            });
        }
    }

    /// One line about a metric now.
    pub(super) fn current(&self, nth: usize, finding: &Finding) -> String {
        let metric = self.metrics.get(nth);
        let flaw = metric.and_then(|metric| metric.flaw.as_deref());
        let trouble = self.error.as_deref().or(self.wrong.as_deref()).or(flaw);
        match (&finding.actual, trouble) {
            (Some(actual), None) => actual.clone(),
            (Some(actual), Some(trouble)) => format!("{trouble} · {actual}"),
            (None, Some(trouble)) => trouble.to_owned(),
            (None, None) => "no data yet".to_owned(),
        }
    }

    pub(super) fn outcome(&mut self, nth: usize, finding: Finding, took: Duration) -> Outcome {
        let metric = &mut self.metrics[nth];
        let mut reason = finding.reason;
        if finding.verdict == Verdict::Inconclusive {
            let causes = [
                metric.lasting.take().or(metric.flaw.take()),
                self.error.clone(),
                self.wrong.clone(),
            ];
            let causes: Vec<String> = causes.into_iter().flatten().collect();
            if !causes.is_empty() {
                reason = format!("{}; {reason}", causes.join("; "));
            }
        }
        let mut outcome = Outcome::new(id(&metric.name), &metric.subject, finding.verdict)
            .severity(finding.severity)
            .expected(finding.expected)
            .reason(reason)
            .took(took)
            .measurements(std::mem::take(&mut metric.measurements));
        let nothing = || "nothing was compared".to_owned();
        outcome.actual = Some(finding.actual.unwrap_or_else(nothing));
        if finding.verdict != Verdict::Pass {
            outcome.hint = finding.hint.or_else(|| Some(self.hint.clone()));
        }
        outcome
    }
}

/// The id of a metric's outcome.
pub fn id(metric: &str) -> String {
    format!("canary/{metric}")
}

/// What is asked, as the file says it.
pub fn subject(metric: &CanaryMetric) -> String {
    let queries = [
        &metric.failed,
        &metric.total,
        &metric.buckets,
        &metric.query,
    ];
    let first = queries.into_iter().flatten().next();
    first.map_or_else(|| metric.name.clone(), Clone::clone)
}

//! What is told of a comparison: while it runs, and in the report.

use std::time::Duration;

use canary::Finding;
use config::file::{Canary, CanaryKind, CanaryMetric, Policy};
use feed::DataDefect;
use jiff::Timestamp;
use model::{Id, Measurement, Outcome, Severity, Verdict};

use crate::compared::Compared;

/// More intervals tell no reader more.
const MAX_INTERVALS: usize = 1000;

/// The words about each metric.
pub(super) struct MetricNotes {
    metrics: Vec<OfMetric>,
    policy: Policy,
    error: Option<String>,
    wrong: Option<String>,
}

struct OfMetric {
    name: String,
    subject: String,
    kind: CanaryKind,
    severity: Severity,
    measurements: Vec<Measurement>,
    decided: bool,
    /// What was wrong with its numbers at the last look, and what spoilt them for good.
    flaw: Option<Flaw>,
    lasting: Option<Flaw>,
    /// Where a person looks next.
    hint: String,
}

/// What is wrong with numbers, and where a person looks.
#[derive(Clone)]
struct Flaw {
    text: String,
    hint: &'static str,
}

impl MetricNotes {
    pub(super) fn new(
        metrics: &[CanaryMetric],
        canary: &Canary,
        hint: impl Fn(&CanaryMetric) -> String,
    ) -> MetricNotes {
        let of = |metric: &CanaryMetric| OfMetric {
            name: metric.name.clone(),
            subject: subject(canary, metric),
            kind: metric.kind,
            severity: metric.severity,
            measurements: Vec::new(),
            decided: false,
            flaw: None,
            lasting: None,
            hint: hint(metric),
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
        }
    }

    pub(super) fn rows(&self) -> Vec<Compared> {
        let row = |metric: &OfMetric| Compared {
            id: Id::canary(&metric.name).into(),
            subject: metric.subject.clone(),
            severity: metric.severity,
            policy: self.policy.clone(),
        };
        self.metrics.iter().map(row).collect()
    }

    pub(super) fn flaws(&mut self, flaws: &[Vec<DataDefect>]) {
        self.error = None;
        for (metric, flaws) in self.metrics.iter_mut().zip(flaws) {
            let kind = metric.kind;
            let flaw = |text: String, of: &DataDefect| Flaw {
                text,
                hint: canary::hint_of_doubt(feed::doubt(of), kind),
            };
            let texts: Vec<String> = flaws.iter().map(DataDefect::to_string).collect();
            metric.flaw = flaws.first().map(|first| flaw(texts.join("; "), first));
            if let Some(lasting) = flaws.iter().find(|flaw| flaw.is_lasting()) {
                metric
                    .lasting
                    .get_or_insert_with(|| flaw(lasting.to_string(), lasting));
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
                reason: metric.flaw.as_ref().map(|flaw| flaw.text.clone()),
                duration: Duration::ZERO,
                evidence: None,
            });
        }
    }

    /// One line about a metric now.
    pub(super) fn current(&self, nth: usize, finding: &Finding) -> String {
        let metric = self.metrics.get(nth);
        let flaw = metric.and_then(|metric| metric.flaw.as_ref());
        let flaw = flaw.map(|flaw| flaw.text.as_str());
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
        let mut hint = finding.hint;
        if finding.verdict == Verdict::Inconclusive {
            // What is wrong now, before what was.
            let present = metric.flaw.take();
            let is_told = |lasting: &Flaw| {
                let present = present.as_ref();
                present.is_some_and(|present| present.text.contains(&lasting.text))
            };
            let lasting = metric.lasting.take().filter(|lasting| !is_told(lasting));
            let flaws = [present, lasting].into_iter().flatten();
            let flaws: Vec<Flaw> = flaws.collect();
            if let Some(flaw) = flaws.first() {
                hint = Some(flaw.hint.to_owned());
            }
            let told = [self.error.clone(), self.wrong.clone()];
            let causes = flaws.into_iter().map(|flaw| flaw.text);
            let causes: Vec<String> = causes.chain(told.into_iter().flatten()).collect();
            if !causes.is_empty() {
                reason = format!("{}; {reason}", causes.join("; "));
            }
        }
        let mut outcome = Outcome::new(Id::canary(&metric.name), &metric.subject, finding.verdict)
            .severity(finding.severity)
            .expected(finding.expected)
            .reason(reason)
            .took(took)
            .measurements(std::mem::take(&mut metric.measurements));
        let nothing = || "nothing was compared".to_owned();
        outcome.missing_requests = finding.missing_requests;
        outcome.actual = Some(finding.actual.unwrap_or_else(nothing));
        if finding.verdict != Verdict::Pass {
            outcome.hint = hint.or_else(|| Some(metric.hint.clone()));
        }
        outcome
    }
}

/// What is asked, as the file says it.
pub fn subject(canary: &Canary, metric: &CanaryMetric) -> String {
    if let Some(log) = &canary.access_log {
        return log.file.display().to_string();
    }
    if let Some(command) = &canary.command {
        return command.run.to_string();
    }
    let queries = [
        &metric.failed,
        &metric.total,
        &metric.buckets,
        &metric.query,
    ];
    let first = queries.into_iter().flatten().next();
    // A query of a preset has no space there.
    let told = |query: &String| query.replace("{{side}", "{ {side}");
    first.map_or_else(|| metric.name.clone(), told)
}

#[cfg(test)]
mod tests {
    use feed::SideName;

    use super::*;

    #[test]
    fn the_query_of_a_preset_is_told_as_a_file_has_it() {
        let canary = Canary::default();
        let metrics = canary.compared();
        let told: Vec<String> = metrics
            .iter()
            .map(|metric| subject(&canary, metric))
            .collect();
        let errors = r#"http_requests_total{ {side},status=~"5.."}"#;
        let latency = "http_request_duration_seconds_bucket{ {side}}";
        assert_eq!(told, [errors, latency]);
    }

    /// Where a side is not scraped any more, no longer deadline helps.
    #[test]
    fn the_hint_is_about_what_is_wrong_with_the_numbers() {
        let query = || "requests".to_owned();
        let stale = DataDefect::Stale {
            side: SideName::Canary,
            seconds: 103.0,
        };
        let fraction = DataDefect::Fraction {
            query: query(),
            value: 107.5,
        };
        let reset = DataDefect::Reset {
            side: SideName::Stable,
            instance: "a".to_owned(),
            from: 2.0,
            to: 1.0,
        };
        let of_scrapes = "check that both sides are scraped";
        for (flaws, hint, told_first) in [
            (vec![stale.clone()], of_scrapes, "stale: "),
            (vec![fraction], "count with raw counters", "107.5 of"),
            // The present one first, and then what keeps it from passing for good.
            (vec![reset.clone(), stale], of_scrapes, "stale: "),
            (
                vec![reset.clone(), reset],
                "look why the instance",
                "reset: ",
            ),
        ] {
            let metrics = [CanaryMetric::new("errors", CanaryKind::Ratio)];
            let mut notes = MetricNotes::new(&metrics, &Canary::default(), |_| String::new());
            for flaw in flaws {
                notes.flaws(&[vec![flaw]]);
            }
            let finding = Finding {
                metric: "errors".to_owned(),
                severity: Severity::Required,
                verdict: Verdict::Inconclusive,
                decided_at: None,
                expected: String::new(),
                actual: None,
                reason: "neither verdict can be reached before the deadline".to_owned(),
                hint: Some("set a longer `deadline`".to_owned()),
                missing_requests: None,
            };
            let outcome = notes.outcome(0, finding, Duration::ZERO);
            let told = outcome.hint.unwrap();
            assert!(told.starts_with(hint), "{told}");
            let reason = outcome.reason.unwrap();
            assert!(reason.starts_with(told_first), "{reason}");
            assert!(reason.matches("reset: ").count() <= 1, "{reason}");
        }
    }
}

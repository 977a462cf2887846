//! One run of a recording.

use std::collections::BTreeSet;
use std::time::Duration;

use canary::trace::Recorded;
use canary::{Comparison, Finding, MAX_MISSING, SettingsError};
use config::file::Canary;
use jiff::{SignedDuration, Timestamp};
use judge::{Doubt, Interval};
use model::{Id, Measurement, Outcome, Severity, Verdict};

/// More names tell no reader more.
const MAX_OTHERS: usize = 5;

pub(super) struct Run {
    pub(super) name: Option<String>,
    /// Where it begins.
    place: String,
    comparison: Comparison,
    /// An advisory metric may decide after the others have.
    goes_on: bool,
    interval: Duration,
    /// An interval that may follow a gap.
    held_back: Option<Recorded>,
    /// Of each metric, whether any line has it.
    given: Vec<bool>,
    /// Metrics that lines have and the configuration does not.
    others: BTreeSet<String>,
    times: Vec<Option<Timestamp>>,
    /// For the picture.
    pub(super) intervals: Vec<Interval>,
}

impl Run {
    pub(super) fn new(
        canary: &Canary,
        name: Option<String>,
        place: String,
    ) -> Result<Run, SettingsError> {
        let comparison = Comparison::new(canary, MAX_MISSING)?.recorded();
        let mut metrics = comparison.metrics().iter();
        Ok(Run {
            goes_on: metrics.any(|metric| metric.severity == Severity::Advisory),
            interval: canary.interval.get(),
            held_back: None,
            given: vec![false; comparison.metrics().len()],
            others: BTreeSet::new(),
            comparison,
            name,
            place,
            times: Vec::new(),
            intervals: Vec::new(),
        })
    }

    /// The comparison over the same data, drawn.
    pub(super) fn drawn(&self, canary: &Canary) -> Result<Comparison, SettingsError> {
        let comparison = Comparison::new(canary, MAX_MISSING)?;
        let mut comparison = comparison.recorded().drawn();
        for interval in &self.intervals {
            comparison.observe(interval);
        }
        Ok(comparison)
    }

    pub(super) fn observe(&mut self, recorded: Recorded) {
        if let Some(before) = self.held_back.take() {
            self.take(before);
        }
        if recorded.has_one_long_step {
            self.held_back = Some(recorded);
        } else {
            self.take(recorded);
        }
    }

    /// No interval comes any more.
    pub(super) fn end(&mut self) {
        if let Some(mut last) = self.held_back.take() {
            for sample in &mut last.interval.metrics {
                sample.doubts.insert(Doubt::Gap);
            }
            self.take(last);
        }
        self.comparison.end_recording();
        if let Some(others) = self.other_names() {
            for nth in 0..self.given.len() {
                if !self.given[nth] {
                    let name = &self.comparison.metrics()[nth].name;
                    let absent = format!("no line has `{name}`; there is {others}");
                    self.comparison.note(nth, absent);
                }
            }
        }
    }

    /// What the recording has instead of what is not in it.
    fn other_names(&self) -> Option<String> {
        let names: Vec<String> = self
            .others
            .iter()
            .take(MAX_OTHERS)
            .map(|name| format!("`{name}`"))
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    fn take(&mut self, recorded: Recorded) {
        for (given, here) in self.given.iter_mut().zip(&recorded.given) {
            *given |= here;
        }
        if self.others.len() < MAX_OTHERS {
            self.others.extend(recorded.others);
        }
        let line = recorded.line;
        let problems: Vec<Option<String>> = recorded
            .problems
            .into_iter()
            .map(|problem| problem.map(|problem| format!("line {line}: {problem}")))
            .collect();
        if self.comparison.is_over() {
            self.comparison.observe_rest(&recorded.interval, &problems);
            if !self.goes_on {
                return;
            }
        }
        let before = self.comparison.intervals();
        self.comparison.observe(&recorded.interval);
        if self.comparison.intervals() == before {
            return;
        }
        for (metric, problem) in problems.into_iter().enumerate() {
            if let Some(problem) = problem {
                self.comparison.note(metric, problem);
            }
        }
        self.times.push(recorded.at);
        self.intervals.push(recorded.interval);
    }

    /// An outcome for each metric, with a measurement for each interval that it took.
    pub(super) fn outcomes(&self, started_at: Timestamp) -> Vec<Outcome> {
        let findings = self.comparison.findings().into_iter();
        findings
            .zip(&self.given)
            .map(|(finding, given)| {
                let mut outcome = self.outcome(finding, started_at);
                if let (false, Some(others)) = (given, self.other_names()) {
                    outcome.hint = Some(format!("name the metric as the recording does: {others}"));
                }
                outcome
            })
            .collect()
    }

    fn outcome(&self, finding: Finding, started_at: Timestamp) -> Outcome {
        let id = match &self.name {
            Some(name) => Id::canary(format_args!("{name}/{}", finding.metric)),
            None => Id::canary(&finding.metric),
        };
        let took = finding.decided_at.map(|at| at as usize);
        let took = took.unwrap_or(self.times.len()).min(self.times.len());
        let first = self.times.iter().flatten().next();
        let first = first.copied().unwrap_or(started_at);
        let mut at = first;
        let measurements: Vec<Measurement> = (0..took)
            .map(|nth| {
                at = match self.times[nth] {
                    Some(at) => at,
                    None if nth == 0 => first,
                    None => later(at, self.interval),
                };
                let is_last = nth + 1 == took;
                Measurement {
                    at,
                    verdict: if is_last {
                        finding.verdict
                    } else {
                        Verdict::Inconclusive
                    },
                    value: None,
                    reason: None,
                    duration: Duration::ZERO,
                    evidence: None,
                }
            })
            .collect();
        let last = measurements.last().map_or(first, |one| one.at);
        let duration = Duration::try_from(last.duration_since(first)).unwrap_or_default();
        let mut outcome = Outcome::new(id, self.place.clone(), finding.verdict)
            .severity(finding.severity)
            .expected(finding.expected)
            .reason(finding.reason)
            .took(duration)
            .measurements(measurements);
        outcome.actual = finding.actual;
        outcome.hint = finding.hint;
        outcome.missing_requests = finding.missing_requests;
        outcome
    }
}

fn later(at: Timestamp, interval: Duration) -> Timestamp {
    let interval = SignedDuration::try_from(interval).unwrap_or_default();
    at.checked_add(interval).unwrap_or(at)
}

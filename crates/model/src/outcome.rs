//! One question that a stage asked, and what came back.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Id, Redactor, Verdict, evidence};

/// Whether an outcome can fail its stage.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Decides the stage's verdict.
    #[default]
    Required,
    /// Shown and scored, but cannot fail the stage.
    Advisory,
}

impl Severity {
    /// What a verdict counts for in its stage: an advisory one for nothing worse than a pass.
    pub fn weighs(self, verdict: Verdict) -> Verdict {
        match self {
            Severity::Required => verdict,
            Severity::Advisory => verdict.min(Verdict::Pass),
        }
    }
}

/// One reading of a probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// When the reading was started.
    pub at: Timestamp,
    pub verdict: Verdict,
    /// What was seen, short: a status, a number, a release.
    pub value: Option<String>,
    /// Why it is not a pass; `None` on a pass.
    pub reason: Option<String>,
    pub duration: Duration,
    /// The answer's head or the output's tail, of the most telling measurements only; see
    /// [`crate::evidence`].
    pub evidence: Option<String>,
}

impl Measurement {
    fn redacted(self, redactor: &Redactor) -> Self {
        let Measurement {
            at,
            verdict,
            value,
            reason,
            duration,
            evidence,
        } = self;
        let clean = |text: String| redactor.redact(&text);
        Measurement {
            at,
            verdict,
            value: value.map(clean),
            reason: reason.map(clean),
            duration,
            evidence: evidence.map(|text| evidence::redacted(&text, redactor)),
        }
    }
}

/// Worst first, otherwise in the order of the report.
pub fn by_weight(outcomes: &[Outcome]) -> Vec<&Outcome> {
    let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
    sorted.sort_by_key(|outcome| std::cmp::Reverse((outcome.weighs(), outcome.verdict)));
    sorted
}

/// The result of one check or probe, with its arithmetic.
///
/// `id` is `kind/name`, stable from run to run (`http/ready`, `secrets/DEPLOY_KEY`); `subject` is
/// what was asked (a URL, a host, an image). Free text may come from outside: it is redacted
/// and escaped on the way out, not here.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub id: Id,
    pub subject: String,
    pub verdict: Verdict,
    pub severity: Severity,
    pub expected: Option<String>,
    pub actual: Option<String>,
    pub reason: Option<String>,
    /// The next step for a person: a command or a place to look.
    pub hint: Option<String>,
    pub duration: Duration,
    pub measurements: Vec<Measurement>,
    /// The policy of its probe, if it differs from the report's.
    pub policy: Option<crate::Policy>,
    pub limits: crate::Limits,
    /// The endpoints, if it covers many.
    pub members: Option<crate::MemberCounts>,
    /// Of a plan.
    pub planned: Option<crate::planned::Planned>,
    /// Of a comparison that could not be decided: how many more requests would decide it, where that is known.
    pub missing_requests: Option<u64>,
    /// Where in the repository's files it is found.
    pub found_at: Option<FoundAt>,
    /// What the release under test served while it was compared. Not part of the JSON document.
    pub requests: Option<Requests>,
}

/// Requests that were counted, and those of them that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    pub failed: u64,
    pub total: u64,
}

/// A place in a file of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAt {
    /// From the folder in which the stage runs.
    pub file: String,
    /// Line and column, from 1; `None` where the file as a whole is meant.
    pub line: Option<(usize, usize)>,
}

impl Outcome {
    pub fn new(id: impl Into<Id>, subject: impl Into<String>, verdict: Verdict) -> Self {
        Outcome {
            id: id.into(),
            subject: subject.into(),
            verdict,
            severity: Severity::Required,
            expected: None,
            actual: None,
            reason: None,
            hint: None,
            duration: Duration::ZERO,
            measurements: Vec::new(),
            policy: None,
            limits: crate::Limits::default(),
            members: None,
            planned: None,
            missing_requests: None,
            found_at: None,
            requests: None,
        }
    }

    /// The outcome with every secret in every text replaced.
    pub(crate) fn redacted(self, redactor: &Redactor) -> Self {
        let Outcome {
            id,
            subject,
            verdict,
            severity,
            expected,
            actual,
            reason,
            hint,
            duration,
            measurements,
            policy,
            limits,
            members,
            planned,
            missing_requests,
            found_at,
            requests,
        } = self;
        let clean = |text: String| redactor.redact(&text);
        let measurements = measurements.into_iter();
        Outcome {
            id: clean(id.into()).into(),
            subject: clean(subject),
            verdict,
            severity,
            expected: expected.map(clean),
            actual: actual.map(clean),
            reason: reason.map(clean),
            hint: hint.map(clean),
            duration,
            measurements: measurements.map(|one| one.redacted(redactor)).collect(),
            policy: policy.map(crate::Policy::redacted),
            limits,
            members: members.map(|members| members.redacted(redactor)),
            planned,
            missing_requests,
            found_at: found_at.map(|FoundAt { file, line }| FoundAt {
                file: redactor.redact(&file),
                line,
            }),
            requests,
        }
    }

    pub fn pass(id: impl Into<Id>, subject: impl Into<String>) -> Self {
        Self::new(id, subject, Verdict::Pass)
    }

    pub fn fail(id: impl Into<Id>, subject: impl Into<String>) -> Self {
        Self::new(id, subject, Verdict::Fail)
    }

    pub fn error(id: impl Into<Id>, subject: impl Into<String>) -> Self {
        Self::new(id, subject, Verdict::Error)
    }

    pub fn inconclusive(id: impl Into<Id>, subject: impl Into<String>) -> Self {
        Self::new(id, subject, Verdict::Inconclusive)
    }

    pub fn refused(id: impl Into<Id>, subject: impl Into<String>) -> Self {
        Self::new(id, subject, Verdict::Refused)
    }

    /// Not asked; `reason` says why.
    pub fn skipped(
        id: impl Into<Id>,
        subject: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::new(id, subject, Verdict::Skipped).reason(reason)
    }

    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub fn actual(mut self, actual: impl Into<String>) -> Self {
        self.actual = Some(actual.into());
        self
    }

    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn found_at(mut self, found_at: FoundAt) -> Self {
        self.found_at = Some(found_at);
        self
    }

    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub fn took(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    pub fn measurements(mut self, measurements: Vec<Measurement>) -> Self {
        self.measurements = measurements;
        self
    }

    /// The most telling measurements: the first and the last failure, and the last success. A
    /// failure here is the worst that was seen, whatever its name.
    pub fn telling(&self) -> NotableMeasurements<&Measurement> {
        let mut telling = NotableMeasurements::default();
        for measurement in &self.measurements {
            telling.push(measurement.verdict, measurement);
        }
        telling
    }

    /// The reason, where it tells more than what was found.
    pub fn own_reason(&self) -> Option<&str> {
        let reason = self.reason.as_deref()?;
        let found = self.actual.as_deref().unwrap_or_default().to_lowercase();
        (!found.contains(&reason.trim().to_lowercase())).then_some(reason)
    }

    /// What this outcome counts for in its stage: an advisory finding counts for nothing worse
    /// than a pass.
    pub fn weighs(&self) -> Verdict {
        self.severity.weighs(self.verdict)
    }
}

/// The first and the last failure and the last success of a row of measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct NotableMeasurements<T> {
    pub first_failure: Option<T>,
    /// None where there was but one.
    pub last_failure: Option<T>,
    pub last_success: Option<T>,
    worst: Verdict,
}

impl<T> Default for NotableMeasurements<T> {
    fn default() -> Self {
        NotableMeasurements {
            first_failure: None,
            last_failure: None,
            last_success: None,
            worst: Verdict::Pass,
        }
    }
}

impl<T> NotableMeasurements<T> {
    /// Takes the next measurement; a worse failure than those before makes them forgotten.
    pub fn push(&mut self, verdict: Verdict, measurement: T) {
        if verdict <= Verdict::Pass {
            self.last_success = Some(measurement);
        } else if verdict > self.worst {
            self.worst = verdict;
            self.first_failure = Some(measurement);
            self.last_failure = None;
        } else if verdict == self.worst {
            self.last_failure = Some(measurement);
        }
    }

    /// In the order in which they are shown.
    pub fn in_order(self) -> impl Iterator<Item = T> {
        [self.first_failure, self.last_failure, self.last_success]
            .into_iter()
            .flatten()
    }
}

impl NotableMeasurements<Measurement> {
    /// Gives the measurements that were kept their evidence, and takes a place among them where
    /// a telling one was dropped.
    pub fn keep_in(self, kept: &mut Vec<Measurement>) {
        for told in self.in_order() {
            let place = kept.partition_point(|measurement| measurement.at < told.at);
            match kept.get_mut(place) {
                Some(same) if same.at == told.at => *same = told,
                _ => kept.insert(place, told),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_failures_and_the_last_success_tell_most() {
        use Verdict::{Error, Fail, Pass};
        let told = |verdicts: &[Verdict]| {
            let mut telling = NotableMeasurements::default();
            for (n, verdict) in verdicts.iter().enumerate() {
                telling.push(*verdict, n);
            }
            telling.in_order().collect::<Vec<_>>()
        };
        assert_eq!(told(&[Error, Fail, Pass, Fail, Error, Pass]), [1, 3, 5]);
        assert_eq!(told(&[Pass, Fail]), [1, 0]);
        assert_eq!(told(&[Error, Error]), [0, 1]);
        assert_eq!(told(&[Pass, Pass]), [1]);
        assert!(told(&[]).is_empty());
    }
}

//! An event in one sentence, for a timeline and for people who are told.

use std::time::Duration;

use jiff::SignedDuration;
use model::text::span;

use crate::clocks::TOLERANCE;
use crate::{Event, Happening};

/// How long something lasted, for people. It is not known where its end is before its beginning.
pub fn lasted(time: SignedDuration) -> String {
    if time < -TOLERANCE {
        return "an unknown time (clocks disagree)".to_owned();
    }
    span(time.max(SignedDuration::ZERO).unsigned_abs())
}

impl Event {
    /// What happened, in plain text of any length: its writer escapes it for where it is shown.
    pub fn sentence(&self) -> String {
        let release = self.subject.release.as_deref().unwrap_or("the release");
        match &self.what {
            Happening::DeploymentStarted { previous, .. } => match previous {
                Some(previous) => {
                    format!("deployment of {release} started; {previous} is the last good release")
                }
                None => format!("deployment of {release} started"),
            },
            Happening::StageEnded {
                stage,
                verdict,
                reason,
                cancelled,
                duration_ms,
                ..
            } => {
                let took = span(Duration::from_millis(*duration_ms));
                let ended = if *cancelled {
                    "cancelled"
                } else {
                    verdict.as_str()
                };
                format!("{stage}: {ended} after {took}: {reason}")
            }
            Happening::DeploymentEnded {
                conclusion,
                reason,
                serving,
                ..
            } => {
                let serving = serving
                    .as_ref()
                    .map(|serving| format!("; {serving} serves"))
                    .unwrap_or_default();
                format!(
                    "deployment of {release} ended: {}{serving}: {reason}",
                    conclusion.words()
                )
            }
            Happening::ExposureMeasured { exposure, unknown } => match (exposure, unknown) {
                (Some(exposure), _) => format!("{release} served {exposure}"),
                (None, Some(why)) => format!("what {release} served is unknown: {why}"),
                (None, None) => format!("what {release} served is unknown"),
            },
            Happening::IncidentOpened { severity, text, .. } => {
                format!("incident opened, {severity}: {text}")
            }
            Happening::IncidentUpdated { text, phase, .. } => match phase {
                Some(phase) => format!("update, {}: {text}", phase.word()),
                None => format!("update: {text}"),
            },
            Happening::Note { text } => format!("note: {text}"),
            Happening::SeverityChanged { from, to, why } if from == to => {
                format!("severity stays {to}: {why}")
            }
            Happening::SeverityChanged { from, to, why } => {
                format!("severity changed from {from} to {to}: {why}")
            }
            Happening::Escalated { text, .. } => format!("escalated: {text}"),
            Happening::IncidentResolved { text, serving, .. } => match serving {
                Some(serving) => format!("resolved; {serving} serves: {text}"),
                None => format!("resolved: {text}"),
            },
            Happening::Claimed { .. }
            | Happening::Released { .. }
            | Happening::GivenUp { .. }
            | Happening::Delivered { .. }
            | Happening::Undelivered { .. } => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_whose_end_is_before_its_beginning_is_unknown() {
        assert_eq!(
            lasted(SignedDuration::from_mins(-5)),
            "an unknown time (clocks disagree)"
        );
        assert_eq!(lasted(SignedDuration::from_secs(-5)), "0ms");
    }
}

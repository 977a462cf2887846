//! What a probe has seen: bounded, whatever it watches and for how long.

use std::time::Duration;

use jiff::Timestamp;
use model::{Measurement, Telling, Verdict};

use crate::Reading;
use crate::release::Identity;

/// A long soak must not fill the memory: the first and the last measurements are kept.
const KEPT: usize = 1000;
/// Of all probes together: the report of thousands stays one that can be read.
const KEPT_OF_ALL: usize = 100_000;
/// Of all members of a group together, and of those only what did not pass.
const KEPT_OF_MEMBERS: usize = 200;

#[derive(Default)]
pub(super) struct History {
    pub(super) seen: u64,
    most: usize,
    pub(super) measurements: Vec<Measurement>,
    /// Those that keep their evidence.
    pub(super) telling: Telling<Measurement>,
    pub(super) last: Option<Reading>,
    /// The newest of the worst readings that are no pass.
    pub(super) worst: Option<Reading>,
    /// Which releases its answers named.
    pub(super) named: Named,
}

/// Which releases were named, of the one that is expected and of all others.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    pub(super) expected: bool,
    /// The last of the others.
    pub(super) other: Option<String>,
    /// The expected one, at some addresses only.
    pub(super) partly: bool,
}

impl History {
    /// Of one of so many probes.
    pub(super) fn of_one_among(probes: usize) -> Self {
        History {
            most: (KEPT_OF_ALL / probes.max(1)).clamp(20, KEPT),
            ..History::default()
        }
    }

    pub(super) fn push(
        &mut self,
        member: Option<&str>,
        at: Timestamp,
        took: Duration,
        mut reading: Reading,
    ) {
        self.seen += 1;
        match &reading.release {
            Some(Identity::Matches(_)) => self.named.expected = true,
            Some(Identity::Differs { actual, .. }) => self.named.other = Some(actual.clone()),
            Some(Identity::Partly(_)) => self.named.partly = true,
            Some(Identity::Unknown(_) | Identity::Several(_)) | None => {}
        }
        let verdict = reading.verdict;
        let named = |text: &Option<String>| match (member, text) {
            (Some(member), Some(text)) => Some(format!("{member}: {text}")),
            (Some(member), None) => Some(member.to_owned()),
            (None, text) => text.clone(),
        };
        let measurement = Measurement {
            at,
            verdict,
            value: named(&reading.value),
            reason: reading.reason.clone(),
            duration: took,
            evidence: None,
        };
        if member.is_none() || verdict != Verdict::Pass {
            let most = if member.is_none() {
                self.most
            } else {
                self.most.min(KEPT_OF_MEMBERS)
            };
            if self.measurements.len() >= most {
                self.measurements.remove(most / 2);
            }
            self.measurements.push(measurement.clone());
        }
        let evidence = reading.evidence.take();
        self.telling.push(
            verdict,
            Measurement {
                evidence,
                ..measurement
            },
        );
        let worse = |worst: &Reading| worst.verdict <= verdict;
        if verdict != Verdict::Pass && self.worst.as_ref().is_none_or(worse) {
            self.worst = Some(reading.clone());
        }
        self.last = Some(reading);
    }

    /// What the report keeps.
    pub(super) fn kept(&mut self) -> Vec<Measurement> {
        let mut kept = std::mem::take(&mut self.measurements);
        std::mem::take(&mut self.telling).keep_in(&mut kept);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_thousands_of_probes_have_seen_is_bounded_as_a_whole() {
        let kept = |probes: usize, measured: usize| {
            let mut history = History::of_one_among(probes);
            for _ in 0..measured {
                let reading = Reading::pass("x", "x");
                history.push(None, Timestamp::UNIX_EPOCH, Duration::ZERO, reading);
            }
            history.kept().len()
        };
        assert_eq!(kept(1, 900), 900);
        assert!(kept(1, 3000) <= KEPT);
        assert!(kept(5000, 3000) <= 25);
        assert_eq!(kept(5000, 10), 10);
    }
}

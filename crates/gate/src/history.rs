//! What a probe has seen: bounded, whatever it watches and for how long.

use std::time::Duration;

use jiff::Timestamp;
use model::{Measurement, NotableMeasurements, Verdict};
use probe::Reading;
use probe::release::Identity;

/// A long soak must not fill the memory: the first and the last measurements are kept.
const MAX_MEASUREMENTS: usize = 1000;
/// Limit over all probes, so that a report of thousands stays readable.
const MAX_MEASUREMENTS_OF_ALL: usize = 100_000;
/// Of all members of a group together, and of those only what did not pass.
const MAX_MEASUREMENTS_OF_MEMBERS: usize = 200;

#[derive(Default)]
pub(crate) struct History {
    pub(crate) seen: u64,
    most: usize,
    pub(crate) measurements: Vec<Measurement>,
    /// Those that keep their evidence.
    pub(crate) telling: NotableMeasurements<Measurement>,
    pub(crate) last: Option<Reading>,
    /// The newest reading of each verdict that is not a pass.
    newest: NewestByVerdict<Reading>,
    /// Which releases its answers named.
    pub(crate) named: ReleasesNamed,
}

/// Which releases were named, of the one that is expected and of all others.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReleasesNamed {
    pub(crate) expected: bool,
    /// The last of the others.
    pub(crate) other: Option<String>,
    /// The expected one, at some addresses only.
    pub(crate) partly: bool,
}

impl History {
    /// Of one of so many probes.
    pub(crate) fn of_one_among(probes: usize) -> Self {
        History {
            most: (MAX_MEASUREMENTS_OF_ALL / probes.max(1)).clamp(20, MAX_MEASUREMENTS),
            ..History::default()
        }
    }

    pub(crate) fn push(
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
                self.most.min(MAX_MEASUREMENTS_OF_MEMBERS)
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
        self.newest.push(verdict, || reading.clone());
        self.last = Some(reading);
    }

    /// The reading that tells why the probe ended as it did: the newest of that verdict, for it
    /// broke the rule. Where none has it, nothing was decided, and the last one tells most.
    pub(crate) fn deciding(&mut self, verdict: Verdict) -> Option<Reading> {
        self.newest.take(verdict).or(self.last.take())
    }

    /// What the report keeps.
    pub(crate) fn take_retained(&mut self) -> Vec<Measurement> {
        let mut kept = std::mem::take(&mut self.measurements);
        std::mem::take(&mut self.telling).keep_in(&mut kept);
        kept
    }
}

/// The newest data that came with each verdict that is not a pass.
#[derive(Debug)]
pub(crate) struct NewestByVerdict<T>(Vec<(Verdict, T)>);

impl<T> Default for NewestByVerdict<T> {
    fn default() -> Self {
        NewestByVerdict(Vec::new())
    }
}

impl<T> NewestByVerdict<T> {
    pub(crate) fn push(&mut self, verdict: Verdict, make: impl FnOnce() -> T) {
        if verdict == Verdict::Pass {
            return;
        }
        match self.0.iter_mut().find(|(of, _)| *of == verdict) {
            Some((_, kept)) => *kept = make(),
            None => self.0.push((verdict, make())),
        }
    }

    pub(crate) fn get(&self, verdict: Verdict) -> Option<&T> {
        let found = self.0.iter().find(|(of, _)| *of == verdict);
        found.map(|(_, kept)| kept)
    }

    fn take(&mut self, verdict: Verdict) -> Option<T> {
        let at = self.0.iter().position(|(of, _)| *of == verdict)?;
        Some(self.0.swap_remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reading_that_broke_the_rule_tells_why_and_not_a_worse_one_before_it() {
        use Verdict::{Error, Fail, Inconclusive};

        let told = |verdicts: &[Verdict], end: Verdict| {
            let mut history = History::of_one_among(1);
            for (nth, verdict) in verdicts.iter().enumerate() {
                let reading = Reading::unmet(*verdict, "x", "x", format!("{verdict} {nth}"));
                history.push(None, Timestamp::UNIX_EPOCH, Duration::ZERO, reading);
            }
            history.deciding(end).and_then(|reading| reading.reason)
        };
        let all = [Fail, Error, Fail, Error, Inconclusive];
        assert_eq!(told(&all, Error).as_deref(), Some("error 3"));
        assert_eq!(told(&all, Fail).as_deref(), Some("fail 2"));
        assert_eq!(told(&all, Inconclusive).as_deref(), Some("inconclusive 4"));
        // An undecided probe describes its last measurement.
        assert_eq!(
            told(&[Error, Fail], Inconclusive).as_deref(),
            Some("fail 1")
        );
        assert_eq!(told(&[], Error), None);
    }

    #[test]
    fn what_thousands_of_probes_have_seen_is_bounded_as_a_whole() {
        let kept = |probes: usize, measured: usize| {
            let mut history = History::of_one_among(probes);
            for _ in 0..measured {
                let reading = Reading::pass("x", "x");
                history.push(None, Timestamp::UNIX_EPOCH, Duration::ZERO, reading);
            }
            history.take_retained().len()
        };
        assert_eq!(kept(1, 900), 900);
        assert!(kept(1, 3000) <= MAX_MEASUREMENTS);
        assert!(kept(5000, 3000) <= 25);
        assert_eq!(kept(5000, 10), 10);
    }
}

//! What a gate reports while it runs: each measurement, the standing of each probe, and the end.

use std::cell::RefCell;
use std::time::Duration;

use config::file::Policy;
use jiff::Timestamp;
use model::{Severity, Tally};
use probe::Reading;

use crate::policy::{Conclusion, ProbeProgress, RemainingToPass};

/// Receives every event of a gate, in order, between two measurements: a slow observer delays
/// them. Probes are numbered as [`Observer::begin`] lists them; times are since the stage's start.
pub trait Observer {
    /// What is going to be asked.
    fn begin(&self, probes: &[ProbeInfo<'_>]) {
        let _ = probes;
    }

    /// A measurement was made.
    fn measured(&self, measured: &Measured<'_>) {
        let _ = measured;
    }

    /// The standing of a probe: once at the start and after each measurement, while it is open.
    fn stands(&self, stands: &StandingEvent<'_>) {
        let _ = stands;
    }

    /// A probe has its conclusion. With `--watch` a worse one may follow.
    fn concluded(&self, probe: usize, conclusion: &Conclusion) {
        let _ = (probe, conclusion);
    }

    /// A probe's pass was taken back: what follows is measured anew.
    fn reopened(&self, probe: usize) {
        let _ = probe;
    }

    /// We ourselves were stopped for so long, until now.
    fn stopped(&self, lasted: Duration) {
        let _ = lasted;
    }

    /// Nothing more is measured.
    fn end(&self) {}
}

/// An observer that ignores every event.
impl Observer for () {}

/// A probe as it is before its first measurement.
pub struct ProbeInfo<'a> {
    pub id: &'a str,
    pub subject: &'a str,
    pub severity: Severity,
    /// The stage's policy with the probe's own over it.
    pub policy: &'a Policy,
    /// How many endpoints it has, if it is a group.
    pub members: Option<usize>,
}

/// One measurement.
pub struct Measured<'a> {
    pub probe: usize,
    /// Which endpoint, in a group.
    pub member: Option<&'a str>,
    /// When it was due.
    pub scheduled: Duration,
    /// When it was started.
    pub started: Duration,
    pub took: Duration,
    /// The wall clock at its start.
    pub at: Timestamp,
    pub reading: &'a Reading,
}

/// The standing of a probe.
pub struct StandingEvent<'a> {
    pub probe: usize,
    /// Of the probe; in a group of the member that was measured last.
    pub standing: &'a ProbeProgress,
    /// What it lacks for a pass. `to_string` gives it in words: `2 more in a row`.
    pub missing: &'a RemainingToPass,
    /// The group as a whole, where it is one.
    pub members: Option<&'a Tally>,
    pub elapsed: Duration,
}

/// All probes in one line: a word for each.
pub struct StatusLine<'a> {
    words: RefCell<Vec<String>>,
    ids: RefCell<Vec<String>>,
    say: &'a dyn Fn(&str),
}

impl<'a> StatusLine<'a> {
    pub fn new(say: &'a dyn Fn(&str)) -> Self {
        StatusLine {
            words: RefCell::default(),
            ids: RefCell::default(),
            say,
        }
    }

    fn put(&self, probe: usize, word: impl FnOnce(&str) -> String) {
        let mut words = self.words.borrow_mut();
        if let (Some(place), Some(id)) = (words.get_mut(probe), self.ids.borrow().get(probe)) {
            *place = word(id);
        }
        (self.say)(&words.join("  "));
    }
}

impl Observer for StatusLine<'_> {
    fn begin(&self, probes: &[ProbeInfo<'_>]) {
        let ids: Vec<_> = probes.iter().map(|one| one.id.to_owned()).collect();
        self.words.replace(ids.clone());
        self.ids.replace(ids);
    }

    fn stands(&self, stands: &StandingEvent<'_>) {
        self.put(stands.probe, |id| {
            let (missing, failed) = match stands.members {
                Some(members) => (
                    format!("{} of {} passed", members.passed, members.required),
                    u32::try_from(members.failed).unwrap_or(u32::MAX),
                ),
                None => (stands.missing.to_string(), stands.standing.failed),
            };
            match failed {
                0 => format!("{id}: {missing}"),
                failed => format!("{id}: {missing} ({failed} failed)"),
            }
        });
    }

    fn concluded(&self, probe: usize, conclusion: &Conclusion) {
        self.put(probe, |id| format!("{id}: {}", conclusion.verdict));
    }
}

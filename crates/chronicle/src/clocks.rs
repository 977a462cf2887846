//! Whether the clocks of the machines that write the log agree.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use model::text::span;

use crate::Event;

/// Writers that wait for one another, or for a store, differ by less.
pub(crate) const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);

/// The next step for a person.
pub const CLOCK_HINT: &str =
    "set the clocks of the machines by NTP (`timedatectl` shows whether it works)";

/// An event that is dated before one that the log has before it: at least one of two clocks is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockSkew {
    pub at: Timestamp,
    pub writer: String,
    /// How far it is dated back.
    pub by: Duration,
}

impl ClockSkew {
    /// The event that is dated back the farthest; `None` where the clocks agree.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Option<ClockSkew> {
        let mut latest = Timestamp::MIN;
        let mut found: Option<ClockSkew> = None;
        for event in events {
            let back = latest.duration_since(event.at);
            let worst = found.as_ref().map_or(Duration::ZERO, |found| found.by);
            if back > TOLERANCE && back.unsigned_abs() > worst {
                found = Some(ClockSkew {
                    at: event.at,
                    writer: event.by.actor.clone(),
                    by: back.unsigned_abs(),
                });
            }
            latest = latest.max(event.at);
        }
        found
    }
}

/// `clocks disagree by at least 5m: what ann wrote at 2026-11-21 02:45:00 is dated before what it follows`.
impl fmt::Display for ClockSkew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClockSkew { at, writer, by } = self;
        let by = span(Duration::from_secs(by.as_secs()));
        let at = at.strftime("%F %T");
        write!(
            f,
            "clocks disagree by at least {by}: what {writer} wrote at {at} UTC is dated before what it follows"
        )
    }
}

/// What a clock may be ahead of ours without a word: a few minutes change no decision.
const UNSEEN: SignedDuration = SignedDuration::from_mins(2);

/// An event of our future: its writer's clock is ahead, or ours is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockAhead {
    pub at: Timestamp,
    pub writer: String,
    /// How far it is in the future.
    pub by: Duration,
}

impl ClockAhead {
    /// The event that is the farthest in the future; `None` where there is none beyond a few minutes.
    pub fn of<'a>(
        events: impl IntoIterator<Item = &'a Event>,
        now: Timestamp,
    ) -> Option<ClockAhead> {
        let latest = events.into_iter().max_by_key(|event| event.at)?;
        let by = latest.at.duration_since(now);
        (by > UNSEEN).then(|| ClockAhead {
            at: latest.at,
            writer: latest.by.actor.clone(),
            by: by.unsigned_abs(),
        })
    }
}

/// `what ann wrote is dated 2026-11-21 02:45:00 UTC, 58m 3s after now by the clock of this machine: …`
impl fmt::Display for ClockAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClockAhead { at, writer, by } = self;
        let by = span(Duration::from_secs(by.as_secs()));
        let at = at.strftime("%F %T");
        write!(
            f,
            "what {writer} wrote is dated {at} UTC, {by} after now by the clock of this machine: times, figures and escalations are wrong by as much"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{SampleHistory, note, second};

    #[test]
    fn an_event_of_the_future_is_told_from_a_few_minutes_on() {
        let mut past = SampleHistory::new();
        past.by(Some("ann"));
        past.add(note(""));
        let ahead = |now| ClockAhead::of(past.history().events(), second(now));
        assert_eq!(ahead(-120), None);
        let found = ahead(-3600).map(|found| (found.writer, found.by.as_secs()));
        assert_eq!(found, Some(("ann".to_owned(), 3600)));
    }

    #[test]
    fn the_event_that_is_dated_back_the_farthest_is_named() {
        let mut past = SampleHistory::new();
        for (writer, at) in [
            ("bob", 600),
            ("ann", 300),
            ("cid", 580),
            ("dan", 240),
            ("eve", 610),
        ] {
            past.by(Some(writer));
            past.add(note(""));
            if let Some(event) = past.events.last_mut() {
                event.at = second(at);
            }
        }
        let skew = |past: &SampleHistory| ClockSkew::of(past.history().events());
        let found = skew(&past).map(|found| (found.writer, found.by.as_secs()));
        assert_eq!(found, Some(("dan".to_owned(), 360)));
        past.events.retain(|event| event.at > second(500));
        assert_eq!(skew(&past), None, "writers wait for one another");
    }
}

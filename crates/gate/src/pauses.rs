//! Whether we ourselves were stopped: by a signal, by a machine that slept or was frozen, or by
//! work of our own that left the loop no turn.
//!
//! A measurement during which we were stopped proves nothing about the service, whatever its result.

use std::pin::Pin;
use std::task::Context;
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep};

/// The loop has a turn at least this often.
const WAKE_INTERVAL: Duration = Duration::from_millis(100);
/// Turns that are further apart were not had: a busy machine keeps a process waiting for less.
const MIN_PAUSE: Duration = Duration::from_millis(300);

/// Beats while the loop runs.
pub(crate) struct PauseDetector {
    last: Instant,
    slept: Duration,
    timer: Pin<Box<Sleep>>,
    woken: bool,
}

/// A span in which we were stopped, by the clock of all times here. That clock stops while the
/// machine sleeps: then both ends are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    /// How long it was, asleep or not.
    pub(crate) lasted: Duration,
}

impl PauseDetector {
    pub(crate) fn new() -> Self {
        PauseDetector {
            last: Instant::now(),
            slept: slept(),
            timer: Box::pin(sleep(WAKE_INTERVAL)),
            woken: false,
        }
    }

    /// Sees to it that the loop is woken for its next beat.
    pub(crate) fn wake_regularly(&mut self, context: &mut Context<'_>) {
        while self.timer.as_mut().poll(context).is_ready() {
            self.woken = true;
            let next = tokio::time::Instant::now() + WAKE_INTERVAL;
            self.timer.as_mut().reset(next);
        }
    }

    /// Called at each turn of the loop: whether we were stopped since the one before.
    pub(crate) fn since_last_turn(&mut self) -> Option<Pause> {
        let now = Instant::now();
        let late = now.duration_since(self.last) >= MIN_PAUSE;
        // The other clock is looked at less often: thousands of measurements have their turns.
        let slept = if late || std::mem::take(&mut self.woken) {
            slept()
        } else {
            self.slept
        };
        self.at(now, slept)
    }

    fn at(&mut self, now: Instant, slept: Duration) -> Option<Pause> {
        let from = std::mem::replace(&mut self.last, now);
        let asleep = slept.saturating_sub(std::mem::replace(&mut self.slept, slept));
        let stopped = now.duration_since(from);
        if stopped >= MIN_PAUSE {
            return Some(Pause {
                from,
                to: now,
                lasted: stopped + asleep,
            });
        }
        (asleep >= MIN_PAUSE).then_some(Pause {
            from: now,
            to: now,
            lasted: asleep,
        })
    }
}

/// How long this machine has slept since it started, more or less: one clock counts that time, and
/// the one that `Instant` reads does not.
#[cfg(target_os = "linux")]
fn slept() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    let awake = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(awake)
}

#[cfg(not(target_os = "linux"))]
fn slept() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missed_beat_and_a_sleep_are_pauses_and_a_late_turn_is_none() {
        let mut pauses = PauseDetector::new();
        let (start, before) = (pauses.last, pauses.slept);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(pauses.at(at(150), before), None);
        assert_eq!(pauses.at(at(400), before), None);
        let stopped = pauses.at(at(2400), before);
        let expected = Pause {
            from: at(400),
            to: at(2400),
            lasted: Duration::from_secs(2),
        };
        assert_eq!(stopped, Some(expected));
        assert_eq!(pauses.at(at(2500), before), None);
        let night = before + Duration::from_hours(8);
        let slept = pauses.at(at(2600), night);
        let expected = Pause {
            from: at(2600),
            to: at(2600),
            lasted: Duration::from_hours(8),
        };
        assert_eq!(slept, Some(expected));
        assert_eq!(pauses.at(at(2700), night), None);
    }
}

//! Who sees an operation and may interrupt it, and when what began and ended.

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use model::report::Bar;
use model::{Redactor, Verdict};
use target::Place;

/// The person or the pipeline that an operation is made for.
pub trait Operator {
    fn begins(&self, place: &str, what: &'static str);

    fn ends(&self, place: &str, what: &'static str, worked: bool);

    /// What goes on, in a line.
    fn say(&self, text: &str);

    /// Shows anew what goes on at each place; called every [`Operator::tick`] while there is work.
    fn draw(&self);

    fn tick(&self) -> Duration;

    /// Whether a signal asked us to stop.
    fn interrupted(&self) -> bool;

    /// Ends when a signal asks us to stop.
    fn interruption(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}

/// One operation, seen by its operator.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    pub operator: &'a dyn Operator,
    pub redactor: &'a Redactor,
    /// Times are counted from here.
    pub clock: Instant,
}

impl<'a> Watch<'a> {
    /// Text that goes into the state or the journal: without secrets.
    pub fn clean(&self, text: &str) -> String {
        self.redactor.redact(text)
    }

    /// Something begins at a place.
    pub fn begins(self, place: &Place, what: &'static str) -> Timer<'a> {
        let place = place.to_string();
        self.operator.begins(&place, what);
        Timer {
            watch: self,
            place,
            what,
            start: self.clock.elapsed(),
        }
    }

    /// Shows what goes on for as long as the work takes.
    pub async fn drawn<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut ticks = tokio::time::interval(self.operator.tick());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = ticks.tick() => self.operator.draw(),
            }
        }
    }

    /// What the work gives, or nothing where a signal came and the work did not end within `grace`.
    pub async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = T>,
        grace: Duration,
    ) -> Option<T> {
        let late = async {
            self.operator.interruption().await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            biased;
            done = self.drawn(work) => Some(done),
            () = late => None,
        }
    }
}

/// What goes on at a place.
#[must_use]
pub struct Timer<'a> {
    watch: Watch<'a>,
    place: String,
    what: &'static str,
    start: Duration,
}

impl Timer<'_> {
    /// It ended.
    pub fn ends(self, verdict: Verdict) -> Bar {
        let worked = verdict == Verdict::Pass;
        self.watch.operator.ends(&self.place, self.what, worked);
        Bar {
            place: self.place,
            what: self.what.to_owned(),
            start: self.start,
            end: self.watch.clock.elapsed(),
            verdict,
        }
    }

    /// It worked, or did not.
    pub fn worked(self, worked: bool) -> Bar {
        self.ends(if worked { Verdict::Pass } else { Verdict::Fail })
    }
}

//! Recorded data: JSON lines, one interval each.
//!
//! `{"run": NAME}` begins another run. What is not JSON ends the reading; a number that is not what its
//! metric counts spoils that metric of its run alone.

mod line;
mod reading;

use std::collections::BTreeSet;
use std::io::{BufRead, Read as _};
use std::time::Duration;

use config::file::CanaryMetric;
use jiff::Timestamp;
use judge::{Doubt, Interval};

pub use line::TraceLine;
use reading::Reader;

/// A line with the buckets of hundreds of instances is shorter.
const MAX_LINE: usize = 1 << 20;
/// A longer name cannot be told apart on a page.
const MAX_NAME: usize = 200;
/// A step between two intervals that is so many times the usual one is a gap.
const GAP: f64 = 1.75;
/// Of the steps, to know what is usual.
const MAX_STEPS: usize = 1000;

/// Why a recording cannot be read on, and at which line.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Error {
    pub line: usize,
    pub cause: LineError,
}

#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("longer than {MAX_LINE} bytes")]
    TooLong,
    #[error("not a line of recorded data: {0}")]
    NotALine(#[from] serde_json::Error),
    #[error("`{0}` is not a time such as 2026-11-21T02:45:00Z")]
    NoTime(String),
}

/// What a recording has next.
#[derive(Debug)]
pub enum Item {
    /// A run begins.
    Run {
        name: String,
        line: usize,
    },
    Interval(Recorded),
}

/// One interval of a run.
#[derive(Debug)]
pub struct Recorded {
    pub line: usize,
    pub at: Option<Timestamp>,
    /// A sample for each metric, as they are declared.
    pub interval: Interval,
    /// Of each metric, why its numbers are not what it counts.
    pub problems: Vec<Option<String>>,
    /// Of each metric, whether the line has it.
    pub given: Vec<bool>,
    /// The first metrics that the line has and the configuration does not.
    pub others: Vec<String>,
    /// The only step of its run so far is longer than the configured one: the next one shows whether that
    /// is usual. Where none comes, it is a gap.
    pub has_one_long_step: bool,
}

/// Reads a recording, one line at a time.
pub struct Trace<R> {
    from: R,
    buffer: Vec<u8>,
    line: usize,
    reader: Reader,
    clock: Clock,
}

impl<R: BufRead> Trace<R> {
    /// `interval` is how far apart the intervals are meant to be.
    pub fn new(from: R, metrics: &[CanaryMetric], interval: Duration) -> Trace<R> {
        Trace {
            from,
            buffer: Vec::new(),
            line: 0,
            reader: Reader::new(metrics),
            clock: Clock::new(interval),
        }
    }

    /// The next run or interval; `None` at the end.
    pub fn read(&mut self) -> Result<Option<Item>, Error> {
        let read = self.next_item();
        read.map_err(|cause| Error {
            line: self.line.max(1),
            cause,
        })
    }

    fn next_item(&mut self) -> Result<Option<Item>, LineError> {
        loop {
            if !self.next_line()? {
                return Ok(None);
            }
            if !self.buffer.trim_ascii().is_empty() {
                return self.item().map(Some);
            }
        }
    }

    fn next_line(&mut self) -> Result<bool, LineError> {
        self.buffer.clear();
        let limit = MAX_LINE as u64 + 2;
        let mut from = (&mut self.from).take(limit);
        if from.read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(false);
        }
        self.line += 1;
        if self.buffer.trim_ascii_end().len() > MAX_LINE {
            return Err(LineError::TooLong);
        }
        // The mark that some editors put before a text.
        if self.line == 1 && self.buffer.starts_with("\u{feff}".as_bytes()) {
            self.buffer.drain(..3);
        }
        Ok(true)
    }

    fn item(&mut self) -> Result<Item, LineError> {
        let line = self.line;
        let parsed = self.reader.line(self.buffer.trim_ascii_end())?;
        if let Some(name) = parsed.run {
            self.clock.begin();
            self.reader.begin();
            let name = short(name);
            return Ok(Item::Run { name, line });
        }
        let no_time = |text: &str| LineError::NoTime(model::text::excerpt(text.as_bytes()));
        let time = |text: Option<String>| {
            let parsed = text.map(|text| text.parse::<Timestamp>().map_err(|_| no_time(&text)));
            parsed.transpose()
        };
        let (at, from) = (time(parsed.at)?, time(parsed.from)?);
        let doubt = at.and_then(|at| self.clock.doubt(at, from));
        let given = parsed.metrics.iter().map(Option::is_some).collect();
        let (mut interval, problems) = if doubt == Some(ClockDoubt::SameTime) {
            self.reader
                .without_data("there are two intervals with one time: the second is not counted")
        } else {
            self.reader.interval(parsed.metrics)
        };
        for sample in &mut interval.metrics {
            sample.doubts.extend(doubt.map(Doubt::from));
        }
        Ok(Item::Interval(Recorded {
            line,
            at,
            interval,
            problems,
            given,
            others: parsed.others,
            has_one_long_step: self.clock.has_one_long_step(),
        }))
    }
}

/// A run's name, cut to what can be told apart.
fn short(name: String) -> String {
    if name.is_empty() {
        return "unnamed".to_owned();
    }
    match name.char_indices().nth(MAX_NAME) {
        None => name,
        Some(_) => { name.chars().take(MAX_NAME - 1) }.chain(['…']).collect(),
    }
}

/// The times of a run's intervals.
struct Clock {
    interval: f64,
    /// The last ones.
    times: BTreeSet<Timestamp>,
    /// In rising order, the configured one among them: a recording that is coarser throughout has no
    /// gaps.
    steps: Vec<f64>,
    /// The longest step that was not told to be a gap.
    longest: f64,
    /// Intervals since the last new time that had an old one.
    repeated: u32,
}

impl Clock {
    fn new(interval: Duration) -> Clock {
        let interval = interval.as_secs_f64();
        Clock {
            interval,
            times: BTreeSet::new(),
            steps: vec![interval],
            longest: 0.0,
            repeated: 0,
        }
    }

    /// Another run begins.
    fn begin(&mut self) {
        *self = Clock::new(Duration::from_secs_f64(self.interval));
    }

    /// What is wrong with the time of the next interval, or with a step before it: that one was longer
    /// than the usual one is sometimes known only later. An interval that counts since the last one is
    /// long, and nothing is missing before it.
    fn doubt(&mut self, at: Timestamp, from: Option<Timestamp>) -> Option<ClockDoubt> {
        let last = self.times.last().copied();
        if !self.times.insert(at) {
            self.repeated += 1;
            return Some(ClockDoubt::SameTime);
        }
        let intervals = 1 + std::mem::take(&mut self.repeated);
        if self.times.len() > MAX_STEPS {
            self.times.pop_first();
        }
        let last = last?;
        if at < last {
            return Some(ClockDoubt::Backwards);
        }
        if from.is_none_or(|from| from > last) {
            let step = at.duration_since(last).as_secs_f64() / f64::from(intervals);
            self.longest = self.longest.max(step);
            if self.steps.len() < MAX_STEPS {
                let place = self.steps.partition_point(|other| *other < step);
                self.steps.insert(place, step);
            }
        }
        let usual = self.steps[(self.steps.len() - 1) / 2];
        let is_gap = self.longest > GAP * usual && !self.has_one_long_step();
        if is_gap {
            self.longest = 0.0;
        }
        is_gap.then_some(ClockDoubt::Gap)
    }

    /// Whether the only step so far is longer than it is meant to be.
    fn has_one_long_step(&self) -> bool {
        self.steps.len() == 2 && self.longest > GAP * self.interval
    }
}

/// What is wrong with the time of an interval. It is about this one alone.
#[derive(Clone, Copy, PartialEq)]
enum ClockDoubt {
    Gap,
    Backwards,
    SameTime,
}

impl From<ClockDoubt> for Doubt {
    fn from(doubt: ClockDoubt) -> Doubt {
        match doubt {
            ClockDoubt::Gap => Doubt::Gap,
            ClockDoubt::Backwards | ClockDoubt::SameTime => Doubt::Order,
        }
    }
}

#[cfg(test)]
mod tests;

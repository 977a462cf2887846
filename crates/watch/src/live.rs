//! The release under test against the one before it, while both serve: beside the probes, interval by
//! interval, until it is decided.
//!
//! Each interval becomes a line of a recorded trace and is judged as it is read back from there, so
//! `healthgate judge` comes to the same verdict.

mod first_failure;
mod lines;
mod metric_notes;
mod source;

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use canary::trace::{Item, Trace};
use canary::{Comparison, MAX_MISSING};
use cli::{Failure, Job};
use config::file::{Canary, Healthgate};
use jiff::Timestamp;
use judge::{Interval, Reading};
use model::outcome::Requests;
use model::{Id, Outcome, Verdict};

pub(crate) use first_failure::FirstFailure;
use lines::Lines;
use metric_notes::MetricNotes;
pub use metric_notes::subject;
use source::{IntervalReading, Source};

use crate::view::View;

/// A look that had nothing new is made again within its interval.
const AGAIN: u32 = 3;
/// The line of an interval of which nothing came.
const NOTHING: &str = r#"{"metrics":{}}"#;
/// Neither verdict can be reached any more: so many intervals in a row.
const FUTILE: u32 = 3;

/// A comparison before it begins.
pub(crate) struct Live<'a> {
    canary: &'a Canary,
    source: Source,
    comparison: Comparison,
    trace: Trace<Lines>,
    lines: Lines,
    record: Option<std::fs::File>,
    names: Vec<String>,
    timeout: Duration,
    error_limit: u32,
    told: MetricNotes,
    /// Since when the next interval counts.
    from: Option<Timestamp>,
    /// What the last look gave instead of data.
    waiting: Option<Interval>,
    /// What the canary served, by the first metric that counts requests, whose place this is.
    served: Option<(usize, Requests)>,
}

/// How it ended.
enum End {
    Over,
    Deadline,
    /// For this metric.
    Futile(usize),
    Interrupted,
    FailedBeside(String),
    Error(feed::Error, u32),
}

impl<'a> Live<'a> {
    /// What is to be compared, without asking anybody but the state.
    pub(crate) async fn new(
        job: &Job,
        section: &'a Healthgate,
        canary: &'a Canary,
        record: Option<&Path>,
    ) -> Result<Live<'a>, Failure> {
        let comparison = Comparison::new(canary, MAX_MISSING)
            .map_err(|why| Failure::usage(format!("canary: {why}")))?
            .drawn();
        let source = Source::new(job, section, canary).await?;
        let lines = Lines::default();
        let record = record.map(trace_file).transpose()?;
        let names: Vec<String> = comparison
            .metrics()
            .iter()
            .map(|metric| metric.name.clone())
            .collect();
        Ok(Live {
            canary,
            source,
            trace: Trace::new(lines.clone(), comparison.metrics(), canary.interval.get()),
            lines,
            record,
            timeout: section.policy.timeout.get(),
            error_limit: section.policy.error_limit,
            told: MetricNotes::new(comparison.metrics(), canary, |metric| {
                Source::hint(canary, section, metric)
            }),
            names,
            comparison,
            from: None,
            waiting: None,
            served: None,
        })
    }

    /// Compares until it is decided, and gives the outcome of each metric.
    pub(crate) async fn watch(
        mut self,
        interrupted: gate::Interrupted,
        beside: &FirstFailure,
        view: &View,
    ) -> (Vec<Outcome>, Vec<model::report::Curve>) {
        let began = Instant::now();
        view.compare(&self.told.rows());
        let end = tokio::select! {
            end = self.watch_intervals(began, view) => end,
            () = interrupted => End::Interrupted,
            failed = beside.failed() => End::FailedBeside(failed),
        };
        let outcomes = self.outcomes(&end, began.elapsed());
        for (nth, outcome) in outcomes.iter().enumerate() {
            view.compared(
                nth,
                outcome.verdict,
                outcome.reason.as_deref().unwrap_or_default(),
            );
        }
        let metrics = self.comparison.metrics().iter().enumerate();
        let curves = metrics.flat_map(|(nth, metric)| {
            let id = Id::canary(&metric.name);
            self.comparison.curves(nth, id.as_str())
        });
        (outcomes, curves.collect())
    }

    async fn watch_intervals(&mut self, began: Instant, view: &View) -> End {
        let interval = self.canary.interval.get();
        let deadline = self.canary.deadline.get();
        let (mut slot, mut errors, mut futile) = (0_u32, 0, 0);
        loop {
            match self.read_next(slot, interval).await {
                Ok(given) => {
                    errors = 0;
                    self.take(given);
                }
                Err(error) => {
                    errors += 1;
                    if errors > self.error_limit || error.is_usage() {
                        return End::Error(error, errors);
                    }
                    self.told.error(&error);
                    if self.source.forgets() {
                        self.take_line(Timestamp::now(), NOTHING);
                    }
                }
            }
            for (nth, finding) in self.comparison.findings().iter().enumerate() {
                view.compares(nth, &self.told.current(nth, finding));
            }
            if self.comparison.is_over() {
                return End::Over;
            }
            if let Some(metric) = self.comparison.futile() {
                futile += 1;
                if futile >= FUTILE {
                    return End::Futile(metric);
                }
            } else {
                futile = 0;
            }
            slot = self.next_slot(slot, began, interval);
            let due = began + interval * slot;
            if due > began + deadline {
                self.comparison.end();
                return End::Deadline;
            }
            tokio::time::sleep_until(due.into()).await;
        }
    }

    /// The next interval that is looked at. What happens in one that is left out falls into the next.
    fn next_slot(&mut self, slot: u32, began: Instant, interval: Duration) -> u32 {
        let apart = self.source.intervals_between_scrapes(interval);
        let mut next = slot + apart;
        while began + interval * (next + apart) < Instant::now() {
            next += apart;
        }
        next
    }

    async fn read_next(
        &mut self,
        slot: u32,
        interval: Duration,
    ) -> Result<IntervalReading, feed::Error> {
        let timeout = self.timeout;
        // The first look only shows where counters stand.
        for _ in 0..if slot == 0 { 0 } else { AGAIN } {
            let given = self
                .source
                .read_interval(&self.names, false, timeout)
                .await?;
            if !given.is_early {
                return Ok(given);
            }
            tokio::time::sleep(interval / (AGAIN + 2)).await;
        }
        self.source.read_interval(&self.names, true, timeout).await
    }

    /// Takes an interval in, as a line. One without data is none: what comes later counts since the
    /// last one.
    fn take(&mut self, given: IntervalReading) {
        let IntervalReading {
            at,
            interval,
            line,
            flaws,
            ..
        } = given;
        self.told.flaws(&flaws);
        let from = self.from.unwrap_or(at);
        self.from.get_or_insert(at);
        let mut samples = interval.metrics.iter();
        if line.is_none() && !samples.any(|sample| sample.reading.is_some()) {
            self.waiting = Some(interval);
            return;
        }
        (self.waiting, self.from) = (None, Some(at));
        let line = line.unwrap_or_else(|| feed::trace_line(from, at, &self.names, &interval));
        if !self.take_line(at, &line) {
            self.take_line(at, NOTHING);
        }
    }

    /// Whether the line is one of an interval.
    fn take_line(&mut self, at: Timestamp, line: &str) -> bool {
        self.lines.push(line);
        let recorded = match self.trace.read() {
            Ok(Some(Item::Interval(recorded))) => recorded,
            Ok(Some(Item::Run { .. }) | None) => {
                self.told
                    .wrong("the command prints a line without `metrics`");
                return false;
            }
            Err(why) => {
                self.told.wrong(&format!(
                    "the command prints no line of recorded data: {why}"
                ));
                return false;
            }
        };
        if let Some(file) = &mut self.record
            && let Err(why) = writeln!(file, "{line}")
        {
            self.told.unrecorded(&why);
            self.record = None;
        }
        self.served(&recorded.interval);
        self.comparison.observe(&recorded.interval);
        for (nth, problem) in recorded.problems.into_iter().enumerate() {
            if let Some(problem) = problem {
                self.comparison.note(nth, problem);
            }
        }
        self.told.measured(at, &self.comparison.findings());
        true
    }

    /// Counts what the canary served in an interval.
    fn served(&mut self, interval: &Interval) {
        let mut readings = interval.metrics.iter().map(|sample| &sample.reading);
        let is_ratio = |reading: &Option<Reading>| matches!(reading, Some(Reading::Ratio(_)));
        let Some(nth) = readings.position(is_ratio) else {
            return;
        };
        let (counts, served) = self.served.get_or_insert((nth, Requests::default()));
        if let Some(Reading::Ratio(sides)) = &interval.metrics[*counts].reading {
            for part in sides.canary.parts() {
                served.failed = served.failed.saturating_add(part.failed());
                served.total = served.total.saturating_add(part.total());
            }
        }
    }

    fn outcomes(&mut self, end: &End, took: Duration) -> Vec<Outcome> {
        if self.comparison.intervals() == 0
            && let Some(waiting) = self.waiting.take()
        {
            // Why there is no data.
            self.comparison.observe(&waiting);
        }
        let findings = self.comparison.findings();
        let open = |nth: usize| match end {
            End::Over | End::Deadline | End::Error(..) => None,
            End::Futile(metric) if *metric == nth => Some("the watch ended early".to_owned()),
            End::Futile(metric) => Some(format!(
                "the watch ended early, because neither verdict on {} can be reached before the deadline",
                Id::canary(&self.names[*metric])
            )),
            End::Interrupted => Some("interrupted".to_owned()),
            End::FailedBeside(failed) => Some(format!("not decided when {failed} had failed")),
        };
        let outcomes = findings.into_iter().enumerate().map(|(nth, finding)| {
            let is_open = finding.verdict == Verdict::Inconclusive;
            let mut outcome = self.told.outcome(nth, finding, took);
            let served = self.served.filter(|(counts, _)| *counts == nth);
            outcome.requests = served.map(|(_, requests)| requests);
            if let (Some(open), true) = (open(nth), is_open) {
                let reason = outcome.reason.take().unwrap_or_default();
                outcome.reason = Some(format!("{open}: {reason}"));
            }
            if let (End::Error(error, errors), true) = (end, is_open) {
                outcome.verdict = Verdict::Error;
                let limit = self.error_limit;
                outcome.reason = Some(if error.is_usage() {
                    error.to_string()
                } else {
                    format!("errors in a row ({errors}) > error-limit ({limit}): {error}")
                });
                outcome.hint = error.hint().or(outcome.hint.take());
            }
            outcome
        });
        outcomes.collect()
    }
}

/// A file that grows line by line: each of them is whole, however it ends.
#[expect(clippy::disallowed_methods, reason = "nothing is replaced")]
fn trace_file(path: &Path) -> Result<std::fs::File, Failure> {
    let made = std::fs::File::create(path);
    made.map_err(|why| Failure::usage(format!("`--record-trace {}`: {why}", path.display())))
}

//! Counters and gauges of a Prometheus server, both sides as they were at one time of the server.
//!
//! Numbers that cannot be compared yet wait: what a side counted until the other one was scraped,
//! or until its labels are as they should be, falls into the interval in which they can. Both sides count
//! the same time: what one of them counted before the other one began, such as before its warm-up ended,
//! is left out.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use jiff::{SignedDuration, Timestamp};
use judge::{Interval, Reading};
use prometheus::age::Sources;
use prometheus::matchers::label_names;
use prometheus::raw::{Raw, RawSeries};
use prometheus::{Client, query};

use crate::counters::{Counters, QueriedSeries, QueryPart, SampleWindow as At, Times};
use crate::error::Error;
use crate::flaw::DataDefect;
use crate::gauges::Gauges;
use crate::metric::{self, Counting};
use crate::side::{PerSide, SideName};
use crate::source::IntervalCounts;

/// Samples of a later time than the server's are looked for within this.
const AHEAD: Duration = Duration::from_secs(30);
/// Samples that arrive late, as by remote write, are found within this.
const MAX_SAMPLE_DELAY: Duration = Duration::from_mins(1);
/// Why a side has no data is asked again after so many looks.
const ASK_WHY: u32 = 10;

/// What a metric asks, for each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queries {
    Ratio {
        failed: PerSide<String>,
        total: PerSide<String>,
    },
    Histogram {
        buckets: PerSide<String>,
    },
    Count {
        events: PerSide<String>,
        total: Option<PerSide<String>>,
    },
    Gauge {
        query: PerSide<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrometheusMetric {
    pub name: String,
    pub queries: Queries,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub interval: Duration,
    pub warm_up: Duration,
    /// The matchers that choose a side, as in `release="v2"`.
    pub sides: PerSide<String>,
}

/// Looks at a server, interval by interval.
pub struct PrometheusSource {
    client: Client,
    settings: Settings,
    metrics: Vec<Watched>,
    /// Names of labels that differ between the sides because they choose them.
    chosen_by: BTreeSet<String>,
    /// Which of several replicas is counted.
    replica: Option<String>,
    last: Option<Timestamp>,
}

struct Watched {
    queries: Queries,
    of: Of,
    /// Flaws that hold for good, until they are told beside a reading.
    lasting: Vec<DataDefect>,
    has_begun: bool,
}

enum Of {
    Counters(Counting, Box<PerSide<CountersOfSide>>),
    Gauges(Gauges),
}

struct CountersOfSide {
    counters: Counters,
    /// Why there is no data, and after how many looks it is asked again.
    why: Option<(String, u32)>,
}

/// The answers to a metric's questions, in their order, for each side.
type Answers = PerSide<Vec<Raw>>;

impl PrometheusSource {
    pub fn new(
        client: Client,
        settings: Settings,
        metrics: Vec<PrometheusMetric>,
    ) -> Result<PrometheusSource, Error> {
        let names = |text: &String| label_names(&format!("{{{text}}}"));
        let mut chosen_by = names(&settings.sides.canary);
        chosen_by.extend(names(&settings.sides.stable));
        let metrics = metrics
            .into_iter()
            .map(|metric| Watched::new(metric, &settings))
            .collect::<Result<_, _>>()?;
        Ok(PrometheusSource {
            client,
            settings,
            metrics,
            chosen_by,
            replica: None,
            last: None,
        })
    }

    /// What happened since the last reading; the first look only shows where counters stand. Unless
    /// it is the `last` look of an interval, all metrics wait for the one that has nothing new yet.
    pub async fn read_interval(
        &mut self,
        last: bool,
        timeout: Duration,
    ) -> Result<IntervalCounts, Error> {
        let asked = tokio::time::timeout(timeout, self.query_metrics());
        let (now, window, answers) = asked.await.map_err(|_| Error::Late(timeout))??;
        let at = At {
            from: seconds(now) - window.as_secs_f64(),
            now: seconds(now),
        };
        let mut flaws = Vec::new();
        for (metric, answers) in self.metrics.iter_mut().zip(answers) {
            flaws.push(metric.count_answers(answers, at, &self.chosen_by, &mut self.replica));
        }
        let mut seen = self.metrics.iter().zip(&flaws);
        let early = !last && seen.any(|(metric, flaws)| metric.is_early(flaws));
        // All metrics begin with one interval: of none of them is data missing then.
        let mut seen = self.metrics.iter().zip(&flaws);
        let begins = !early && seen.any(|(metric, flaws)| metric.begins(flaws));
        let mut samples = Vec::new();
        for (metric, flaws) in self.metrics.iter_mut().zip(&mut flaws) {
            let is_held = begins && !flaws.iter().any(DataDefect::spoils);
            let reading = match &mut metric.of {
                Of::Counters(_, sides) if is_held => {
                    begin_together(sides);
                    None
                }
                _ if early || is_held => None,
                _ => metric.take(flaws),
            };
            samples.push(metric::sample(reading, flaws));
        }
        let silent = self.metrics.iter_mut().zip(&mut flaws);
        join_all(silent.map(|(metric, flaws)| metric.silence(&self.client, now, flaws))).await;
        self.last = Some(now);
        Ok(IntervalCounts {
            at: now,
            early,
            interval: Interval { metrics: samples },
            flaws,
        })
    }

    /// How far apart scrapes are, as far as is seen.
    pub fn spacing(&self) -> Duration {
        let spacing = self.metrics.iter().map(|metric| match &metric.of {
            Of::Counters(_, sides) => {
                let of = |side| sides.of(side).counters.spacing();
                of(SideName::Canary).max(of(SideName::Stable))
            }
            Of::Gauges(gauges) => gauges.spacing(),
        });
        Duration::try_from_secs_f64(spacing.fold(0.0, f64::max)).unwrap_or_default()
    }

    async fn query_metrics(&self) -> Result<(Timestamp, Duration, Vec<Answers>), Error> {
        let now = self.client.time().await?;
        let Settings {
            interval, warm_up, ..
        } = self.settings;
        let since = match self.last {
            Some(last) => Duration::try_from(now.duration_since(last)).unwrap_or_default(),
            None => warm_up + 4 * interval,
        };
        let window = since + interval.max(MAX_SAMPLE_DELAY);
        let until = now.checked_add(SignedDuration::try_from(AHEAD).unwrap_or_default());
        let until = until.unwrap_or(now);
        let answers = self.metrics.iter().map(|metric| async move {
            let [canary, stable] = SideName::BOTH.map(|side| async move {
                let mut answers = Vec::new();
                // The requests first: what failed is then seen of every scrape that is counted.
                for query in metric.side_queries(side) {
                    let raw = if query::is_selector(query) {
                        self.client.raw(query, window + AHEAD, until).await?
                    } else {
                        Raw::at(self.client.instant(query, now).await?.0, seconds(now))
                    };
                    answers.push(raw);
                }
                Ok::<_, Error>(answers)
            });
            let (canary, stable) = futures_util::future::try_join(canary, stable).await?;
            Ok::<_, Error>(PerSide { canary, stable })
        });
        let answers = try_join_all(answers).await?;
        Ok((now, window, answers))
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this century")]
fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

impl Watched {
    fn new(metric: PrometheusMetric, settings: &Settings) -> Result<Watched, Error> {
        let PrometheusMetric { name, queries } = metric;
        let times = Times {
            interval: settings.interval.as_secs_f64(),
            warm_up: settings.warm_up.as_secs_f64(),
        };
        let counters = |counting| {
            let side = |side| CountersOfSide {
                counters: Counters::new(side, times),
                why: None,
            };
            Of::Counters(
                counting,
                Box::new(PerSide {
                    canary: side(SideName::Canary),
                    stable: side(SideName::Stable),
                }),
            )
        };
        let of = match &queries {
            Queries::Ratio { .. } => counters(Counting::Ratio),
            Queries::Histogram { .. } => counters(Counting::Histogram),
            Queries::Count { total, .. } => counters(Counting::Count {
                of_total: total.is_some(),
            }),
            Queries::Gauge { .. } => Of::Gauges(Gauges::new(times)),
        };
        let watched = Watched {
            queries,
            of,
            lasting: Vec::new(),
            has_begun: false,
        };
        if let Of::Counters(..) = watched.of {
            let mut all = SideName::BOTH
                .into_iter()
                .flat_map(|side| watched.side_queries(side));
            if let Some(query) = all.find(|query| !query::is_selector(query)) {
                return Err(Error::NotASelector {
                    metric: name,
                    query: query.to_owned(),
                });
            }
        }
        Ok(watched)
    }

    /// The questions for a side; that for the requests comes first.
    fn side_queries(&self, side: SideName) -> Vec<&str> {
        match &self.queries {
            Queries::Ratio { failed, total } => vec![total.of(side), failed.of(side)],
            Queries::Histogram { buckets } => vec![buckets.of(side)],
            Queries::Count {
                events,
                total: Some(total),
            } => vec![total.of(side), events.of(side)],
            Queries::Count {
                events,
                total: None,
            } => vec![events.of(side)],
            Queries::Gauge { query } => vec![query.of(side)],
        }
    }

    fn query_parts(&self) -> [QueryPart; 2] {
        match &self.queries {
            Queries::Histogram { .. } => [QueryPart::Buckets, QueryPart::Buckets],
            _ => [QueryPart::Total, QueryPart::Failed],
        }
    }

    /// Counts what the answers have.
    fn count_answers(
        &mut self,
        answers: Answers,
        at: At,
        chosen_by: &BTreeSet<String>,
        replica: &mut Option<String>,
    ) -> Vec<DataDefect> {
        let PerSide { canary, stable } = &answers;
        // A part of the series does not show what the others counted.
        if let Some(warning) = canary.iter().chain(stable).find_map(Raw::lacks_data) {
            return vec![DataDefect::Partial(warning.to_owned())];
        }
        let mut flaws = on_both_sides(&answers);
        let asked = SideName::BOTH.map(|side| {
            let asked = self.side_queries(side).into_iter();
            asked.map(str::to_owned).collect::<Vec<_>>()
        });
        let [canary, stable] = asked;
        let asked = PerSide { canary, stable };
        let asks = self.query_parts();
        match &mut self.of {
            Of::Gauges(gauges) => gauges.add_samples(answers, &asked, at, replica, &mut flaws),
            Of::Counters(_, sides) => {
                count_series(sides, answers, (&asked, asks), at, replica, &mut flaws);
                flaws.extend(label_sets(sides, chosen_by));
                flaws.extend(labels_of_failed(sides, &asked, chosen_by));
            }
        }
        let lasting = flaws.iter().filter(|flaw| flaw.is_lasting());
        self.lasting.extend(lasting.cloned());
        flaws
    }

    /// Whether nothing is wrong, but a side has nothing new.
    fn is_early(&self, flaws: &[DataDefect]) -> bool {
        let has_news = match &self.of {
            Of::Gauges(gauges) => gauges.has_news(),
            Of::Counters(_, sides) => SideName::BOTH
                .iter()
                .all(|side| sides.of(*side).counters.has_news()),
        };
        !has_news && !flaws.iter().any(|flaw| flaw.spoils() || flaw.waits())
    }

    /// Whether nothing is wrong, and both sides are there, but do not count the same time yet.
    fn begins(&self, flaws: &[DataDefect]) -> bool {
        let Of::Counters(_, sides) = &self.of else {
            return false;
        };
        let mut both = SideName::BOTH
            .map(|side| &sides.of(side).counters)
            .into_iter();
        !self.has_begun
            && both.clone().all(|counters| counters.newest().is_some())
            && !flaws.iter().any(|flaw| flaw.spoils() || flaw.waits())
            && (!both.all(Counters::has_news) || time_offset(sides, Counters::since).is_some())
    }

    /// The reading, if both sides have something new and nothing forbids to compare them now.
    fn take(&mut self, flaws: &mut Vec<DataDefect>) -> Option<Reading> {
        let reading = match &mut self.of {
            Of::Gauges(gauges) => gauges.take(flaws),
            Of::Counters(counting, sides) => taken(*counting, sides, flaws),
        };
        // Those of looks that gave no reading are told with the next one.
        let lasting = std::mem::take(&mut self.lasting);
        self.has_begun |= reading.is_some();
        if reading.is_some() {
            let untold: Vec<DataDefect> = lasting
                .into_iter()
                .filter(|flaw| !flaws.contains(flaw))
                .collect();
            flaws.extend(untold);
        } else {
            self.lasting = lasting;
        }
        reading
    }

    /// Why a side that never had data has none.
    async fn silence(&mut self, client: &Client, now: Timestamp, flaws: &mut Vec<DataDefect>) {
        let asked = SideName::BOTH.map(|side| {
            self.side_queries(side)
                .first()
                .map(|query| (*query).to_owned())
        });
        let Of::Counters(_, sides) = &mut self.of else {
            return;
        };
        for (side, query) in SideName::BOTH.into_iter().zip(asked) {
            let of_side = sides.of_mut(side);
            let Some(query) = query.filter(|_| of_side.counters.newest().is_none()) else {
                continue;
            };
            let why = match of_side.why.take() {
                Some((why, left)) if left > 0 => (why, left - 1),
                _ => {
                    let selectors = query::selectors(&query);
                    let sources = Sources {
                        client,
                        selectors: &selectors,
                        each_series: false,
                        max_age: Duration::MAX,
                        accepts_a_part: false,
                    };
                    (sources.why_no_data(now).await.what, ASK_WHY)
                }
            };
            flaws.push(DataDefect::NoData {
                side,
                why: why.0.clone(),
            });
            of_side.why = Some(why);
        }
    }
}

type Questions<'a> = (&'a PerSide<Vec<String>>, [QueryPart; 2]);

fn count_series(
    sides: &mut PerSide<CountersOfSide>,
    answers: Answers,
    (asked, asks): Questions<'_>,
    at: At,
    replica: &mut Option<String>,
    flaws: &mut Vec<DataDefect>,
) {
    let PerSide { canary, stable } = answers;
    for (side, answers) in [(SideName::Canary, canary), (SideName::Stable, stable)] {
        let questions = asked.of(side).iter().zip(asks);
        let asked = questions
            .zip(answers)
            .map(|((query, part), raw)| QueriedSeries {
                part,
                query,
                series: raw.series,
            });
        let counters = &mut sides.of_mut(side).counters;
        flaws.extend(counters.add_samples(asked.collect(), at, replica));
        let stale = counters.newest().map(|newest| at.now - newest);
        let seconds = stale.filter(|_| !counters.has_news());
        flaws.extend(
            seconds
                .filter(|seconds| *seconds > counters.gap())
                .map(|seconds| DataDefect::Stale { side, seconds }),
        );
    }
    let newest = time_offset(sides, Counters::newest);
    flaws.extend(newest.map(|seconds| DataDefect::ScrapeTimes { seconds }));
}

/// How far a time of one side is from that of the other one, where it is farther than scrapes are.
fn time_offset(sides: &PerSide<CountersOfSide>, time: fn(&Counters) -> Option<f64>) -> Option<f64> {
    let PerSide { canary, stable } = sides;
    let [canary, stable] = [&canary.counters, &stable.counters];
    let seconds = (time(canary)? - time(stable)?).abs();
    let spacing = canary.spacing().max(stable.spacing());
    (seconds > 1.5 * spacing + 2.0).then_some(seconds)
}

/// Leaves out what was counted so far, if one side has counted for longer than the other one; whether
/// that was so.
fn begin_together(sides: &mut PerSide<CountersOfSide>) -> bool {
    let is_apart = time_offset(sides, Counters::since).is_some();
    if is_apart {
        let _ = SideName::BOTH.map(|side| sides.of_mut(side).counters.take());
    }
    is_apart
}

fn taken(
    counting: Counting,
    sides: &mut PerSide<CountersOfSide>,
    flaws: &mut Vec<DataDefect>,
) -> Option<Reading> {
    if begin_together(sides) {
        return None;
    }
    if flaws.iter().any(DataDefect::spoils) {
        let _ = SideName::BOTH.map(|side| sides.of_mut(side).counters.take());
        return None;
    }
    let waits = flaws.iter().any(DataDefect::waits);
    let both = SideName::BOTH
        .iter()
        .all(|side| sides.of(*side).counters.has_news());
    if waits || !both {
        return None;
    }
    let canary = sides.canary.counters.take();
    let stable = sides.stable.counters.take();
    match metric::reading(counting, &canary, &stable) {
        Ok(reading) => Some(reading),
        Err(flaw) => {
            flaws.push(flaw);
            None
        }
    }
}

/// A series that both sides' matchers choose.
fn on_both_sides(answers: &Answers) -> Vec<DataDefect> {
    let labels = |raw: &Vec<Raw>| -> BTreeSet<_> {
        let first = raw.first().into_iter().flat_map(|raw| &raw.series);
        first.map(|one: &RawSeries| one.labels.clone()).collect()
    };
    let canary = labels(&answers.canary);
    let both = labels(&answers.stable);
    let both = both.intersection(&canary).next();
    both.map(|labels| DataDefect::BothSides(crate::series::render_labels(labels)))
        .into_iter()
        .collect()
}

/// A label that only one of the sides has.
fn label_sets(sides: &PerSide<CountersOfSide>, chosen_by: &BTreeSet<String>) -> Option<DataDefect> {
    let names = |side| &sides.of(side).counters.label_names;
    let (canary, stable) = (names(SideName::Canary), names(SideName::Stable));
    if canary.is_empty() || stable.is_empty() {
        return None;
    }
    let only = |has: &BTreeSet<String>, lacks: &BTreeSet<String>| {
        let mut only = has.difference(lacks);
        only.find(|label| !chosen_by.contains(*label)).cloned()
    };
    let missing = |side, label| DataDefect::LabelSets { side, label };
    only(stable, canary)
        .map(|label| missing(SideName::Canary, label))
        .or_else(|| only(canary, stable).map(|label| missing(SideName::Stable, label)))
}

/// Whether failed requests can be told at all: by labels that the requests have, or by a metric
/// that was there once.
fn labels_of_failed(
    sides: &PerSide<CountersOfSide>,
    asked: &PerSide<Vec<String>>,
    chosen_by: &BTreeSet<String>,
) -> Option<DataDefect> {
    let name = |query: &str| {
        query
            .split('{')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    for side in SideName::BOTH {
        let [total, failed] = &asked.of(side)[..] else {
            return None;
        };
        if name(total) != name(failed) || name(total).is_empty() {
            let seen = |side| sides.of(side).counters.failed_seen;
            let never = !SideName::BOTH.into_iter().any(seen);
            return never.then(|| DataDefect::NeverThere {
                query: failed.clone(),
            });
        }
        let has = &sides.of(side).counters.label_names;
        let mut by = label_names(failed).into_iter();
        let missing = by.find(|label| !has.contains(label) && !chosen_by.contains(label));
        if let Some(label) = missing.filter(|_| !has.is_empty()) {
            return Some(DataDefect::LabelMissing {
                side,
                label,
                query: failed.clone(),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests;

//! What counters counted in an interval, series by series, from their samples.
//!
//! Nothing is extrapolated: a count is the difference of two samples. A sample that has not come
//! yet counts in the interval in which it comes.

use std::collections::{BTreeMap, BTreeSet};

use judge::ReadingError;
use prometheus::raw::RawSeries;

use crate::flaw::DataDefect;
use crate::increases::{Increases, Part};
use crate::native;
use crate::replicas::{Deduplicated, one_of_each};
use crate::series::{Labels, instance, render_labels};
use crate::side::SideName;

/// Series that are remembered of one metric at one side.
const MAX_SERIES: usize = 50_000;
/// Scrapes that may be missed: what comes after more of them is no longer counted.
const MISSED: f64 = 3.5;

/// What was checked for, and what came.
pub(crate) struct QueriedSeries<'q> {
    pub(crate) part: QueryPart,
    pub(crate) query: &'q str,
    pub(crate) series: Vec<RawSeries>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QueryPart {
    Failed,
    Total,
    Buckets,
}

/// How long things take, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) interval: f64,
    /// Of a new instance, which is not counted.
    pub(crate) warm_up: f64,
}

/// When is looked, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SampleWindow {
    /// From when on samples were asked for.
    pub(crate) from: f64,
    /// The server's time.
    pub(crate) now: f64,
}

/// The counters of one metric at one side.
#[derive(Debug)]
pub(crate) struct Counters {
    side: SideName,
    times: Times,
    looked: bool,
    instances: BTreeMap<String, Instance>,
    series: BTreeMap<(QueryPart, Labels), Last>,
    /// Counted, and not yet taken.
    pending: Increases,
    /// From when on it was counted.
    since: Option<f64>,
    /// The time of the newest sample of all.
    newest: Option<f64>,
    /// Between two scrapes, as far as is seen.
    spacing: f64,
    /// The names of the labels that its requests have.
    pub(crate) label_names: BTreeSet<String>,
    /// Whether a series of failed requests was ever there.
    pub(crate) failed_seen: bool,
}

#[derive(Debug)]
struct Instance {
    /// When it was new, if it was seen to begin, or to begin again.
    born: Option<f64>,
    /// Its newest sample.
    newest: f64,
    /// Whether the others have had samples for too long since then.
    is_gone: bool,
}

#[derive(Debug)]
struct Last {
    at: f64,
    value: f64,
    replica: Option<String>,
}

/// How the samples of an instance are counted in one look.
#[derive(Clone, Copy)]
struct Counted {
    /// Samples up to this time are not counted but counted from.
    from: f64,
    /// Later samples belong to the next interval.
    until: f64,
    /// What a series that was not there before is counted from.
    new: New,
    /// From then on nothing is counted: it restarted, and warms up.
    restarted: f64,
}

#[derive(Clone, Copy)]
enum New {
    /// Its instance was there without it: it began at zero.
    Zero,
    /// Its instance is seen for the first time, or again after too long, at this time: from then
    /// on.
    Since(f64),
}

/// An instance of the canary that was there and is not any more, for so many seconds: it may have crashed. Stable may have
/// fewer. Told once.
pub(crate) fn newly_gone(
    side: SideName,
    instance: &str,
    seconds: f64,
    limit: f64,
    is_gone: &mut bool,
) -> Option<DataDefect> {
    if seconds <= limit || std::mem::replace(is_gone, true) || side == SideName::Stable {
        return None;
    }
    Some(DataDefect::Gone {
        side,
        instance: instance.to_owned(),
        seconds,
    })
}

impl Times {
    /// How long nothing may be scraped, in seconds, where scrapes are so far apart.
    pub(crate) fn gap(&self, spacing: f64) -> f64 {
        (spacing * MISSED).max(self.interval * 2.5)
    }
}

impl Counters {
    pub(crate) fn new(side: SideName, times: Times) -> Counters {
        Counters {
            side,
            times,
            looked: false,
            instances: BTreeMap::new(),
            series: BTreeMap::new(),
            pending: BTreeMap::new(),
            since: None,
            newest: None,
            spacing: 0.0,
            label_names: BTreeSet::new(),
            failed_seen: false,
        }
    }

    pub(crate) fn newest(&self) -> Option<f64> {
        self.newest
    }

    /// From when on it has counted what was not taken yet.
    pub(crate) fn since(&self) -> Option<f64> {
        self.since
    }

    pub(crate) fn spacing(&self) -> f64 {
        self.spacing
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What was counted, by instance.
    pub(crate) fn take(&mut self) -> Increases {
        self.since = None;
        std::mem::take(&mut self.pending)
    }

    /// So long without a sample is a gap.
    pub(crate) fn gap(&self) -> f64 {
        self.times.gap(self.spacing)
    }

    /// Looks at the samples of one interval. The first of `asked` are the requests themselves: the
    /// others count up to the same scrape.
    pub(crate) fn add_samples(
        &mut self,
        asked: Vec<QueriedSeries<'_>>,
        look: SampleWindow,
        replica: &mut Option<String>,
    ) -> Vec<DataDefect> {
        let mut flaws = Vec::new();
        let mut kept = Vec::new();
        for QueriedSeries {
            part,
            query,
            series,
        } in asked
        {
            flaws.extend(ahead(self.side, &series, look.now));
            if let Some(spacing) = spacing(&series) {
                self.spacing = spacing;
            }
            let series = match classic(self.side, series) {
                Ok(series) => series,
                Err(flaw) => {
                    flaws.push(flaw);
                    continue;
                }
            };
            let Deduplicated {
                series,
                flaws: differ,
            } = one_of_each(series, self.side, self.spacing, replica);
            flaws.extend(differ);
            flaws.extend(scraped_twice(self.side, &series));
            flaws.extend(uncountable(query, &series));
            kept.push((part, series));
        }
        let Some((_, leading)) = kept.first() else {
            return flaws;
        };
        self.label_names.extend(
            leading
                .iter()
                .flat_map(|(one, _)| one.labels.keys().cloned()),
        );
        let (mut counted, gap) = self.instances_of(leading, look);
        flaws.extend(gap);
        flaws.extend(self.newly_gone_instances());
        if self.times.warm_up > 0.0 {
            for (part, series) in &kept {
                self.note_restarts(*part, series, &mut counted);
            }
        }
        for (part, series) in kept {
            self.failed_seen |= part == QueryPart::Failed && !series.is_empty();
            for (one, replica) in series {
                // A failure of an instance that has no request belongs to none.
                if let Some(counted) = counted.get(instance(&one.labels)) {
                    flaws.extend(self.count(part, one, replica, *counted));
                }
            }
        }
        self.looked = true;
        if self.series.len() > MAX_SERIES {
            let old = look.now - 10.0 * self.gap();
            self.series.retain(|_, last| last.at > old);
        }
        flaws
    }

    /// How each instance is counted, and whether there was nothing of the side for too long.
    fn instances_of(
        &mut self,
        leading: &[(RawSeries, Option<String>)],
        look: SampleWindow,
    ) -> (BTreeMap<String, Counted>, Option<DataDefect>) {
        let mut seen: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (one, _) in leading {
            let name = instance(&one.labels);
            let known = self.instances.get(name).map(|it| it.newest);
            let times = one.samples.iter().map(|(at, _)| *at);
            for at in times.filter(|at| *at <= look.now && known.is_none_or(|known| *at > known)) {
                let (first, last) = seen.entry(name).or_insert((at, at));
                (*first, *last) = (first.min(at), last.max(at));
            }
        }
        let limit = self.gap();
        let first = seen.values().map(|(first, _)| *first).reduce(f64::min);
        let gap = self.newest.zip(first).map(|(newest, first)| first - newest);
        let gap = gap.filter(|gap| *gap > limit);
        if gap.is_some() {
            self.take();
        }
        let mut counted = BTreeMap::new();
        for (name, (first, last)) in seen {
            let before = self.instances.get(name).map(|known| known.newest);
            let new = match before {
                // What happened meanwhile is not known.
                Some(before) if first - before > limit => New::Since(first),
                Some(_) => New::Zero,
                // It may have served for long before it was found.
                None => New::Since(first),
            };
            let began = self.looked || first > look.from + MISSED * self.spacing;
            let known = self.instances.entry(name.to_owned());
            let known = known.or_insert(Instance {
                born: began.then_some(first),
                newest: last,
                is_gone: false,
            });
            (known.newest, known.is_gone) = (last, false);
            let warm = known.born.map_or(f64::NEG_INFINITY, |born| {
                if self.times.warm_up > 0.0 {
                    born + self.times.warm_up
                } else {
                    f64::NEG_INFINITY
                }
            });
            let from = match new {
                _ if !self.looked => f64::INFINITY,
                New::Zero => warm,
                New::Since(first) => warm.max(first),
            };
            counted.insert(
                name.to_owned(),
                Counted {
                    from,
                    until: last,
                    new,
                    restarted: f64::INFINITY,
                },
            );
            self.newest = Some(self.newest.unwrap_or(last).max(last));
            // Also an instance without a request in this interval was there.
            if last > from {
                self.pending.entry(name.to_owned()).or_default();
                let counted_from = from.max(before.unwrap_or(first));
                self.since = Some(
                    self.since
                        .map_or(counted_from, |since| since.min(counted_from)),
                );
            }
        }
        let gap = gap.map(|seconds| DataDefect::Gap {
            side: self.side,
            seconds,
        });
        (counted, gap)
    }

    /// An instance whose counters fell warms up again.
    fn note_restarts(
        &mut self,
        part: QueryPart,
        series: &[(RawSeries, Option<String>)],
        counted: &mut BTreeMap<String, Counted>,
    ) {
        for (one, replica) in series {
            let last = self.series.get(&(part, one.labels.clone()));
            let Some(last) = last.filter(|last| last.replica == *replica) else {
                continue;
            };
            let new = one.samples.iter().filter(|(at, _)| *at > last.at);
            let mut before = last.value;
            let mut restarted = None;
            for (at, value) in new {
                if *value < before {
                    restarted = Some(*at);
                }
                before = *value;
            }
            let name = instance(&one.labels);
            if let Some(at) = restarted
                && let (Some(instance), Some(counted)) =
                    (self.instances.get_mut(name), counted.get_mut(name))
            {
                instance.born = Some(at.max(instance.born.unwrap_or(at)));
                counted.restarted = counted.restarted.min(at);
            }
        }
    }

    fn newly_gone_instances(&mut self) -> Vec<DataDefect> {
        let Some(newest) = self.newest else {
            return Vec::new();
        };
        let limit = self.gap();
        let instances = self.instances.iter_mut();
        let gone = instances.filter_map(|(name, instance)| {
            let seconds = newest - instance.newest;
            newly_gone(self.side, name, seconds, limit, &mut instance.is_gone)
        });
        // The first look also shows those that went before.
        gone.filter(|_| self.looked).collect()
    }

    fn count(
        &mut self,
        asks: QueryPart,
        one: RawSeries,
        replica: Option<String>,
        counted: Counted,
    ) -> Option<DataDefect> {
        let name = instance(&one.labels).to_owned();
        let part = part(asks, &one.labels)?;
        let key = (asks, one.labels);
        let known = self.series.remove(&key);
        let (known, from) = match known {
            // Another replica has counted up to another scrape.
            Some(last) if last.replica != replica => {
                let begin = New::Since(one.samples.first().map_or(last.at, |(at, _)| *at));
                (None, begin)
            }
            known => (known, counted.new),
        };
        let since = known.as_ref().map_or(f64::NEG_INFINITY, |last| last.at);
        let new = one.samples.iter();
        let new: Vec<_> = new
            .filter(|(at, _)| *at > since && *at <= counted.until)
            .collect();
        let mut last = match (known, from) {
            (Some(last), New::Zero) => Some(last.value),
            (None, New::Zero) => Some(0.0),
            (known, New::Since(begin)) => {
                let later = new.first().is_some_and(|(at, _)| *at > begin);
                (known.is_none() && later).then_some(0.0)
            }
        };
        let (mut flaw, mut increase, mut newest) = (None, 0.0, since);
        for (at, value) in new {
            let step = match last {
                None => 0.0,
                Some(before) if *value < before => {
                    flaw = Some(DataDefect::Reset {
                        side: self.side,
                        instance: name.clone(),
                        from: before,
                        to: *value,
                    });
                    *value
                }
                Some(before) => *value - before,
            };
            if *at > counted.from && *at < counted.restarted {
                increase += step;
            }
            (last, newest) = (Some(*value), *at);
        }
        if let Some(value) = last.filter(|_| newest > f64::NEG_INFINITY) {
            self.series.insert(
                key,
                Last {
                    at: newest,
                    value,
                    replica,
                },
            );
        }
        if let Some(parts) = self.pending.get_mut(&name) {
            *parts.entry(part).or_default() += increase;
        }
        flaw
    }
}

fn part(asks: QueryPart, labels: &Labels) -> Option<Part> {
    Some(match asks {
        QueryPart::Failed => Part::Failed,
        QueryPart::Total => Part::Total,
        QueryPart::Buckets => {
            let bound: f64 = labels.get("le")?.parse().ok()?;
            Part::Bucket(bound.to_bits())
        }
    })
}

/// Samples of a time that has not come: their scraper runs by another clock than the server.
pub(crate) fn ahead(side: SideName, series: &[RawSeries], now: f64) -> Option<DataDefect> {
    /// The server's time is asked before the samples are.
    const LATE: f64 = 5.0;
    let newest = series.iter().filter_map(newest).reduce(f64::max)?;
    let seconds = newest - now;
    (seconds > LATE).then_some(DataDefect::Ahead { side, seconds })
}

pub(crate) fn newest(series: &RawSeries) -> Option<f64> {
    let value = series.samples.last().map(|(at, _)| *at);
    let histogram = series.histograms.last().map(|(at, _)| *at);
    value.into_iter().chain(histogram).reduce(f64::max)
}

/// Between two scrapes. Those that were missed only make it longer, so it is taken from the lower
/// part of all that are seen.
pub(crate) fn spacing(series: &[RawSeries]) -> Option<f64> {
    let values = series.iter().flat_map(|one| {
        let of_values = one.samples.windows(2).map(|pair| pair[1].0 - pair[0].0);
        let histograms = one.histograms.windows(2);
        of_values.chain(histograms.map(|pair| pair[1].0 - pair[0].0))
    });
    let mut all: Vec<f64> = values.filter(|apart| *apart > 0.0).take(5000).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 4).copied()
}

/// Native histograms as series of buckets; what is none stays as it is.
fn classic(side: SideName, all: Vec<RawSeries>) -> Result<Vec<RawSeries>, DataDefect> {
    let mut series = Vec::with_capacity(all.len());
    for one in all {
        if one.histograms.is_empty() {
            series.push(one);
            continue;
        }
        let mut by_bound: BTreeMap<u64, RawSeries> = BTreeMap::new();
        for (at, histogram) in &one.histograms {
            let buckets = native::classic(histogram);
            for (bound, count) in buckets.map_err(|why| DataDefect::Native { side, why })? {
                let bucket = by_bound.entry(bound.to_bits()).or_insert_with(|| {
                    let mut labels = one.labels.clone();
                    labels.insert("le".to_owned(), bound.to_string());
                    RawSeries {
                        labels,
                        ..RawSeries::default()
                    }
                });
                bucket.samples.push((*at, count));
            }
        }
        series.extend(by_bound.into_values());
    }
    Ok(series)
}

/// A target under two jobs, which would be counted twice.
fn scraped_twice(side: SideName, series: &[(RawSeries, Option<String>)]) -> Option<DataDefect> {
    let mut seen: BTreeMap<Labels, &str> = BTreeMap::new();
    for (one, _) in series {
        let (Some(job), name) = (one.labels.get("job"), instance(&one.labels)) else {
            continue;
        };
        if name.is_empty() {
            continue;
        }
        let mut rest = one.labels.clone();
        rest.remove("job");
        match seen.get(&rest) {
            Some(other) if other != job => {
                return Some(DataDefect::Duplicate {
                    side,
                    instance: name.to_owned(),
                    what: format!(
                        "series of two jobs, `{other}` and `{job}`: {}",
                        render_labels(&rest)
                    ),
                });
            }
            _ => {
                seen.insert(rest, job);
            }
        }
    }
    None
}

/// A value that no counter of events has.
fn uncountable(query: &str, series: &[(RawSeries, Option<String>)]) -> Option<DataDefect> {
    let mut values = series.iter().flat_map(|(one, _)| &one.samples);
    values.find_map(|(_, value)| {
        let wrong = judge::whole(*value).err()?;
        let (query, value) = (query.to_owned(), *value);
        Some(match wrong {
            ReadingError::Fraction(_) if !value.is_nan() => DataDefect::Fraction { query, value },
            _ => DataDefect::NoCounter { query, value },
        })
    })
}

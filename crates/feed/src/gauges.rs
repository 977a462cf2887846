//! The values of a gauge, one of each instance, scraped at about the same time on both sides.

use std::collections::BTreeMap;

use judge::Reading;
use prometheus::raw::RawSeries;

use crate::counters::{SampleWindow, Times, ahead, newest, newly_gone, spacing};
use crate::flaw::DataDefect;
use crate::replicas::{Deduplicated, one_of_each};
use crate::series::{instance, render_labels};
use crate::side::{PerSide, SideName};

/// The gauges of one metric.
#[derive(Debug)]
pub(crate) struct Gauges {
    times: Times,
    sides: PerSide<BTreeMap<String, InstanceSamples>>,
    /// The newest value of each instance that was not taken yet, with its time.
    pending: PerSide<BTreeMap<String, (f64, f64)>>,
    spacing: f64,
    has_looked: bool,
}

/// An instance's newest sample, and the first one that was seen.
#[derive(Clone, Copy, Debug)]
struct InstanceSamples {
    first: f64,
    newest: f64,
    /// Whether the others have had samples for too long since then.
    is_gone: bool,
}

impl Gauges {
    pub(crate) fn new(times: Times) -> Gauges {
        Gauges {
            times,
            sides: PerSide::default(),
            pending: PerSide::default(),
            spacing: 0.0,
            has_looked: false,
        }
    }

    pub(crate) fn spacing(&self) -> f64 {
        self.spacing
    }

    pub(crate) fn add_samples(
        &mut self,
        answers: PerSide<Vec<prometheus::raw::Raw>>,
        asked: &PerSide<Vec<String>>,
        at: SampleWindow,
        replica: &mut Option<String>,
        flaws: &mut Vec<DataDefect>,
    ) {
        let PerSide { canary, stable } = answers;
        for (side, raw) in [(SideName::Canary, canary), (SideName::Stable, stable)] {
            let series: Vec<RawSeries> = raw.into_iter().flat_map(|raw| raw.series).collect();
            flaws.extend(ahead(side, &series, at.now));
            if let Some(spacing) = spacing(&series) {
                self.spacing = spacing;
            }
            let Deduplicated {
                series,
                flaws: differ,
            } = one_of_each(series, side, self.spacing, replica);
            flaws.extend(differ);
            let query = asked.of(side).first().map_or("", String::as_str);
            let fresh = self.fresh(side, query, series, at, flaws);
            self.pending.of_mut(side).extend(fresh);
            let gone = self.newly_gone_instances(side);
            // The first look also shows those that went before.
            flaws.extend(gone.into_iter().filter(|_| self.has_looked));
        }
        self.has_looked = true;
        let newest = |side| {
            let pending = self.pending.of(side).values();
            pending.map(|(at, _)| *at).reduce(f64::max)
        };
        if let (Some(canary), Some(stable)) = (newest(SideName::Canary), newest(SideName::Stable)) {
            let seconds = (canary - stable).abs();
            if seconds > 1.5 * self.spacing + 2.0 {
                flaws.push(DataDefect::ScrapeTimes { seconds });
            }
        }
    }

    pub(crate) fn has_news(&self) -> bool {
        SideName::BOTH
            .iter()
            .all(|side| !self.pending.of(*side).is_empty())
    }

    fn newly_gone_instances(&mut self, side: SideName) -> Vec<DataDefect> {
        let limit = self.times.gap(self.spacing);
        let instances = self.sides.of_mut(side);
        let newest = instances.values().map(|known| known.newest);
        let newest = newest.fold(f64::NEG_INFINITY, f64::max);
        let gone = instances.iter_mut().filter_map(|(name, known)| {
            let seconds = newest - known.newest;
            newly_gone(side, name, seconds, limit, &mut known.is_gone)
        });
        gone.collect()
    }

    /// The values, if each side has one and nothing is wrong with them.
    pub(crate) fn take(&mut self, flaws: &[DataDefect]) -> Option<Reading> {
        let is_wrong = |flaw: &DataDefect| !matches!(flaw, DataDefect::Gone { .. });
        if flaws.iter().any(is_wrong) || !self.has_news() {
            return None;
        }
        let PerSide { canary, stable } = std::mem::take(&mut self.pending);
        let values = |pending: BTreeMap<String, (f64, f64)>| {
            pending.into_values().map(|(_, value)| value).collect()
        };
        Some(Reading::Gauge {
            canary: values(canary),
            stable: values(stable),
        })
    }

    /// The values that were not there at the last look, in the order of their instances.
    fn fresh(
        &mut self,
        side: SideName,
        query: &str,
        series: Vec<(RawSeries, Option<String>)>,
        at: SampleWindow,
        flaws: &mut Vec<DataDefect>,
    ) -> Vec<(String, (f64, f64))> {
        let mut by_instance: BTreeMap<String, RawSeries> = BTreeMap::new();
        for (one, _) in series {
            if newest(&one).is_some_and(|newest| newest > at.now) && one.samples.len() == 1 {
                continue;
            }
            let name = instance(&one.labels).to_owned();
            if let Some(other) = by_instance.get(&name) {
                flaws.push(DataDefect::Duplicate {
                    side,
                    instance: name,
                    what: format!(
                        "{} and {}",
                        render_labels(&other.labels),
                        render_labels(&one.labels)
                    ),
                });
                return Vec::new();
            }
            by_instance.insert(name, one);
        }
        let known = match side {
            SideName::Canary => &mut self.sides.canary,
            SideName::Stable => &mut self.sides.stable,
        };
        let mut fresh = Vec::new();
        for (name, one) in by_instance {
            let mut samples = one.samples.iter().rev();
            let Some((time, value)) = samples.find(|(time, _)| *time <= at.now) else {
                continue;
            };
            let first = one.samples.first().map_or(*time, |(time, _)| *time);
            let began = first > at.from + 3.5 * self.spacing;
            let seen = known.get(&name).copied();
            let first = seen.map_or(if began { first } else { f64::NEG_INFINITY }, |seen| {
                seen.first
            });
            known.insert(
                name.clone(),
                InstanceSamples {
                    first,
                    newest: *time,
                    is_gone: false,
                },
            );
            let warm = *time >= first + self.times.warm_up;
            if seen.is_some_and(|seen| seen.newest >= *time) || !warm {
                continue;
            }
            if value.is_nan() || value.is_infinite() {
                flaws.push(DataDefect::NotANumber {
                    side,
                    query: query.to_owned(),
                    instance: name,
                });
                continue;
            }
            fresh.push((name, (*time, *value)));
        }
        fresh
    }
}

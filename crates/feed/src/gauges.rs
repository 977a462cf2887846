//! The values of a gauge, one of each instance, scraped at about the same time on both sides.

use std::collections::BTreeMap;

use judge::Reading;
use prometheus::raw::RawSeries;

use crate::counters::{Look, Times, ahead, newest, spacing};
use crate::flaw::Flaw;
use crate::replicas::{Deduplicated, one_of_each};
use crate::series::{instance, shown};
use crate::side::{PerSide, SideName};

/// The gauges of one metric.
#[derive(Debug)]
pub(crate) struct Gauges {
    times: Times,
    sides: PerSide<BTreeMap<String, Seen>>,
    spacing: f64,
}

/// An instance's newest sample, and the first one that was seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: f64,
    newest: f64,
}

impl Gauges {
    pub(crate) fn new(times: Times) -> Gauges {
        Gauges {
            times,
            sides: PerSide::default(),
            spacing: 0.0,
        }
    }

    pub(crate) fn look(
        &mut self,
        answers: PerSide<Vec<prometheus::raw::Raw>>,
        asked: &PerSide<Vec<String>>,
        at: Look,
        replica: &mut Option<String>,
        flaws: &mut Vec<Flaw>,
    ) -> Option<Reading> {
        let PerSide { canary, stable } = answers;
        let mut values = Vec::new();
        let mut newest_of_sides = Vec::new();
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
            newest_of_sides.extend(fresh.iter().map(|(at, _)| *at).reduce(f64::max));
            values.push(
                fresh
                    .into_iter()
                    .map(|(_, value)| value)
                    .collect::<Vec<_>>(),
            );
        }
        if let [canary, stable] = newest_of_sides[..] {
            let seconds: f64 = (canary - stable).abs();
            if seconds > 1.5 * self.spacing + 2.0 {
                flaws.push(Flaw::ScrapeTimes { seconds });
            }
        }
        let stable = values.pop()?;
        let canary = values.pop()?;
        let usable = !canary.is_empty() && !stable.is_empty();
        (usable && flaws.is_empty()).then_some(Reading::Gauge { canary, stable })
    }

    /// The values that were not there at the last look, in the order of their instances.
    fn fresh(
        &mut self,
        side: SideName,
        query: &str,
        series: Vec<(RawSeries, Option<String>)>,
        at: Look,
        flaws: &mut Vec<Flaw>,
    ) -> Vec<(f64, f64)> {
        let mut by_instance: BTreeMap<String, RawSeries> = BTreeMap::new();
        for (one, _) in series {
            if newest(&one).is_some_and(|newest| newest > at.now) && one.samples.len() == 1 {
                continue;
            }
            let name = instance(&one.labels).to_owned();
            if let Some(other) = by_instance.get(&name) {
                flaws.push(Flaw::Duplicate {
                    side,
                    instance: name,
                    what: format!("{} and {}", shown(&other.labels), shown(&one.labels)),
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
                Seen {
                    first,
                    newest: *time,
                },
            );
            let warm = *time >= first + self.times.warm_up;
            if seen.is_some_and(|seen| seen.newest >= *time) || !warm {
                continue;
            }
            if value.is_nan() || value.is_infinite() {
                flaws.push(Flaw::NotANumber {
                    side,
                    query: query.to_owned(),
                    instance: name,
                });
                continue;
            }
            fresh.push((*time, *value));
        }
        fresh
    }
}

//! What each side has, as a reading of its metric.

use config::file::{CanaryKind, CanaryMetric};
use judge::{
    Buckets, Counts, Doubt, Events, Interval, Reading, ReadingError, Sample, SideData, Sides,
};
use serde::de::DeserializeSeed as _;

use super::line::{Metric, Names, Part, TraceLine, WrittenSide, with_texts_for_odd_numbers};

const MAX_LEVEL: f64 = 1e100;

/// Reads lines with the metrics of a configuration.
pub(super) struct Reader {
    names: Vec<String>,
    kinds: Vec<CanaryKind>,
    /// Of each metric, whether this run had data of both sides.
    has_data: Vec<bool>,
}

impl Reader {
    pub(super) fn new(metrics: &[CanaryMetric]) -> Reader {
        Reader {
            names: metrics.iter().map(|metric| metric.name.clone()).collect(),
            kinds: metrics.iter().map(|metric| metric.kind).collect(),
            has_data: vec![false; metrics.len()],
        }
    }

    /// Another run begins.
    pub(super) fn begin(&mut self) {
        self.has_data.fill(false);
    }

    pub(super) fn line(&self, text: &[u8]) -> Result<TraceLine, serde_json::Error> {
        let parse = |text: &[u8]| {
            let mut json = serde_json::Deserializer::from_slice(text);
            let line = Names(&self.names).deserialize(&mut json)?;
            json.end()?;
            Ok(line)
        };
        parse(text).or_else(|error| match with_texts_for_odd_numbers(text) {
            Some(text) => parse(&text),
            None => Err(error),
        })
    }

    /// The interval without its data, for a reason that is told.
    pub(super) fn without_data(&self, problem: &str) -> (Interval, Vec<Option<String>>) {
        let samples = self.kinds.iter().map(|kind| without_data(*kind).into());
        let interval = Interval {
            metrics: samples.collect(),
        };
        (interval, vec![Some(problem.to_owned()); self.kinds.len()])
    }

    pub(super) fn interval(
        &mut self,
        metrics: Vec<Option<Metric>>,
    ) -> (Interval, Vec<Option<String>>) {
        let mut interval = Interval::default();
        let mut problems = Vec::with_capacity(metrics.len());
        for (nth, metric) in metrics.into_iter().enumerate() {
            let metric = metric.unwrap_or_default();
            let (sample, problem) = self.sample(nth, metric);
            interval.metrics.push(sample);
            problems.push(problem);
        }
        (interval, problems)
    }

    fn sample(&mut self, nth: usize, metric: Metric) -> (Sample, Option<String>) {
        let kind = self.kinds[nth];
        let told = metric.doubts.iter();
        let mut doubts: std::collections::BTreeSet<Doubt> = told
            .map(|name| Doubt::of_name(name).unwrap_or(Doubt::Unreadable))
            .collect();
        if let Some(odd) = metric.odd {
            let why = Problem::Sides(odd);
            doubts.insert(why.doubt());
            let reading = Some(without_data(kind));
            return (Sample { reading, doubts }, Some(why.to_string()));
        }
        let is_absent = |side: &WrittenSide| matches!(side, WrittenSide::Absent);
        if is_absent(&metric.canary) || is_absent(&metric.stable) {
            // What is told to be wrong is why a side has no numbers.
            if doubts.is_empty() {
                doubts.insert(Doubt::Stale);
            }
            if self.has_data[nth] {
                doubts.insert(Doubt::Gap);
            }
            let reading = None;
            return (Sample { reading, doubts }, None);
        }
        match reading(kind, metric) {
            Ok(reading) => {
                self.has_data[nth] = true;
                let reading = Some(reading);
                (Sample { reading, doubts }, None)
            }
            Err(why) => {
                doubts.insert(why.doubt());
                // Beside data, a doubt holds for the whole run.
                let reading = Some(without_data(kind));
                (Sample { reading, doubts }, Some(why.to_string()))
            }
        }
    }
}

/// Why numbers are not what a metric counts.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Reading(#[from] ReadingError),
    #[error("`{0}` is not a number")]
    Odd(String),
    #[error("`{0}` is not an object with `canary` and `stable`")]
    Sides(String),
    #[error("a {kind} needs {needs}")]
    Lacks {
        kind: &'static str,
        needs: &'static str,
    },
}

impl Problem {
    fn doubt(&self) -> Doubt {
        match self {
            Problem::Reading(ReadingError::Fraction(_)) => Doubt::NotWhole,
            Problem::Reading(ReadingError::Negative(_)) => Doubt::Reset,
            _ => Doubt::Unreadable,
        }
    }
}

fn reading(kind: CanaryKind, metric: Metric) -> Result<Reading, Problem> {
    let Metric { canary, stable, .. } = metric;
    Ok(match kind {
        CanaryKind::Ratio => Reading::Ratio(sides(canary, stable, counts)?),
        CanaryKind::Histogram => Reading::Histogram(sides(canary, stable, buckets)?),
        CanaryKind::Count => {
            let sides = sides(canary, stable, events)?;
            sides.have_totals()?;
            Reading::Count(sides)
        }
        CanaryKind::Gauge => Reading::Gauge {
            canary: values(canary)?,
            stable: values(stable)?,
        },
    })
}

fn sides<T>(
    canary: WrittenSide,
    stable: WrittenSide,
    read: impl Fn(Part) -> Result<T, Problem>,
) -> Result<Sides<T>, Problem> {
    let side = |side: WrittenSide| match side {
        WrittenSide::Absent => Err(Problem::Reading(ReadingError::NoInstances)),
        WrittenSide::Whole(part) => read(part).map(SideData::Whole),
        WrittenSide::Instances(parts) => {
            let parts: Result<_, _> = parts.into_iter().map(&read).collect();
            parts.map(SideData::Instances)
        }
    };
    Ok(Sides {
        canary: side(canary)?,
        stable: side(stable)?,
    })
}

fn number_of(
    number: Option<f64>,
    part: &Part,
    kind: &'static str,
    needs: &'static str,
) -> Result<f64, Problem> {
    match (&part.odd, number) {
        (Some(odd), _) => Err(Problem::Odd(odd.clone())),
        (None, Some(number)) => Ok(number),
        (None, None) => Err(Problem::Lacks { kind, needs }),
    }
}

fn counts(part: Part) -> Result<Counts, Problem> {
    const NEEDS: &str = "`failed` and `total`";
    let failed = number_of(part.failed, &part, "ratio", NEEDS)?;
    let total = number_of(part.total, &part, "ratio", NEEDS)?;
    Ok(Counts::from_floats(failed, total)?)
}

fn buckets(part: Part) -> Result<Buckets, Problem> {
    match (part.odd, part.buckets) {
        (Some(odd), _) => Err(Problem::Odd(odd)),
        (None, Some(buckets)) => Ok(Buckets::from_floats(buckets)?),
        (None, None) => Err(Problem::Lacks {
            kind: "histogram",
            needs: "`buckets`",
        }),
    }
}

fn events(part: Part) -> Result<Events, Problem> {
    let events = part.number.or(part.failed);
    let events = number_of(events, &part, "count", "a number, or `failed` and `total`")?;
    Ok(Events::from_floats(events, part.total)?)
}

fn values(side: WrittenSide) -> Result<Vec<f64>, Problem> {
    let parts = match side {
        WrittenSide::Absent => Vec::new(),
        WrittenSide::Whole(part) => vec![part],
        WrittenSide::Instances(parts) => parts,
    };
    let value = |part: Part| {
        let value = number_of(part.number, &part, "gauge", "a list of numbers")?;
        // Beyond it, squares are no longer numbers.
        if value.abs() > MAX_LEVEL {
            return Err(ReadingError::Gauge(value).into());
        }
        Ok(value)
    };
    parts.into_iter().map(value).collect()
}

/// A reading that adds nothing.
fn without_data(kind: CanaryKind) -> Reading {
    fn no_instances<T>() -> Sides<T> {
        Sides {
            canary: SideData::Instances(Vec::new()),
            stable: SideData::Instances(Vec::new()),
        }
    }
    match kind {
        CanaryKind::Ratio => Reading::Ratio(no_instances()),
        CanaryKind::Histogram => Reading::Histogram(no_instances()),
        CanaryKind::Count => Reading::Count(no_instances()),
        CanaryKind::Gauge => Reading::Gauge {
            canary: Vec::new(),
            stable: Vec::new(),
        },
    }
}

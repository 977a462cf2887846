//! An interval as a line of a recorded trace.

use jiff::Timestamp;
use judge::{Counts, Events, Interval, Reading, Sample, SideData, Sides};
use serde_json::{Map, Value, json};

/// The line of one interval, without its end. It holds all since `from`; `names` are those of the
/// metrics.
pub fn trace_line(from: Timestamp, at: Timestamp, names: &[String], interval: &Interval) -> String {
    let metrics = names.iter().zip(&interval.metrics);
    let metrics: Map<String, Value> = metrics
        .map(|(name, sample)| (name.clone(), metric(sample)))
        .collect();
    json!({"at": format!("{at:.3}"), "from": format!("{from:.3}"), "metrics": metrics}).to_string()
}

fn metric(sample: &Sample) -> Value {
    let mut metric = Map::new();
    match &sample.reading {
        None => {}
        Some(Reading::Ratio(sides)) => put(
            &mut metric,
            sides,
            &|counts: &Counts| json!({"failed": counts.failed(), "total": counts.total()}),
        ),
        Some(Reading::Count(sides)) => put(&mut metric, sides, &|events: &Events| match events
            .total()
        {
            Some(total) => json!({"failed": events.events(), "total": total}),
            None => json!(events.events()),
        }),
        Some(Reading::Histogram(sides)) => put(&mut metric, sides, &buckets),
        Some(Reading::Gauge { canary, stable }) => {
            metric.insert("canary".to_owned(), json!(canary));
            metric.insert("stable".to_owned(), json!(stable));
        }
    }
    if !sample.doubts.is_empty() {
        let doubts: Vec<&str> = sample.doubts.iter().map(|doubt| doubt.name()).collect();
        metric.insert("doubts".to_owned(), json!(doubts));
    }
    Value::Object(metric)
}

fn put<T>(metric: &mut Map<String, Value>, sides: &Sides<T>, one: &dyn Fn(&T) -> Value) {
    let side = |side: &SideData<T>| match side {
        SideData::Whole(part) => one(part),
        SideData::Instances(parts) => parts.iter().map(one).collect(),
    };
    metric.insert("canary".to_owned(), side(&sides.canary));
    metric.insert("stable".to_owned(), side(&sides.stable));
}

fn buckets(buckets: &judge::Buckets) -> Value {
    let total = buckets.total();
    let finite = buckets.bounds().map(|bound| {
        let within = total - buckets.above(bound).unwrap_or_default();
        (bound.to_string(), json!(within))
    });
    let all: Map<String, Value> = finite.chain([("+Inf".to_owned(), json!(total))]).collect();
    json!({"buckets": all})
}

#[cfg(test)]
mod tests {
    use judge::{Buckets, Doubt};

    use super::*;

    #[test]
    fn a_line_is_as_the_format_has_it() {
        let counts = |failed, total| Counts::new(failed, total).unwrap_or_default();
        let ratio = Reading::Ratio(Sides {
            canary: SideData::Whole(counts(3, 100)),
            stable: SideData::Instances(vec![counts(5, 450), counts(5, 450)]),
        });
        let buckets = || Buckets::new([(0.5, 90), (0.1, 40), (f64::INFINITY, 100)]);
        let buckets = || SideData::Whole(buckets().unwrap_or_else(|why| panic!("{why}")));
        let latency = Reading::Histogram(Sides {
            canary: buckets(),
            stable: buckets(),
        });
        let memory = Reading::Gauge {
            canary: vec![512.0],
            stable: vec![510.5, 511.0],
        };
        let mut reset = Sample::from(ratio);
        reset.doubts.insert(Doubt::Reset);
        let interval = Interval {
            metrics: vec![reset, latency.into(), memory.into(), Sample::default()],
        };
        let names = ["errors", "latency", "memory", "nothing"].map(str::to_owned);
        let epoch = Timestamp::UNIX_EPOCH;
        let line = trace_line(epoch, epoch, &names, &interval);
        assert_eq!(
            line,
            concat!(
                r#"{"at":"1970-01-01T00:00:00.000Z","from":"1970-01-01T00:00:00.000Z","metrics":{"#,
                r#""errors":{"canary":{"failed":3,"total":100},"doubts":["reset"],"#,
                r#""stable":[{"failed":5,"total":450},{"failed":5,"total":450}]},"#,
                r#""latency":{"canary":{"buckets":{"+Inf":100,"0.1":40,"0.5":90}},"#,
                r#""stable":{"buckets":{"+Inf":100,"0.1":40,"0.5":90}}},"#,
                r#""memory":{"canary":[512.0],"stable":[510.5,511.0]},"nothing":{}}}"#
            )
        );
    }
}

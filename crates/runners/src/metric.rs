//! What Prometheus reports about runners: a series for each, or how many are online.

use std::collections::BTreeMap;
use std::time::Duration;

use config::file::RunnerMetric;
use model::Env;
use prometheus::{Client, Sample};

use crate::{Evidence, Source, State, Trust};

/// Labels that exporters give a runner's name in.
const NAMES: [&str; 3] = ["runner", "runner_name", "name"];

/// The series and how old each one's newest sample is, in the same order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunnerMetrics {
    pub samples: Vec<Sample>,
    pub ages: BTreeMap<BTreeMap<String, String>, Duration>,
}

/// Asks for the values and for their age: Prometheus shows a value for five minutes after its
/// source went silent.
pub async fn query_metric(
    metric: &RunnerMetric,
    now: jiff::Timestamp,
    timeout: Duration,
) -> Result<RunnerMetrics, prometheus::Error> {
    let client = Client::new(&metric.server, None, &Env::default())?;
    let ages = format!("timestamp({})", metric.query);
    let (samples, times) = futures_util::future::join(
        client.samples(&metric.query, timeout),
        client.samples(&ages, timeout),
    )
    .await;
    // Samples carry the server's time.
    let now = now.checked_add(client.ahead()).unwrap_or(now);
    // A query that gives one number has no time of its own; then its age is not known.
    let ages = times.unwrap_or_default().into_iter().filter_map(|sample| {
        let at = Duration::try_from_secs_f64(sample.value).ok()?;
        let now = Duration::try_from(now.as_duration()).ok()?;
        Some((sample.labels, now.saturating_sub(at)))
    });
    Ok(RunnerMetrics {
        samples: samples?,
        ages: ages.collect(),
    })
}

/// What the answer says: of each runner by name, or of the pool.
pub fn evidence(
    metric: &RunnerMetric,
    answer: &Result<RunnerMetrics, prometheus::Error>,
) -> Vec<Evidence> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return vec![Evidence::silent(Source::Prometheus, error.to_string())],
    };
    if answer.samples.is_empty() {
        let says = format!("`{}` gives no data", metric.query);
        return vec![Evidence::new(
            Source::Prometheus,
            State::Unknown,
            Trust::Hearsay,
            says,
        )];
    }
    answer
        .samples
        .iter()
        .map(|sample| sample_evidence(metric, sample, answer))
        .collect()
}

fn sample_evidence(metric: &RunnerMetric, sample: &Sample, answer: &RunnerMetrics) -> Evidence {
    let state = match sample.value {
        value if value > 0.0 && value.is_finite() => State::Online,
        0.0 => State::Offline,
        // NaN, infinity, less than nothing: a query that went wrong.
        _ => State::Unknown,
    };
    let name = match &metric.runner_label {
        Some(label) => sample.labels.get(label),
        None => NAMES.iter().find_map(|label| sample.labels.get(*label)),
    };
    let age = sample_age(sample, answer);
    let evidence =
        |says: String| Evidence::new(Source::Prometheus, state, Trust::Hearsay, says).aged(age);
    match name {
        Some(name) => evidence(format!("value {}", sample.value)).of(name),
        None if answer.samples.len() == 1 => evidence(format!("{} online", sample.value)),
        // Several series without a name are runners too: their labels distinguish them.
        None => {
            let labels = sample.labels.iter().filter(|(name, _)| *name != "__name__");
            let name: Vec<String> = labels
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            evidence(format!("value {}", sample.value)).of(name.join(","))
        }
    }
}

/// `timestamp()` drops the metric's name.
fn sample_age(sample: &Sample, answer: &RunnerMetrics) -> Option<Duration> {
    let mut labels = sample.labels.clone();
    labels.remove("__name__");
    answer.ages.get(&labels).copied()
}

/// How many are online, if the query is one number for the pool and not older than `max_evidence_age`.
pub fn count(
    answer: &RunnerMetrics,
    metric: &RunnerMetric,
    max_evidence_age: Duration,
) -> Option<u64> {
    let [sample] = &answer.samples[..] else {
        return None;
    };
    let evidence = sample_evidence(metric, sample, answer);
    if evidence.runner.is_some() || !evidence.counts(max_evidence_age) {
        return None;
    }
    // Runners are counted in whole numbers; a rate or an average is rounded down.
    format!("{:.0}", sample.value.floor()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric() -> RunnerMetric {
        RunnerMetric {
            server: "http://x".into(),
            query: "runner_status".into(),
            runner_label: None,
        }
    }

    fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        Sample {
            labels: labels.collect(),
            value,
        }
    }

    fn evidence_rows(samples: Vec<Sample>) -> Vec<(Option<String>, State)> {
        let answer = RunnerMetrics {
            samples,
            ..RunnerMetrics::default()
        };
        evidence(&metric(), &Ok(answer))
            .into_iter()
            .map(|e| (e.runner, e.state))
            .collect()
    }

    #[test]
    fn each_series_is_a_runner_and_one_without_name_a_count() {
        let two = vec![
            sample(&[("runner", "web-01")], 1.0),
            sample(&[("runner", "web-02")], 0.0),
        ];
        assert_eq!(
            evidence_rows(two),
            [
                (Some("web-01".into()), State::Online),
                (Some("web-02".into()), State::Offline)
            ]
        );
        assert_eq!(
            evidence_rows(vec![sample(&[], 2.0)]),
            [(None, State::Online)]
        );
        assert_eq!(
            evidence_rows(vec![sample(&[("runner", "a")], f64::NAN)]),
            [(Some("a".into()), State::Unknown)]
        );
        let nameless = evidence_rows(vec![
            sample(&[("__name__", "m"), ("env", "a")], 1.0),
            sample(&[("env", "b")], 1.0),
        ]);
        assert_eq!(nameless[0].0.as_deref(), Some("env=a"));
        let count = |value| {
            count(
                &RunnerMetrics {
                    samples: vec![sample(&[], value)],
                    ..RunnerMetrics::default()
                },
                &metric(),
                Duration::from_secs(60),
            )
        };
        assert_eq!((count(2.9), count(0.0)), (Some(2), Some(0)));
        for wrong in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(count(wrong), None, "{wrong}");
            assert_eq!(
                evidence_rows(vec![sample(&[], wrong)]),
                [(None, State::Unknown)]
            );
        }
        let mut old = RunnerMetrics {
            samples: vec![sample(&[], 1.0)],
            ..RunnerMetrics::default()
        };
        old.ages.insert(BTreeMap::new(), Duration::from_secs(61));
        assert_eq!(super::count(&old, &metric(), Duration::from_secs(60)), None);
    }

    #[test]
    fn no_data_and_no_answer_are_unknown() {
        assert_eq!(evidence_rows(vec![]), [(None, State::Unknown)]);
        let silent = evidence(&metric(), &Err(prometheus::Error::NotJson));
        assert!(silent.len() == 1 && !silent[0].answered && silent[0].state == State::Unknown);
    }
}

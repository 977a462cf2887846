//! A Prometheus instant query. Its own small client, because a gate must see what libraries
//! smooth over: warnings, the number of series, NaN.
//!
//! The server is somebody we ask about the service: that it does not answer is an error, and no
//! verdict on the service.

use std::collections::BTreeMap;
use std::time::Duration;

use config::file::{OnNoData, PrometheusProbe};
use model::Verdict;
use serde_json::Value;
use url::Url;

use crate::body::{self, Body};
use crate::kinds::{Measuring, Probe, Surroundings};
use crate::{Reading, USER_AGENT, plain_cause};

/// One number is small; this leaves room for warnings.
const MAX_BODY: u64 = 1 << 20;

/// One query with its connection.
pub struct Prometheus {
    probe: PrometheusProbe,
    url: Url,
    client: reqwest::Client,
}

impl Prometheus {
    pub fn new(probe: PrometheusProbe, _around: &Surroundings) -> Result<Self, String> {
        let base = probe.server.trim_end_matches('/');
        let url = Url::parse(&format!("{base}/api/v1/query")).map_err(|error| error.to_string())?;
        let client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| plain_cause(&error))?;
        Ok(Prometheus { probe, url, client })
    }

    /// Every series of the query's answer, for a question that is not about one number.
    pub async fn samples(&self, timeout: Duration) -> Result<Vec<Sample>, String> {
        let body = tokio::time::timeout(timeout, self.ask())
            .await
            .map_err(|_| format!("no complete answer within {} ms", timeout.as_millis()))??;
        samples(&body)
    }

    fn error(&self, reason: String) -> Reading {
        Reading::not(
            Verdict::Error,
            expected(&self.probe),
            reason.clone(),
            reason,
        )
        .value("error")
    }

    async fn ask(&self) -> Result<Vec<u8>, String> {
        let mut url = self.url.clone();
        // One fixed time, so that a query of several parts sees one instant.
        let now = format!("{:.3}", jiff::Timestamp::now());
        url.query_pairs_mut()
            .append_pair("query", &self.probe.query)
            .append_pair("time", &now);
        let response = self
            .client
            .get(url)
            .send()
            .await
            .map_err(|error| plain_cause(&error))?;
        let status = response.status();
        match body::read(response, MAX_BODY).await {
            // 400 and 422 carry the reason in their JSON body.
            Body::Whole(body) if status.is_success() || body.starts_with(b"{") => Ok(body),
            Body::Whole(_) => Err(format!("Prometheus answers status {}", status.as_u16())),
            Body::TooLarge => Err(format!("the answer is larger than {MAX_BODY} bytes")),
            Body::Broken(reason) => Err(format!("the answer broke off: {reason}")),
        }
    }
}

impl Probe for Prometheus {
    /// Of one instant.
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            match tokio::time::timeout(timeout, self.ask()).await {
                Ok(Ok(body)) => judge(&self.probe, &body),
                Ok(Err(reason)) => self.error(reason),
                Err(_) => self.error(format!(
                    "no complete answer within {} ms",
                    timeout.as_millis()
                )),
            }
        })
    }

    fn hint(&self) -> String {
        let server = self.probe.server.trim_end_matches('/');
        format!("run the query in {server}/graph")
    }

    fn limits(&self) -> model::Limits {
        model::Limits {
            min: self.probe.min,
            max: self.probe.max,
            ..model::Limits::default()
        }
    }
}

fn expected(probe: &PrometheusProbe) -> String {
    match (probe.min, probe.max) {
        (Some(min), Some(max)) => format!("{min} ≤ value ≤ {max}"),
        (Some(min), None) => format!("value ≥ {min}"),
        (None, Some(max)) => format!("value ≤ {max}"),
        (None, None) => "a value".to_owned(),
    }
}

/// Judges an answer of `/api/v1/query`.
fn judge(probe: &PrometheusProbe, body: &[u8]) -> Reading {
    let expected = expected(probe);
    let not =
        |verdict, reason: String| Reading::not(verdict, expected.clone(), reason.clone(), reason);
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return not(Verdict::Error, "the answer is not JSON".into());
    };
    if answer["status"] != "success" {
        let text = answer["error"].as_str().unwrap_or("no reason given");
        return not(
            Verdict::Error,
            format!("Prometheus refuses the query: {text}"),
        );
    }
    if let Some(warning) = answer["warnings"].as_array().and_then(|all| all.first()) {
        return not(
            Verdict::Inconclusive,
            format!("Prometheus warns: {warning}"),
        );
    }
    let data = &answer["data"];
    let sample = match data["resultType"].as_str() {
        Some("scalar") => &data["result"],
        Some("vector") => {
            let series = data["result"].as_array().map_or(&[][..], Vec::as_slice);
            match series {
                [] => {
                    let (verdict, reason) = no_data(probe.on_no_data);
                    return match verdict {
                        Verdict::Pass => Reading::pass(expected, reason).value("no data"),
                        verdict => not(verdict, reason.to_owned()).value("no data"),
                    };
                }
                [one] => &one["value"],
                several => {
                    return not(
                        Verdict::Inconclusive,
                        format!("{} series where one was asked", several.len()),
                    );
                }
            }
        }
        other => {
            let kind = other.unwrap_or("nothing");
            return not(
                Verdict::Error,
                format!("the query gives {kind}, not one number"),
            );
        }
    };
    let Some(value) = sample[1].as_str().and_then(number) else {
        return not(
            Verdict::Inconclusive,
            "the result is no number (a histogram?)".into(),
        );
    };
    if value.is_nan() {
        return not(Verdict::Inconclusive, "the value is NaN".into()).value("NaN");
    }
    let low = probe.min.is_some_and(|min| value < min);
    let high = probe.max.is_some_and(|max| value > max);
    if low || high {
        let bound = if low {
            format!("{value} < min")
        } else {
            format!("{value} > max")
        };
        return not(Verdict::Fail, bound).value(value.to_string());
    }
    Reading::pass(expected, value.to_string()).value(value.to_string())
}

/// One series at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// More series than a question about a few things gives.
const MAX_SERIES: usize = 10_000;

fn samples(body: &[u8]) -> Result<Vec<Sample>, String> {
    let answer: Value =
        serde_json::from_slice(body).map_err(|_| "the answer is not JSON".to_owned())?;
    if answer["status"] != "success" {
        let text = answer["error"].as_str().unwrap_or("no reason given");
        return Err(format!("Prometheus refuses the query: {text}"));
    }
    // A part of the series is no basis to say that the others are gone.
    if let Some(warning) = answer["warnings"].as_array().and_then(|all| all.first()) {
        return Err(format!("Prometheus warns: {warning}"));
    }
    let data = &answer["data"];
    let one = |labels: &Value, value: &Value| {
        let labels = labels.as_object().into_iter().flatten();
        let text =
            |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        let value = value[1].as_str().and_then(number);
        Ok(Sample {
            labels: labels.filter_map(text).collect(),
            value: value.ok_or("the result is no number (a histogram?)")?,
        })
    };
    match data["resultType"].as_str() {
        Some("scalar") => Ok(vec![one(&Value::Null, &data["result"])?]),
        Some("vector") => {
            let series = data["result"].as_array().map_or(&[][..], Vec::as_slice);
            if series.len() > MAX_SERIES {
                return Err(format!("{} series, more than {MAX_SERIES}", series.len()));
            }
            series
                .iter()
                .map(|series| one(&series["metric"], &series["value"]))
                .collect()
        }
        other => Err(format!(
            "the query gives {}, not an instant's values",
            other.unwrap_or("nothing")
        )),
    }
}

/// Prometheus writes `+Inf`, which Rust reads as it is.
fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn no_data(rule: OnNoData) -> (Verdict, &'static str) {
    match rule {
        OnNoData::Inconclusive => (Verdict::Inconclusive, "the query gives no data"),
        OnNoData::Pass => (Verdict::Pass, "no data, which on-no-data accepts"),
        OnNoData::Fail => (Verdict::Fail, "the query gives no data"),
        OnNoData::Error => (Verdict::Error, "the query gives no data"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(result: &str, rule: OnNoData) -> Verdict {
        let probe = PrometheusProbe {
            policy: None,
            name: "p".into(),
            server: "http://x".into(),
            query: "q".into(),
            min: None,
            max: Some(0.05),
            on_no_data: rule,
            severity: model::Severity::Required,
        };
        judge(&probe, result.as_bytes()).verdict
    }

    fn vector(series: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
    }

    #[test]
    fn every_series_is_seen_with_its_labels() {
        let two =
            vector(r#"{"metric":{"runner":"a"},"value":[1,"1"]},{"metric":{},"value":[1,"NaN"]}"#);
        let seen = samples(two.as_bytes()).unwrap_or_default();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].labels["runner"], "a");
        assert!(seen[0].value > 0.5 && seen[1].value.is_nan());
        assert_eq!(samples(vector("").as_bytes()), Ok(Vec::new()));
        for bad in [
            "<html>",
            r#"{"status":"error","error":"parse"}"#,
            &vector(r#"{"histogram":[1,{}]}"#),
        ] {
            assert!(samples(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_one_number_within_its_range_passes() {
        let plain = |text: &str| verdict(text, OnNoData::Inconclusive);
        assert_eq!(plain(&vector(r#"{"value":[1,"0.01"]}"#)), Verdict::Pass);
        assert_eq!(plain(&vector(r#"{"value":[1,"0.06"]}"#)), Verdict::Fail);
        assert_eq!(plain(&vector(r#"{"value":[1,"+Inf"]}"#)), Verdict::Fail);
        assert_eq!(
            plain(&vector(r#"{"value":[1,"NaN"]}"#)),
            Verdict::Inconclusive
        );
        assert_eq!(
            plain(&vector(r#"{"histogram":[1,{}]}"#)),
            Verdict::Inconclusive
        );
        assert_eq!(
            plain(&vector(r#"{"value":[1,"0"]},{"value":[1,"0"]}"#)),
            Verdict::Inconclusive
        );
        assert_eq!(plain(&vector("")), Verdict::Inconclusive);
        assert_eq!(verdict(&vector(""), OnNoData::Fail), Verdict::Fail);
        assert_eq!(verdict(&vector(""), OnNoData::Pass), Verdict::Pass);
        assert_eq!(
            plain(r#"{"status":"error","error":"parse"}"#),
            Verdict::Error
        );
        assert_eq!(plain("<html>"), Verdict::Error);
        assert_eq!(
            plain(
                r#"{"status":"success","warnings":["partial"],"data":{"resultType":"vector","result":[{"value":[1,"0"]}]}}"#
            ),
            Verdict::Inconclusive
        );
    }
}

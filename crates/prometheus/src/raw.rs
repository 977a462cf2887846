//! Samples as they were scraped, with the times at which they were: an answer of `/api/v1/query`
//! to a selector with a window, such as `http_requests_total[60s]`.
//!
//! A counter is counted from these alone. `increase()` extrapolates to fractions, and an instant's
//! value hides when it was scraped, what was reset between two looks, and that nothing is new.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::answer::{Envelope, MAX_SERIES, QueryResult, labels, lacks_data};
use crate::error::Error;

/// The samples of each series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Raw {
    pub series: Vec<RawSeries>,
    pub warnings: Vec<String>,
}

/// One series within the window; times rise, in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawSeries {
    /// With the metric's name, as `__name__`.
    pub labels: BTreeMap<String, String>,
    pub samples: Vec<(f64, f64)>,
    /// Native histograms.
    pub histograms: Vec<(f64, Native)>,
}

/// A native histogram at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Native {
    pub count: f64,
    /// Those that hold something: from, to, and how many; they do not overlap.
    pub buckets: Vec<(f64, f64, f64)>,
}

impl Raw {
    pub fn parse(body: &[u8]) -> Result<Raw, Error> {
        let Envelope {
            json,
            warnings,
            infos: _,
        } = Envelope::parse(body)?;
        let data = &json["data"];
        match data["resultType"].as_str() {
            Some("matrix") => {}
            None => return Err(Error::NoType),
            Some(other) => return Err(Error::NotSamples(other.to_owned())),
        }
        let all = data["result"].as_array().ok_or(Error::NoResults)?;
        if all.len() > MAX_SERIES {
            return Err(Error::TooManySeries {
                count: all.len(),
                limit: MAX_SERIES,
            });
        }
        Ok(Raw {
            series: all.iter().map(series).collect::<Result<_, _>>()?,
            warnings,
        })
    }

    /// An instant's values, as if they were scraped then.
    pub fn at(answer: QueryResult, at: f64) -> Raw {
        let series = answer.series.into_iter();
        let series = series.map(|one| RawSeries {
            labels: one.labels,
            samples: one.value.map(|value| (at, value)).into_iter().collect(),
            histograms: Vec::new(),
        });
        Raw {
            series: series.collect(),
            warnings: answer.warnings,
        }
    }

    /// The warning that a part of the data was not read.
    pub fn lacks_data(&self) -> Option<&str> {
        lacks_data(&self.warnings)
    }
}

fn series(series: &Value) -> Result<RawSeries, Error> {
    let list = |key: &str| series[key].as_array().into_iter().flatten();
    let mut samples = Vec::new();
    for pair in list("values") {
        samples.push((time(pair)?, number(&pair[1])?));
    }
    let mut histograms = Vec::new();
    for pair in list("histograms") {
        histograms.push((time(pair)?, native(&pair[1])?));
    }
    // Stores that merge replicas do not promise an order.
    samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    histograms.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(RawSeries {
        labels: labels(&series["metric"]),
        samples,
        histograms,
    })
}

fn time(pair: &Value) -> Result<f64, Error> {
    let time = pair[0].as_f64().filter(|time| time.is_finite());
    time.ok_or(Error::NoNumber)
}

/// Prometheus writes `+Inf` and `NaN`, which Rust reads as they are.
fn number(value: &Value) -> Result<f64, Error> {
    let number = value.as_str().and_then(|text| text.parse().ok());
    number.ok_or(Error::NoNumber)
}

/// A bucket is `[which bounds belong to it, from, to, count]`.
fn native(histogram: &Value) -> Result<Native, Error> {
    let buckets = histogram["buckets"].as_array().into_iter().flatten();
    let bucket = |bucket: &Value| {
        Ok((
            number(&bucket[1])?,
            number(&bucket[2])?,
            number(&bucket[3])?,
        ))
    };
    Ok(Native {
        count: number(&histogram["count"])?,
        buckets: buckets.map(bucket).collect::<Result<_, Error>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(data: &str) -> Result<Raw, Error> {
        Raw::parse(format!(r#"{{"status":"success","data":{data}}}"#).as_bytes())
    }

    #[test]
    fn samples_keep_their_times_and_come_in_their_order() {
        let raw = parse(
            r#"{"resultType":"matrix","result":[
                {"metric":{"__name__":"x","instance":"a"},"values":[[20.5,"7"],[10.5,"5"]]},
                {"metric":{},"histograms":[[10,{"count":"3","sum":"1","buckets":[[0,"0.5","1","2"],[0,"1","2","1"]]}]]}]}"#,
        )
        .unwrap_or_default();
        assert_eq!(raw.series[0].samples, [(10.5, 5.0), (20.5, 7.0)]);
        assert_eq!(raw.series[0].labels["instance"], "a");
        let native = Native {
            count: 3.0,
            buckets: vec![(0.5, 1.0, 2.0), (1.0, 2.0, 1.0)],
        };
        assert_eq!(raw.series[1].histograms, [(10.0, native)]);
    }

    #[test]
    fn what_is_no_list_of_samples_says_why() {
        for (data, reason) in [
            (
                r#"{"resultType":"vector","result":[]}"#,
                "an instant's values",
            ),
            (r#"{"resultType":"matrix"}"#, "no list of results"),
            (r#"{"result":[]}"#, "no type of result"),
            (
                r#"{"resultType":"matrix","result":[{"values":[[1,"x"]]}]}"#,
                "not a number",
            ),
            (
                r#"{"resultType":"matrix","result":[{"values":[[null,"1"]]}]}"#,
                "not a number",
            ),
            (
                r#"{"resultType":"matrix","result":[{"histograms":[[1,{}]]}]}"#,
                "not a number",
            ),
        ] {
            let error = parse(data).unwrap_err().to_string();
            assert!(error.contains(reason), "{data}: {error}");
        }
        let partial = Raw::parse(
            br#"{"status":"success","isPartial":true,"data":{"resultType":"matrix","result":[]}}"#,
        );
        assert!(partial.unwrap_or_default().lacks_data().is_some());
    }
}

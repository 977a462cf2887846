//! An answer of `/api/v1/query`, with all that libraries smooth over: warnings, the number of
//! series, what is not a number.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::Error;

/// More series than a question about a few things gives.
pub(crate) const MAX_SERIES: usize = 10_000;
const PARTIAL: &str = "the answer is partial: a part of the storage did not answer (`isPartial`)";

/// A good answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryResult {
    pub series: Vec<Series>,
    pub warnings: Vec<String>,
    /// The server's remarks about the query.
    pub infos: Vec<String>,
}

/// One series at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: BTreeMap<String, String>,
    /// `None` is a histogram.
    pub value: Option<f64>,
    /// Of which time the server says that it is, in seconds since 1970.
    pub at: Option<f64>,
}

impl QueryResult {
    pub fn parse(body: &[u8]) -> Result<QueryResult, Error> {
        let Envelope {
            json,
            warnings,
            infos,
        } = Envelope::parse(body)?;
        Ok(QueryResult {
            series: series(&json["data"])?,
            warnings,
            infos,
        })
    }

    /// The warning that a part of the data was not read.
    pub fn lacks_data(&self) -> Option<&str> {
        lacks_data(&self.warnings)
    }

    /// The one number of an answer that has one.
    pub fn number(&self) -> Option<f64> {
        match &self.series[..] {
            [one] => one.value,
            _ => None,
        }
    }
}

/// What is around the data of any answer.
pub(crate) struct Envelope {
    pub(crate) json: Value,
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

impl Envelope {
    /// An answer may come with a good status and say that there was an error.
    pub(crate) fn parse(body: &[u8]) -> Result<Envelope, Error> {
        let json: Value = serde_json::from_slice(body).map_err(|_| Error::NotJson)?;
        if json["status"] != "success" {
            return Err(Error::Refused(refusal(&json)));
        }
        let texts = |key: &str| {
            let all = json[key].as_array().into_iter().flatten();
            all.map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
                .collect()
        };
        let mut warnings: Vec<String> = texts("warnings");
        // VictoriaMetrics, where a storage node did not answer.
        if !matches!(json["isPartial"], Value::Null | Value::Bool(false)) {
            warnings.insert(0, PARTIAL.to_owned());
        }
        let infos = texts("infos");
        Ok(Envelope {
            json,
            warnings,
            infos,
        })
    }
}

/// The warning that a part of the data was not read; those of PromQL are about the query.
pub(crate) fn lacks_data(warnings: &[String]) -> Option<&str> {
    let mut all = warnings.iter().map(String::as_str);
    all.find(|warning| !warning.starts_with("PromQL"))
}

/// The server's own words for why it does not answer.
pub fn refusal(json: &Value) -> String {
    let text = json["error"].as_str().unwrap_or("no reason given");
    match json["errorType"].as_str() {
        Some(kind) => format!("{kind}: {text}"),
        None => text.to_owned(),
    }
}

fn series(data: &Value) -> Result<Vec<Series>, Error> {
    match data["resultType"].as_str() {
        Some("scalar") => Ok(vec![read_series(&Value::Null, &data["result"])?]),
        Some("vector") => {
            // Not "no data": this answer does not show which data exists.
            let all = data["result"].as_array();
            let all = all.ok_or(Error::NoResults)?;
            if all.len() > MAX_SERIES {
                return Err(Error::TooManySeries {
                    count: all.len(),
                    limit: MAX_SERIES,
                });
            }
            all.iter()
                .map(|series| {
                    // A native histogram has no value, and is not an error.
                    if series["histogram"].is_array() && series["value"].is_null() {
                        return Ok(Series {
                            labels: labels(&series["metric"]),
                            value: None,
                            at: series["histogram"][0].as_f64(),
                        });
                    }
                    read_series(&series["metric"], &series["value"])
                })
                .collect()
        }
        None => Err(Error::NoType),
        Some(other) => Err(Error::Type(other.to_owned())),
    }
}

fn read_series(metric: &Value, pair: &Value) -> Result<Series, Error> {
    // Prometheus writes `+Inf` and `NaN`, which Rust reads as they are.
    let value = pair[1].as_str().and_then(|text| text.parse().ok());
    Ok(Series {
        labels: labels(metric),
        value: Some(value.ok_or(Error::NoNumber)?),
        at: pair[0].as_f64(),
    })
}

pub(crate) fn labels(metric: &Value) -> BTreeMap<String, String> {
    let labels = metric.as_object().into_iter().flatten();
    labels
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(data: &str) -> Result<QueryResult, Error> {
        QueryResult::parse(format!(r#"{{"status":"success","data":{data}}}"#).as_bytes())
    }

    #[test]
    fn every_series_is_seen_with_its_labels() {
        let two = parse(
            r#"{"resultType":"vector","result":[
                {"metric":{"runner":"a"},"value":[1,"1"]},{"metric":{},"value":[1,"NaN"]},
                {"metric":{},"histogram":[1,{"count":"1"}]}]}"#,
        )
        .unwrap_or_default();
        assert_eq!(two.series.len(), 3);
        assert_eq!(two.series[0].labels["runner"], "a");
        assert_eq!(two.series[0].value, Some(1.0));
        assert!(two.series[1].value.is_some_and(f64::is_nan));
        assert_eq!(two.series[2].value, None);
        let scalar = parse(r#"{"resultType":"scalar","result":[1,"-Inf"]}"#);
        assert_eq!(scalar.unwrap_or_default().number(), Some(f64::NEG_INFINITY));
    }

    #[test]
    fn a_partial_answer_is_a_warning() {
        for (field, warns) in [
            ("true", true),
            ("1", true),
            ("false", false),
            ("null", false),
        ] {
            let body = format!(
                r#"{{"status":"success","isPartial":{field},"data":{{"resultType":"vector","result":[]}}}}"#
            );
            let answer = QueryResult::parse(body.as_bytes()).unwrap_or_default();
            assert_eq!(answer.warnings.len(), usize::from(warns), "{field}");
            assert_eq!(answer.lacks_data().is_some(), warns, "{field}");
        }
    }

    #[test]
    fn what_is_no_good_answer_says_why() {
        for (body, reason) in [
            ("<html>", "not JSON"),
            (
                r#"{"status":"error","errorType":"bad_data","error":"parse"}"#,
                "bad_data: parse",
            ),
            // A good status, data, and an error all the same.
            (
                r#"{"status":"error","error":"half","data":{"resultType":"vector","result":[]}}"#,
                "half",
            ),
            ("{}", "no reason given"),
            (r#"{"status":"success"}"#, "no type of result"),
            (
                r#"{"status":"success","data":{"resultType":"vector"}}"#,
                "no list of results (`data.result`)",
            ),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":null}}"#,
                "no list of results",
            ),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":{}}}"#,
                "no list of results",
            ),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
                "a matrix",
            ),
            (
                r#"{"status":"success","data":{"resultType":"string","result":[1,"a"]}}"#,
                "a string",
            ),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"x"]}]}}"#,
                "not a number",
            ),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[{}]}}"#,
                "not a number",
            ),
        ] {
            let error = QueryResult::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{body}: {error}");
        }
    }
}

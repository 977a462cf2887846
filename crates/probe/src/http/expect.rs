//! What an answer must be, in the order in which a person would look: status, headers, body,
//! time, certificate.

use std::collections::BTreeMap;
use std::time::Duration;

use config::value::{Filter, Pattern, Span, Statuses};
use model::Verdict;
use model::text::excerpt;
use net::budget;
use net::http::reply::{Certificate, Reply};

use crate::reading::Reading;

/// Conditions on an answer.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    pub(crate) status: Statuses,
    pub(crate) headers: BTreeMap<String, Pattern>,
    pub(crate) body_regex: Option<Pattern>,
    pub(crate) jq: Option<Filter>,
    pub(crate) max_latency: Option<Span>,
    pub(crate) min_days: Option<u32>,
}

impl Expect {
    pub(crate) fn describe(&self) -> String {
        format!("status {}", self.status)
    }

    fn needs_body(&self) -> bool {
        self.body_regex.is_some() || self.jq.is_some()
    }

    /// The body of `reply` is unpacked up to `max_body` where a condition looks at it; a filter
    /// has `time`.
    pub(crate) async fn judge(&self, reply: &mut Reply, max_body: u64, time: Duration) -> Reading {
        let fail = |expected: String, actual: String, reason: String| {
            Reading::unmet(Verdict::Fail, expected, actual, reason)
        };
        let actual = reply.describe_status();
        if !self.status.accept(reply.status) {
            return fail(self.describe(), actual.clone(), actual);
        }
        for (name, pattern) in &self.headers {
            let mut values = reply.headers.get_all(name.as_str()).iter().peekable();
            let first = values.peek().map(|value| excerpt(value.as_bytes()));
            if !values.any(|value| pattern.is_match(value.as_bytes())) {
                let expected = format!("header {name} matches `{}`", pattern.as_str());
                let actual = first.unwrap_or_else(|| "no such header".into());
                return fail(expected, actual.clone(), format!("header {name}: {actual}"));
            }
        }
        if self.needs_body()
            && let Err(error) = reply.unpack(max_body).await
        {
            let reason = error.to_string();
            return fail("a body that can be read".into(), reason.clone(), reason);
        }
        if let Some(pattern) = &self.body_regex
            && !pattern.is_match(&reply.body)
        {
            let expected = format!("body matches `{}`", pattern.as_str());
            let actual = format!("body {}", excerpt(&reply.body));
            return fail(expected, actual, "the body does not match".into());
        }
        if let Some(filter) = &self.jq
            && let Err((actual, reason)) = holds(filter, &reply.body, time).await
        {
            let expected = format!("jq `{}` is true", filter.as_str());
            return fail(expected, actual, reason);
        }
        if let Some(limit) = self.max_latency.map(Span::get)
            && reply.took > limit
        {
            let (actual, limit) = (reply.took.as_millis(), limit.as_millis());
            return fail(
                format!("answer within {limit}ms"),
                format!("{actual}ms"),
                format!("took {actual}ms > max-latency ({limit}ms)"),
            );
        }
        if let Some(days) = self.min_days {
            let (server, left) = match &reply.certificate {
                Some(Certificate { server, validity }) => match validity {
                    Ok(validity) => (server, validity.days_left(jiff::Timestamp::now())),
                    Err(problem) => {
                        return fail(
                            "a certificate".into(),
                            problem.to_string(),
                            problem.to_string(),
                        );
                    }
                },
                None => (&String::new(), 0),
            };
            if left < days {
                let whose = match &reply.redirected {
                    Some(_) => format!("the certificate of {server}"),
                    None => "the certificate".to_owned(),
                };
                let actual = format!("{left} days left");
                let reason = format!("{whose}: {left} days left, fewer than {days}");
                return fail(
                    format!("a certificate with {days} days left"),
                    actual,
                    reason,
                );
            }
        }
        Reading::pass(self.describe(), actual)
    }
}

/// Every value that a filter gives over a body, in its order.
pub(crate) async fn filtered(
    filter: &Filter,
    body: &[u8],
    time: Duration,
) -> Result<Vec<serde_json::Value>, jq::Error> {
    let _parsing = budget::parsing(body.len()).await;
    let (program, document) = (filter.jq().clone(), body.to_vec());
    tokio::task::spawn_blocking(move || program.all(&document, time))
        .await
        .unwrap_or_else(|error| Err(jq::Error::Failed(error.to_string())))
}

/// Whether a filter gives something, and nothing but true; else what was seen, and why that is no
/// pass.
async fn holds(filter: &Filter, body: &[u8], time: Duration) -> Result<(), (String, String)> {
    let values = match filtered(filter, body, time).await {
        Ok(values) => values,
        Err(error) => return Err((excerpt(body), error.to_string())),
    };
    let not_true = values.iter().position(|value| *value != true);
    let value = match not_true {
        None if !values.is_empty() => return Ok(()),
        None => "nothing".to_owned(),
        Some(nth) => {
            let value = excerpt(values[nth].to_string().as_bytes());
            match values.len() {
                1 => value,
                many => format!("{value} as value {} of {many}", nth + 1),
            }
        }
    };
    let actual = format!("{value} from {}", excerpt(body));
    Err((actual, format!("the jq condition gives {value}")))
}

//! How long to wait before a question is asked again, and when not to ask again.

use std::time::{Duration, Instant};

use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::Error;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(3);
/// A server that fails so often does not mean to answer.
const TRIES: u32 = 8;
/// A registry that cannot be reached seldom can a second later.
const TRANSPORT_TRIES: u32 = 3;

/// Retries until another try would not change the answer, or until the time is up; then the last
/// answer counts. `first` is an answer that exists already.
pub(crate) async fn persist(
    deadline: Instant,
    mut first: Option<Response>,
    once: impl AsyncFn() -> Result<Response, Error>,
) -> Result<Response, Error> {
    let mut tries = 0;
    loop {
        let result = match first.take() {
            Some(response) => Ok(response),
            None => once().await,
        };
        tries += 1;
        let wait = match &result {
            Ok(response) => match response.status().as_u16() {
                429 | 503 => retry_after(response.headers()).or(backoff(tries, TRIES)),
                500 | 502 | 504 => backoff(tries, TRIES),
                _ => None,
            },
            Err(Error::Transport { .. }) => backoff(tries, TRANSPORT_TRIES),
            Err(_) => None,
        };
        match wait {
            // What is left must also hold the answer.
            Some(wait) if Instant::now() + wait + FIRST < deadline => {
                tokio::time::sleep(wait).await;
            }
            _ => return result,
        }
    }
}

/// Full jitter: many jobs that failed together do not come back together.
fn backoff(tries: u32, most: u32) -> Option<Duration> {
    let ceiling = FIRST.saturating_mul(1 << tries.min(10)).min(LONGEST);
    (tries < most).then(|| ceiling.mul_f64(rand::random::<f64>()))
}

/// In seconds, or until a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()?;
    let wait = date.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wait(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_date() {
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
        let date = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(90);
        let text = jiff::fmt::rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&date)
            .unwrap();
        let told = wait(&text).unwrap();
        assert!((88..=90).contains(&told.as_secs()), "{told:?}");
        assert_eq!(wait("Sat, 01 Jan 2000 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(
            wait("99999999999999"),
            Some(Duration::from_secs(99_999_999_999_999))
        );
    }
}

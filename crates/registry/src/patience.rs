//! How long to wait before a question is asked again, and when not to ask again.

use std::time::{Duration, Instant};

use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::Error;

const FIRST_DELAY: Duration = Duration::from_millis(200);
const MAX_DELAY: Duration = Duration::from_secs(3);
/// A server that fails so often does not mean to answer.
const MAX_ATTEMPTS: u32 = 8;
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
                429 | 503 => retry_after(response.headers()).or(backoff(tries, MAX_ATTEMPTS)),
                500 | 502 | 504 => backoff(tries, MAX_ATTEMPTS),
                _ => None,
            },
            Err(Error::Transport { .. }) => backoff(tries, TRANSPORT_TRIES),
            Err(_) => None,
        };
        match wait {
            // What is left must also hold the answer.
            Some(wait) if Instant::now() + wait + FIRST_DELAY < deadline => {
                tokio::time::sleep(wait).await;
            }
            _ => return result,
        }
    }
}

/// Full jitter: many jobs that failed together do not come back together.
fn backoff(tries: u32, most: u32) -> Option<Duration> {
    let ceiling = FIRST_DELAY
        .saturating_mul(1 << tries.min(10))
        .min(MAX_DELAY);
    (tries < most).then(|| ceiling.mul_f64(rand::random::<f64>()))
}

/// What the server asks for.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    model::retry_after(text, jiff::Timestamp::now())
}

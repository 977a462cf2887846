//! One request to a service, and what its answer means for the next attempt.
//!
//! Addresses of webhooks are secrets, so no error names more of one than its host. Redirects are not followed: the
//! request would carry the secret elsewhere.

use std::time::{Duration, Instant};

use model::Redactor;
use model::text::excerpt;
use net::cause::plain_cause;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER, SERVER};
use reqwest::{Method, RequestBuilder, Response};
use url::Url;

use crate::{DeliveryError, DeliveryFailure};

/// A service says in a few bytes what it thinks of a request.
pub(crate) const MAX_BODY: usize = 64 << 10;
const CONNECT: Duration = Duration::from_secs(3);
/// And at once: an answer that never ends takes no more of the time that other deliveries need.
const BODY_TIME: Duration = Duration::from_secs(2);
/// More is not believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A client for one sink.
pub(crate) struct Web {
    client: reqwest::Client,
    /// What the service may repeat and no reader may see.
    redactor: Redactor,
}

/// The service's answer.
pub(crate) struct WebAnswer {
    pub(crate) status: u16,
    /// At most so many bytes as were wanted.
    pub(crate) body: Vec<u8>,
    /// Its end did not come, or not in time.
    pub(crate) is_cut: bool,
    after: Option<Duration>,
    redirect: Option<Redirect>,
    is_of_proxy: bool,
}

enum Redirect {
    Here,
    /// The other host, where it is a host.
    Elsewhere(Option<String>),
}

impl Web {
    pub(crate) fn new(redactor: Redactor) -> Result<Web, DeliveryError> {
        let client = net::client::trusting_builder()
            .connect_timeout(CONNECT)
            .build()
            .map_err(|error| {
                let reason = format!("no HTTP client can be made: {}", plain_cause(&error));
                DeliveryError::refused(reason, "is `ca-certificates` installed?")
            })?;
        Ok(Web { client, redactor })
    }

    pub(crate) fn post(&self, url: &Url) -> RequestBuilder {
        self.client.request(Method::POST, url.clone())
    }

    /// Sends it once, and reads the answer within the deadline.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        url: &Url,
        deadline: Instant,
        most: usize,
    ) -> Result<WebAnswer, DeliveryError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let host = host(url);
        if left.is_zero() {
            let reason = format!("{host} was not called: no time was left");
            return Err(DeliveryError::later(reason, None));
        }
        let sending = request.timeout(left).send();
        let Ok(sent) = tokio::time::timeout_at(deadline.into(), sending).await else {
            return Err(silent(&host, left));
        };
        let response = sent.map_err(|error| broken(&host, &error, left))?;
        let until = deadline.min(Instant::now() + BODY_TIME);
        Ok(read(url, response, most, until).await)
    }

    /// Sends a notice once; nothing is wanted of the answer but that the service took it. `wrong` as in
    /// [`Web::accepted`].
    pub(crate) async fn deliver(
        &self,
        request: RequestBuilder,
        url: &Url,
        deadline: Instant,
        wrong: &str,
    ) -> Result<(), DeliveryError> {
        let answer = self.send(request, url, deadline, MAX_BODY).await?;
        self.accepted(url, &answer, wrong)
    }

    /// Nothing, where the request was taken; else why not. `wrong` is the hint for a request that the service
    /// understands and refuses.
    pub(crate) fn accepted(
        &self,
        url: &Url,
        answer: &WebAnswer,
        wrong: &str,
    ) -> Result<(), DeliveryError> {
        let host = host(url);
        let status = answer.status;
        if answer.is_of_proxy {
            let reason = format!("the proxy on the way to {host} refuses (status {status})");
            return Err(DeliveryError::refused(
                reason,
                "check `HTTPS_PROXY` and `NO_PROXY`",
            ));
        }
        match status {
            200..=299 => Ok(()),
            300..=399 => Err(redirected(&host, answer)),
            425 | 429 => {
                let reason = format!("{host} answers status {status}");
                Err(DeliveryError::later(reason, answer.after))
            }
            // A gateway answers so when the service behind it was slow, and the service may have taken it.
            408 | 500.. => {
                let reason = format!("{host} answers status {status}");
                let after = answer.after;
                Err(DeliveryFailure::Unsure { reason, after }.into())
            }
            _ => {
                // It may repeat what it was sent.
                let said = self.redactor.redact(&excerpt(&answer.body));
                let reason = format!("{host} refuses it (status {status}): {said}");
                Err(DeliveryError::refused(reason, wrong))
            }
        }
    }
}

/// A server's name for a person: its host, and its port where it is not the usual one.
pub(crate) fn host(url: &Url) -> String {
    net::http::request::authority(url)
}

fn broken(host: &str, error: &reqwest::Error, left: Duration) -> DeliveryError {
    if error.is_connect() {
        let reason = format!("{host} could not be reached: {}", plain_cause(error));
        return DeliveryError::later(reason, None);
    }
    if error.is_builder() {
        let hint = "is the variable's value one URL, `https://…`, without a line break?";
        return DeliveryError::refused(format!("no request to {host} can be made"), hint);
    }
    if error.is_timeout() {
        return silent(host, left);
    }
    DeliveryError::unsure(format!("{host} broke off: {}", plain_cause(error)))
}

fn silent(host: &str, left: Duration) -> DeliveryError {
    let left = model::text::span(left);
    DeliveryError::unsure(format!("{host} did not answer within {left}"))
}

async fn read(url: &Url, mut response: Response, most: usize, until: Instant) -> WebAnswer {
    let headers = response.headers();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let status = response.status().as_u16();
    let mut answer = WebAnswer {
        status,
        body: Vec::new(),
        is_cut: false,
        after: wait(headers),
        redirect: redirect(url, text(LOCATION)),
        is_of_proxy: model::proxy::refuses(status, text(SERVER)),
    };
    // The status is known: what breaks off afterwards, or never ends, changes nothing of it.
    loop {
        let chunk = tokio::time::timeout_at(until.into(), response.chunk()).await;
        answer.is_cut = !matches!(chunk, Ok(Ok(_)));
        let Ok(Ok(Some(chunk))) = chunk else { break };
        let room = most - answer.body.len();
        answer.body.extend(chunk.iter().take(room));
        if chunk.len() >= room {
            break;
        }
    }
    answer
}

fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let wait = model::retry_after(text, jiff::Timestamp::now())?;
    Some(wait.min(LONGEST_WAIT))
}

fn redirect(url: &Url, location: Option<&str>) -> Option<Redirect> {
    let target = url.join(location?).ok();
    let is_here = target
        .as_ref()
        .is_some_and(|target| target.origin() == url.origin());
    Some(match target {
        Some(_) if is_here => Redirect::Here,
        target => Redirect::Elsewhere(target.filter(Url::has_host).map(|target| host(&target))),
    })
}

fn redirected(host: &str, answer: &WebAnswer) -> DeliveryError {
    let to = match &answer.redirect {
        Some(Redirect::Here) => "another of its paths",
        Some(Redirect::Elsewhere(Some(other))) => &format!("`{}`", excerpt(other.as_bytes())),
        Some(Redirect::Elsewhere(None)) | None => "no address",
    };
    let status = answer.status;
    let reason = format!("{host} redirects to {to} (status {status}), which is not followed");
    DeliveryError::refused(
        reason,
        "the request carries a secret; if the new address is right, store that one",
    )
}

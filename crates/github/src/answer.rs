//! GitHub's answers: how they are asked for, read within their limit, and what a bad one means.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::response::Parts;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use model::Secret;
use model::text::cut;

use crate::{Error, Needs, limit};

type Answer = http::Response<BoxBody<Bytes, octocrab::Error>>;

/// Attempts at one question, where the transport or a gateway fails.
const ATTEMPTS: u32 = 4;

/// A page of a hundred runners takes some 60 kB, one of a hundred workflow runs some 2 MB.
const MAX_BODY: usize = 8 << 20;
/// The form that GitHub recommends; the second for servers that only look like it.
pub(crate) fn json() -> HeaderValue {
    HeaderValue::from_static("application/vnd.github+json, application/json")
}

pub(crate) fn bearer(token: &Secret) -> Result<HeaderValue, Error> {
    // A line break at the end is how a secret is often stored.
    let text = format!("Bearer {}", token.expose().trim());
    let mut value = HeaderValue::from_str(&text).map_err(|_| Error::BadToken)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Asks until the transport and the gateways work, or the attempts are used up.
pub(crate) async fn again(
    ask: impl AsyncFn() -> Result<(Parts, Bytes), Error>,
) -> Result<(Parts, Bytes), Error> {
    let mut retries = 0;
    loop {
        let answer = ask().await;
        let passing = match &answer {
            Ok((head, _)) => matches!(head.status.as_u16(), 502..=504),
            Err(error) => matches!(error, Error::Unreachable { .. }),
        };
        if !passing || retries + 1 == ATTEMPTS {
            return answer;
        }
        tokio::time::sleep(limit::jitter(retries, rand::random())).await;
        retries += 1;
    }
}

/// The whole answer, within its limit. An error's truncated body is no worse than an empty one.
pub(crate) async fn read(answer: octocrab::Result<Answer>) -> Result<(Parts, Bytes), Error> {
    let answer = answer.map_err(|error| Error::Unreachable {
        reason: innermost(&error),
    })?;
    let (head, body) = answer.into_parts();
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok((head, body.to_bytes())),
        Err(_) if head.status != 200 => Ok((head, Bytes::new())),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::Malformed {
            reason: format!("it is larger than {} MiB", MAX_BODY >> 20),
        }),
        Err(error) => Err(Error::Unreachable {
            reason: format!("the answer broke off: {}", innermost(error.as_ref())),
        }),
    }
}

pub(crate) fn refusal(head: &Parts, body: &[u8], needs: Needs, waits: u32) -> Error {
    let status = head.status.as_u16();
    let now = jiff::Timestamp::now();
    if let Some(wait) = limit::wait(status, &head.headers, body, waits, now.as_second()) {
        let at = now.checked_add(wait).unwrap_or(now);
        let at = jiff::Timestamp::from_second(at.as_second()).unwrap_or(at);
        return Error::RateLimited { wait, at };
    }
    let server = head.headers.get(http::header::SERVER);
    let server = server.and_then(|value| value.to_str().ok());
    match status {
        _ if model::proxy::refuses(status, server) => Error::Proxy { status },
        401 => Error::BadToken,
        403 | 404 => Error::NoPermission {
            status,
            needs,
            says: missing(&head.headers),
        },
        _ => Error::Server { status },
    }
}

/// GitHub's own words for what is wrong, bounded.
pub(crate) fn words(body: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = json["message"].as_str().unwrap_or("no reason is given");
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    cut(&text.chars().map(printable).collect::<String>(), 300)
}

/// What GitHub says that the token lacks ("Troubleshooting the REST API").
fn missing(headers: &HeaderMap) -> Option<String> {
    let get = |name| headers.get(name)?.to_str().ok();
    let mut says = Vec::new();
    if get("x-github-sso").is_some_and(|value| value.starts_with("required")) {
        says.push("it must be authorized for the organisation's single sign-on".to_owned());
    }
    if let Some(text) = get("x-accepted-github-permissions").filter(|text| !text.is_empty()) {
        says.push(format!("it takes {}", cut(text, 200)));
    }
    (!says.is_empty()).then(|| says.join(", and "))
}

/// The innermost cause: outer ones hold the URL.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

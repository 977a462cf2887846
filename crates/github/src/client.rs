//! Bounded requests to the REST API, on octocrab.

use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use octocrab::Octocrab;
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use crate::Error;

/// A page of a hundred runners takes some 60 kB.
const MAX_BODY: usize = 8 << 20;
/// A renamed repository takes one.
const REDIRECTS: usize = 3;

/// Asks one API with one token.
#[derive(Clone, Debug)]
pub struct Client {
    octocrab: Octocrab,
    base: String,
    has_token: bool,
    timeout: Duration,
}

impl Client {
    /// `api_url` is `https://api.github.com` or `https://HOST/api/v3`. `timeout` bounds each
    /// request. Must be called within a runtime.
    pub fn new(
        api_url: &str,
        token: Option<SecretString>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let unusable = |reason: String| Error::Unreachable { reason };
        let base = api_url.trim_end_matches('/').to_owned();
        let has_token = token.is_some();
        let mut builder = Octocrab::builder()
            .base_uri(format!("{base}/"))
            .map_err(|error| unusable(format!("`{api_url}`: {error}")))?
            .set_connect_timeout(Some(timeout))
            .set_read_timeout(Some(timeout));
        if let Some(token) = token {
            builder = builder.personal_token(token);
        }
        let octocrab = builder
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Client {
            octocrab,
            base,
            has_token,
            timeout,
        })
    }

    pub(crate) fn has_token(&self) -> bool {
        self.has_token
    }

    /// One JSON document. `permission` is what a refusal means.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        permission: &'static str,
    ) -> Result<T, Error> {
        let asking = self.ask(path, permission);
        match tokio::time::timeout(self.timeout, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Unreachable {
                reason: format!("no answer within {} ms", self.timeout.as_millis()),
            }),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        permission: &'static str,
    ) -> Result<T, Error> {
        // The whole URL: a path alone would lose the `/api/v3` of a GHES.
        let mut url = format!("{}{path}", self.base);
        for _ in 0..=REDIRECTS {
            let response = self
                .octocrab
                ._get(&url)
                .await
                .map_err(|error| Error::Unreachable {
                    reason: innermost(&error),
                })?;
            let (head, body) = response.into_parts();
            if matches!(head.status.as_u16(), 301 | 302 | 307 | 308) {
                url = self.moved(&url, &head.headers)?;
                continue;
            }
            let body = Limited::new(body, MAX_BODY).collect().await;
            if head.status != 200 {
                let body = body.map(http_body_util::Collected::to_bytes);
                return Err(refusal(&head, &body.unwrap_or_default(), permission));
            }
            let body = body.map_err(|error| Error::Malformed {
                reason: error.to_string(),
            })?;
            return serde_json::from_slice(&body.to_bytes()).map_err(|error| Error::Malformed {
                reason: error.to_string(),
            });
        }
        Err(Error::Malformed {
            reason: format!("more than {REDIRECTS} redirects in a row"),
        })
    }

    /// Where a renamed repository is now. The token goes along, so the host must be the same.
    fn moved(&self, from: &str, headers: &http::HeaderMap) -> Result<String, Error> {
        let malformed = |reason: &str| Error::Malformed {
            reason: format!("a redirect {reason}"),
        };
        let target = headers
            .get(http::header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| malformed("to nowhere"))?;
        let parse = |url: &str| url::Url::parse(url).map_err(|_| malformed("that is no URL"));
        let next = parse(from)?
            .join(target)
            .map_err(|_| malformed("that is no URL"))?;
        if next.origin() != parse(&self.base)?.origin() {
            return Err(malformed("to another host"));
        }
        Ok(next.into())
    }
}

/// Rate limits come as 403 or 429; the primary one with its headers, the secondary one perhaps
/// with nothing but its message. Any other 403 is a permission (docs: "Rate limits for the REST
/// API").
fn refusal(head: &http::response::Parts, body: &[u8], permission: &'static str) -> Error {
    let status = head.status.as_u16();
    let number = |name: &str| head.headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let retry_after = number("retry-after").map(Duration::from_secs);
    let said = String::from_utf8_lossy(body).to_lowercase();
    let limited = number("x-ratelimit-remaining") == Some(0)
        || retry_after.is_some()
        || said.contains("rate limit");
    match status {
        429 => Error::RateLimited { retry_after },
        403 if limited => Error::RateLimited { retry_after },
        401 => Error::BadToken,
        403 | 404 => Error::NoPermission { status, permission },
        _ => Error::Server { status },
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

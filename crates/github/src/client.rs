//! Bounded requests to the REST API, on octocrab.

use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use octocrab::Octocrab;
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use crate::Error;

/// A page of a hundred runners takes some 60 kB.
const MAX_BODY: usize = 8 << 20;

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
        let response = self
            .octocrab
            ._get(format!("{}{path}", self.base))
            .await
            .map_err(|error| Error::Unreachable {
                reason: innermost(&error),
            })?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(refusal(status, response.headers(), permission));
        }
        let body = Limited::new(response.into_body(), MAX_BODY)
            .collect()
            .await
            .map_err(|error| Error::Malformed {
                reason: error.to_string(),
            })?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| Error::Malformed {
            reason: error.to_string(),
        })
    }
}

/// Rate limits come as 403 or 429 with their headers; a 403 without them is a permission
/// (docs: "Rate limits for the REST API").
fn refusal(status: u16, headers: &http::HeaderMap, permission: &'static str) -> Error {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let retry_after = number("retry-after").map(Duration::from_secs);
    let used_up = number("x-ratelimit-remaining") == Some(0);
    match status {
        429 => Error::RateLimited { retry_after },
        403 if used_up || retry_after.is_some() => Error::RateLimited { retry_after },
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

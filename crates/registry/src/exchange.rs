//! Requests to one registry about one repository: authorization, redirects, retries.

use std::time::Instant;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio_rustls::rustls;
use url::Url;

use crate::patience::{persist, retry_after};
use crate::{Credentials, Error, Reference, Unusable, challenge, token};
use model::text::cut;

const REDIRECTS: usize = 5;
/// The registry's own words are shown up to here.
const DETAIL: usize = 200;

/// Why a question ends without the answer it wanted.
pub(crate) enum Stop {
    /// 401 or 403: we are not allowed to know.
    Denied {
        status: u16,
        detail: String,
    },
    /// 404.
    Absent,
    /// What is there is no image.
    Unusable(Unusable),
    Failed(Error),
}

impl Stop {
    pub(crate) fn denied(status: u16, detail: &str) -> Stop {
        Stop::Denied {
            status,
            detail: detail.to_owned(),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

/// Whether a registry is spoken to with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    Plain,
    Tls,
    /// Its first answer tells.
    Unknown,
}

pub(crate) struct Exchange<'a> {
    pub(crate) http: &'a reqwest::Client,
    pub(crate) reference: &'a Reference,
    pub(crate) credentials: Option<&'a Credentials>,
    /// `…/v2/REPOSITORY/`.
    pub(crate) base: Url,
    pub(crate) speech: Speech,
    pub(crate) deadline: Instant,
    pub(crate) authorization: Option<SecretString>,
}

impl Exchange<'_> {
    pub(crate) fn host(&self) -> String {
        self.reference.host().to_owned()
    }

    /// One address below the repository's.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Error> {
        self.base.join(path).map_err(|error| Error::Setup {
            reason: error.to_string(),
        })
    }

    /// Asks, and meets the challenge where there is one. 401 and 403 stop; what is neither 200 nor
    /// listed in `also` does too.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        url: &Url,
        accept: &str,
        also: &[StatusCode],
    ) -> Result<Response, Stop> {
        let first = if self.speech == Speech::Unknown {
            self.settle(&method, url, accept).await
        } else {
            None
        };
        let url = &self.spoken(url);
        let mut response = self.send(&method, url, accept, first).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.authorization.is_none() {
            if !same_origin(response.url(), &self.base) {
                // Whoever the registry points to could name itself as the token service.
                let other = response.url().authority();
                let detail = format!("it leads to {other}, which wants credentials and gets none");
                return Err(Stop::denied(401, &detail));
            }
            let Some(challenge) = challenge::choose(response.headers()) else {
                return Err(Stop::denied(401, &words(response).await));
            };
            self.authorization = Some(self.authorize(challenge).await?);
            response = self.send(&method, url, accept, None).await?;
        }
        let status = response.status();
        if status == StatusCode::OK || also.contains(&status) {
            return Ok(response);
        }
        let (host, status) = (self.host(), status.as_u16());
        Err(match status {
            404 => Stop::Absent,
            401 | 403 => Stop::denied(status, &words(response).await),
            429 => Stop::Failed(Error::RateLimited {
                host,
                retry_after: retry_after(response.headers()),
            }),
            500.. => Stop::Failed(Error::Server {
                host,
                status,
                detail: words(response).await,
            }),
            status => Stop::Failed(Error::Unexpected {
                host,
                status,
                detail: words(response).await,
            }),
        })
    }

    /// Asks without TLS first: a server with TLS refuses that at once, and the other way round a
    /// plain server may wait for the rest of a line. An answer that was got on the way.
    async fn settle(&mut self, method: &Method, url: &Url, accept: &str) -> Option<Response> {
        self.speech = Speech::Plain;
        let plain = self.follow(method, url, accept).await;
        let refused = match &plain {
            Ok(response) => response.status() == StatusCode::BAD_REQUEST,
            Err(error) => matches!(
                error,
                Error::Transport {
                    connected: true,
                    ..
                }
            ),
        };
        if !refused {
            return plain.ok();
        }
        let mut base = self.base.clone();
        base.set_scheme("https").ok()?;
        let base = std::mem::replace(&mut self.base, base);
        self.speech = Speech::Tls;
        match self.follow(method, &self.spoken(url), accept).await {
            Ok(response) => Some(response),
            // It has a certificate, if none that is trusted: that is what the next try tells.
            Err(Error::Untrusted { .. }) => None,
            Err(_) => {
                self.base = base;
                self.speech = Speech::Plain;
                plain.ok()
            }
        }
    }

    /// An address of the registry under the scheme that it speaks.
    fn spoken(&self, url: &Url) -> Url {
        let mut spoken = url.clone();
        if url.host() == self.base.host() {
            let _ = spoken.set_scheme(self.base.scheme());
        }
        spoken
    }

    async fn send(
        &self,
        method: &Method,
        url: &Url,
        accept: &str,
        first: Option<Response>,
    ) -> Result<Response, Error> {
        persist(self.deadline, first, || self.follow(method, url, accept)).await
    }

    /// One request, its redirects followed.
    async fn follow(&self, method: &Method, url: &Url, accept: &str) -> Result<Response, Error> {
        let host = self.host();
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = self
                .http
                .request(method.clone(), url.clone())
                .header(ACCEPT, accept);
            // Credentials are for the registry itself and for nobody it points to.
            if same_origin(&url, &self.base)
                && let Some(authorization) = &self.authorization
            {
                request = request.header(AUTHORIZATION, sensitive(authorization)?);
            }
            let response = request
                .send()
                .await
                .map_err(|error| transport(&url, &error))?;
            let target = header(response.headers(), LOCATION.as_str());
            match (response.status().as_u16(), target) {
                (301 | 302 | 303 | 307 | 308, Some(target)) => {
                    let next = url.join(&target).map_err(|error| Error::Redirect {
                        host: host.clone(),
                        reason: error.to_string(),
                    })?;
                    let weaker = url.scheme() == "https" && next.scheme() != "https";
                    if weaker || !matches!(next.scheme(), "http" | "https") {
                        let reason = format!("it leads to `{}`", next.scheme());
                        return Err(Error::Redirect { host, reason });
                    }
                    url = next;
                }
                _ => return Ok(response),
            }
        }
        Err(Error::Redirect {
            host,
            reason: format!("more than {REDIRECTS} in a row"),
        })
    }
}

pub(crate) async fn read(
    mut response: Response,
    limit: usize,
    host: &str,
    what: &'static str,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let url = response.url().clone();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| transport(&url, &error))?
    {
        if bytes.len() + chunk.len() > limit {
            return Err(Error::TooLarge {
                host: host.to_owned(),
                what,
                limit,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The registry's own words: `errors[0].message` of the protocol.
pub(crate) async fn words(response: Response) -> String {
    let bytes = read(response, token::LIMIT, "", "error")
        .await
        .unwrap_or_default();
    let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let error = &said["errors"][0];
    let text = error["message"]
        .as_str()
        .or(error["code"].as_str())
        .or(said["details"].as_str());
    cut(text.unwrap_or("no reason given"), DETAIL)
}

pub(crate) fn sensitive(authorization: &SecretString) -> Result<HeaderValue, Error> {
    let mut value =
        HeaderValue::from_str(authorization.expose_secret()).map_err(|_| Error::Setup {
            reason: "the credentials hold a control character".to_owned(),
        })?;
    value.set_sensitive(true);
    Ok(value)
}

pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// The innermost cause, without the URL, which may hold a token.
pub(crate) fn transport(url: &Url, error: &reqwest::Error) -> Error {
    let host = url.authority().to_owned();
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(rustls::Error::InvalidCertificate(why)) = cause.downcast_ref() {
            return Error::Untrusted {
                host,
                reason: why.to_string(),
            };
        }
        match within(cause) {
            Some(source) => cause = source,
            None => break,
        }
    }
    Error::Transport {
        host,
        reason: cause.to_string(),
        connected: !error.is_connect(),
    }
}

/// What an error is made of: one of I/O hides what it was made from behind the source of that.
fn within<'e>(
    cause: &'e (dyn std::error::Error + 'static),
) -> Option<&'e (dyn std::error::Error + 'static)> {
    let io = cause.downcast_ref::<std::io::Error>();
    match io.and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => cause.source(),
    }
}

pub(crate) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

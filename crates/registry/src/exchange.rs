//! Requests to one registry about one repository: authorization, redirects, retries.

use std::time::Instant;

use model::Secret;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, LOCATION};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use crate::patience::{persist, retry_after};
use crate::query_error::QueryError;
use crate::response::{error_message, sensitive, transport};
use crate::token::TokenService;
use crate::{Credentials, Error, Reference, challenge};

const REDIRECTS: usize = 5;

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
    pub(crate) authorization: Option<Secret>,
}

impl Exchange<'_> {
    pub(crate) fn host(&self) -> String {
        self.reference.host().to_owned()
    }

    fn token_service(&self) -> TokenService<'_> {
        TokenService {
            http: self.http,
            reference: self.reference,
            credentials: self.credentials,
            registry: &self.base,
            deadline: self.deadline,
        }
    }

    /// One address below the repository's.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Error> {
        self.base.join(path).map_err(|error| Error::Setup {
            reason: error.to_string(),
        })
    }

    /// Asks, and meets the challenge where there is one. 401 and 403 stop; what is neither 200 nor
    /// listed in `also` does too.
    pub(crate) async fn send_request(
        &mut self,
        method: Method,
        url: &Url,
        accept: &str,
        also: &[StatusCode],
    ) -> Result<Response, QueryError> {
        let first = if self.speech == Speech::Unknown {
            self.settle(&method, url, accept).await
        } else {
            None
        };
        let url = &self.spoken(url);
        let mut response = self.send(&method, url, accept, first).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.authorization.is_none() {
            if !same_origin(response.url(), &self.base) {
                // A server that the registry redirects to could name itself as the token service.
                let other = response.url().authority();
                let detail = format!("it leads to {other}, which wants credentials and gets none");
                return Err(QueryError::denied(401, &detail));
            }
            let Some(challenge) = challenge::choose(response.headers()) else {
                return Err(QueryError::denied(401, &error_message(response).await));
            };
            self.authorization = Some(self.token_service().authorize(challenge).await?);
            response = self.send(&method, url, accept, None).await?;
        }
        let status = response.status();
        if status == StatusCode::OK || also.contains(&status) {
            return Ok(response);
        }
        let (host, status) = (self.host(), status.as_u16());
        Err(match status {
            404 => QueryError::Absent,
            401 | 403 => QueryError::denied(status, &error_message(response).await),
            429 => QueryError::Failed(Error::RateLimited {
                host,
                retry_after: retry_after(response.headers()),
            }),
            500.. => QueryError::Failed(Error::Server {
                host,
                status,
                detail: error_message(response).await,
            }),
            status => QueryError::Failed(Error::Unexpected {
                host,
                status,
                detail: error_message(response).await,
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
            // Credentials are for the registry itself, not for a server that it redirects to.
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

pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

pub(crate) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

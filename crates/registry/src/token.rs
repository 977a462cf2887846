//! Meeting a registry's challenge: a password, or a token of its token service.

use std::time::Instant;

use model::Secret;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::challenge::Challenge;
use crate::patience::{persist, retry_after};
use crate::query_error::QueryError;
use crate::response::{MAX_TOKEN_BYTES, error_message, read, sensitive, transport};
use crate::{Credentials, Error, Reference};

/// What a challenge is met with.
pub(crate) struct TokenService<'a> {
    pub(crate) http: &'a reqwest::Client,
    pub(crate) reference: &'a Reference,
    pub(crate) credentials: Option<&'a Credentials>,
    pub(crate) registry: &'a Url,
    pub(crate) deadline: Instant,
}

/// Where to get a token, and its scope.
struct Service<'a> {
    url: Url,
    name: Option<&'a str>,
    scope: String,
}

impl TokenService<'_> {
    /// What to send after a challenge; stops where nothing we have can meet it.
    pub(crate) async fn authorize(&self, challenge: Challenge) -> Result<Secret, QueryError> {
        let Challenge::Bearer {
            realm,
            service,
            scope,
        } = challenge
        else {
            let denied = |detail: &str| QueryError::denied(401, detail);
            return match self.credentials {
                None => Err(denied("it wants a user name and a password")),
                Some(credentials) => credentials
                    .basic()
                    .ok_or_else(|| denied("it wants a user name and a password, not a token")),
            };
        };
        let scope =
            scope.unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository()));
        let url = Url::parse(&realm).map_err(|error| self.no_token(format!("`realm`: {error}")))?;
        // A password travels unencrypted only where the registry itself is spoken to so.
        let allowed =
            url.scheme() == "https" || url.scheme() == "http" && self.registry.scheme() == "http";
        if !allowed {
            return Err(self
                .no_token(format!("its token service is `{}`", url.scheme()))
                .into());
        }
        self.token(Service {
            url,
            name: service.as_deref(),
            scope,
        })
        .await
    }

    async fn token(&self, service: Service<'_>) -> Result<Secret, QueryError> {
        let response = persist(self.deadline, None, || async {
            let request = self.request_token(&service)?;
            request
                .send()
                .await
                .map_err(|error| transport(&service.url, &error))
        })
        .await?;
        match response.status().as_u16() {
            200 => {}
            status @ (401 | 403) => {
                let detail = format!("its token service: {}", error_message(response).await);
                return Err(QueryError::denied(status, &detail));
            }
            429 => {
                return Err(Error::RateLimited {
                    host: self.host().to_owned(),
                    retry_after: retry_after(response.headers()),
                }
                .into());
            }
            status => {
                return Err(self
                    .no_token(format!("its token service answers status {status}"))
                    .into());
            }
        }
        let bytes = read(response, MAX_TOKEN_BYTES, self.host(), "token").await?;
        let answer: Value = serde_json::from_slice(&bytes)
            .map_err(|_| self.no_token("its token service does not answer JSON".to_owned()))?;
        let token = answer["token"].as_str().or(answer["access_token"].as_str());
        let token = token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| self.no_token("its token service gives no token".to_owned()))?;
        Ok(Secret::from(format!("Bearer {token}")))
    }

    /// Docker's way with a user name, OAuth2's with a refresh token.
    fn request_token(&self, service: &Service<'_>) -> Result<reqwest::RequestBuilder, Error> {
        let Service { url, name, scope } = service;
        if let Some(Credentials::Identity(refresh)) = self.credentials {
            let body = Serializer::new(String::new())
                .append_pair("grant_type", "refresh_token")
                .append_pair("client_id", "deploy-guard")
                .append_pair("service", name.unwrap_or_default())
                .append_pair("scope", scope)
                .append_pair("refresh_token", refresh.expose())
                .finish();
            let form = "application/x-www-form-urlencoded";
            return Ok(self
                .http
                .post(url.clone())
                .header(CONTENT_TYPE, form)
                .body(body));
        }
        let mut url = url.clone();
        if let Some(name) = name {
            url.query_pairs_mut().append_pair("service", name);
        }
        url.query_pairs_mut().append_pair("scope", scope);
        let request = self.http.get(url);
        Ok(match self.credentials.and_then(Credentials::basic) {
            Some(basic) => request.header(AUTHORIZATION, sensitive(&basic)?),
            None => request,
        })
    }

    fn host(&self) -> &str {
        self.reference.host()
    }

    fn no_token(&self, reason: String) -> Error {
        Error::Token {
            host: self.host().to_owned(),
            reason,
        }
    }
}

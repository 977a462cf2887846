//! Bounded requests to the REST API, on octocrab over reqwest.
//!
//! A read may be retried: after a transport error or a 502, 503 or 504 with growing random pauses,
//! and after a rate limit at the time that it names, as long as there is time. Nothing else is
//! retried, and a request that changes something is sent once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, IF_NONE_MATCH};
use http::response::Parts;
use model::Secret;
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use serde::de::DeserializeOwned;

use crate::answer::{again, bearer, innermost, json, read, refusal, words};
use crate::app::App;
use crate::ledger::Ledger;
use crate::{Access, Credentials, Error, Needs};

/// A renamed repository takes one.
const REDIRECTS: usize = 3;
/// The most that the API gives at once.
const PER_PAGE: usize = 100;
/// 10,000 entries; a larger answer is not believed.
const PAGES: u32 = 100;

/// What is left of the time after a wait must suffice to ask.
const MARGIN: Duration = Duration::from_millis(500);

const USER_AGENT: &str = concat!("deploy-guard/", env!("CARGO_PKG_VERSION"));

/// Asks one API as one identity. Clones share the tokens that an app made.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    octocrab: Octocrab,
    /// The same connections, for what is kept elsewhere and shown without a token.
    http: reqwest::Client,
    base: String,
    access: Access,
    identity: Identity,
    ledger: Ledger,
}

enum Identity {
    Anonymous,
    Token(Secret),
    App(Box<App>),
}

/// What the API says of something that it keeps on another server.
pub(crate) enum StoredElsewhere {
    At(url::Url),
    /// A server that only looks like GitHub gives it at once.
    Here(Bytes),
    /// Status 404 or 410.
    Not(u16),
}

/// All pages of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Entries that GitHub counts and does not show.
    pub unlisted: u64,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.0.base)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Must be called within a runtime.
    pub fn new(access: Access) -> Result<Self, Error> {
        let base = access.api_url.trim_end_matches('/').to_owned();
        let unusable = |reason: String| Error::Unreachable { reason };
        // Redirects are followed here, because this code knows the server of the token.
        let http = reqwest::Client::builder()
            .proxy(reqwest::Proxy::custom(|url| {
                model::proxy::of_process(url.scheme(), url.host_str(), url.port_or_known_default())
            }))
            .user_agent(USER_AGENT)
            .connect_timeout(access.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| unusable(innermost(&error)))?;
        url::Url::parse(&base).map_err(|error| unusable(format!("`{base}`: {error}")))?;
        let Ok(octocrab) = OctocrabBuilder::new_empty()
            .with_service(ReqwestConnector::new(http.clone()))
            .with_auth(AuthState::None)
            .build();
        let identity = match &access.credentials {
            Credentials::None => Identity::Anonymous,
            Credentials::Token(token) => Identity::Token(token.clone()),
            Credentials::App {
                id,
                key,
                installation,
            } => Identity::App(Box::new(App::new(
                octocrab.clone(),
                id,
                key,
                *installation,
            )?)),
        };
        Ok(Client(Arc::new(Inner {
            octocrab,
            http,
            base,
            access,
            identity,
            ledger: Ledger::default(),
        })))
    }

    /// Whether anything is shown to GitHub.
    pub fn has_token(&self) -> bool {
        !matches!(self.0.identity, Identity::Anonymous)
    }

    /// When waiting ends.
    pub fn until(&self) -> Instant {
        self.0.access.until
    }

    /// Requests so far that count against the rate limit.
    pub fn spent(&self) -> u64 {
        self.0.ledger.spent()
    }

    /// How long to pause between two polls of `each` such requests, for another `time`: the pause
    /// that is `wanted`, or a longer one if the rate limit requires it.
    pub fn pause(&self, wanted: Duration, each: u64, time: Duration) -> Duration {
        self.0.ledger.pause(wanted, each, time)
    }

    /// One JSON document. `path` begins with a slash; `needs` is what a refusal means.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, needs: Needs) -> Result<T, Error> {
        Ok(self.get_with_headers(path, needs).await?.0)
    }

    /// One JSON document, and the headers that came with it.
    pub async fn get_with_headers<T: DeserializeOwned>(
        &self,
        path: &str,
        needs: Needs,
    ) -> Result<(T, HeaderMap), Error> {
        let (headers, body) = self.wait_and_fetch(path, needs).await?;
        let value = serde_json::from_slice(&body).map_err(|error| Error::Malformed {
            reason: error.to_string(),
        })?;
        Ok((value, headers))
    }

    /// All pages of a list under `key`, or of one that is the whole answer. `path` may have a
    /// query. `total_count` is trusted if it is given.
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        key: Option<&str>,
        needs: Needs,
    ) -> Result<List<T>, Error> {
        let malformed = |reason: String| Error::Malformed { reason };
        let sign = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        for number in 1..=PAGES {
            let page = format!("{path}{sign}per_page={PER_PAGE}&page={number}");
            let mut answer: serde_json::Value = self.get(&page, needs).await?;
            let total = answer["total_count"].as_u64();
            let entries = match key {
                Some(key) => answer[key].take(),
                None => answer,
            };
            let entries: Vec<T> =
                serde_json::from_value(entries).map_err(|error| malformed(error.to_string()))?;
            let shown = entries.len();
            items.extend(entries);
            let seen = items.len() as u64;
            let last = match total {
                Some(total) => shown == 0 || seen >= total,
                None => shown < PER_PAGE,
            };
            if last {
                let unlisted = total.unwrap_or_default().saturating_sub(seen);
                return Ok(List { items, unlisted });
            }
        }
        Err(malformed(format!(
            "more than {PAGES} pages to {}",
            needs.to
        )))
    }

    /// Changes something; sent once, because the effect of a request without an answer is unknown.
    /// A redirect is followed: a server that redirects has changed nothing.
    pub(crate) async fn post(
        &self,
        path: &str,
        question: &serde_json::Value,
        needs: Needs,
    ) -> Result<Bytes, Error> {
        self.change(http::Method::POST, path, question, needs).await
    }

    /// Whether the token may make something there: asked by a request that GitHub refuses as incomplete once it has looked at
    /// the permission. Nothing is made.
    ///
    /// # Errors
    /// Returns why it may not, or why that is not known.
    pub(crate) async fn may_post(&self, path: &str, needs: Needs) -> Result<(), Error> {
        match self.post(path, &serde_json::json!({}), needs).await {
            Err(Error::Invalid { .. }) => Ok(()),
            Ok(_) => Err(Error::Malformed {
                reason: "it took a request without content".to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    /// The same, of a part of something that is there.
    pub(crate) async fn patch(
        &self,
        path: &str,
        question: &serde_json::Value,
        needs: Needs,
    ) -> Result<Bytes, Error> {
        self.change(http::Method::PATCH, path, question, needs)
            .await
    }

    async fn change(
        &self,
        method: http::Method,
        path: &str,
        question: &serde_json::Value,
        needs: Needs,
    ) -> Result<Bytes, Error> {
        let sending = async {
            let mut url = format!("{}{path}", self.0.base);
            for _ in 0..=REDIRECTS {
                let mut request = http::Request::builder().method(method.clone()).uri(&url);
                if let Some(headers) = request.headers_mut() {
                    *headers = self.headers(path).await?;
                }
                let octocrab = &self.0.octocrab;
                let request = octocrab.build_request(request, Some(question));
                let answer = async { octocrab.execute(request?).await };
                let (head, body) = read(answer.await).await?;
                if matches!(head.status.as_u16(), 307 | 308) {
                    url = self.moved(&url, &head.headers)?;
                    continue;
                }
                return Ok((head, body));
            }
            Err(Error::Malformed {
                reason: format!("more than {REDIRECTS} redirects in a row"),
            })
        };
        let timeout = self.0.access.timeout;
        let sent = tokio::time::timeout(timeout, sending).await;
        let (head, body) = sent.unwrap_or_else(|_| {
            Err(Error::Unreachable {
                reason: format!("no answer within {}", model::text::duration(timeout)),
            })
        })?;
        let status = head.status.as_u16();
        self.0.ledger.count(status, &head.headers);
        match status {
            200..=299 => Ok(body),
            400 | 422 => Err(Error::Invalid {
                status,
                message: words(&body),
            }),
            _ => Err(refusal(&head, &body, needs, 0)),
        }
    }

    /// One question; waits for a rate limit if it ends in time.
    async fn wait_and_fetch(&self, path: &str, needs: Needs) -> Result<(HeaderMap, Bytes), Error> {
        self.wait_and_ask(async |waits| self.fetch(path, needs, waits).await)
            .await
    }

    /// Asks, and asks again after a rate limit if that ends in time. The question is told how often
    /// it was waited for.
    async fn wait_and_ask<T>(
        &self,
        ask: impl AsyncFn(u32) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let access = &self.0.access;
        let mut waits = 0;
        loop {
            let answer = tokio::time::timeout(access.timeout, ask(waits))
                .await
                .unwrap_or_else(|_| {
                    Err(Error::Unreachable {
                        reason: format!(
                            "no answer within {}",
                            model::text::duration(access.timeout)
                        ),
                    })
                });
            match answer {
                Err(Error::RateLimited { wait, .. })
                    if Instant::now() + wait + MARGIN < access.until =>
                {
                    tokio::time::sleep(wait).await;
                    waits += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Where GitHub keeps something elsewhere; or its answer where that is no redirect and may be
    /// understood (404, 410).
    pub(crate) async fn kept_at(&self, path: &str, needs: Needs) -> Result<StoredElsewhere, Error> {
        self.wait_and_ask(async |waits| {
            let headers = self.headers(path).await?;
            let (head, body) =
                again(async || self.once_until(path, &headers, &[302]).await).await?;
            let status = head.status.as_u16();
            self.0.ledger.count(status, &head.headers);
            match status {
                302 => Ok(StoredElsewhere::At(self.elsewhere(path, &head.headers)?)),
                200 => Ok(StoredElsewhere::Here(body)),
                404 | 410 => Ok(StoredElsewhere::Not(status)),
                _ => Err(refusal(&head, &body, needs, waits)),
            }
        })
        .await
    }

    /// Asks a server that is not the API's, without a token. Further redirects are not followed.
    pub(crate) async fn ask_elsewhere(
        &self,
        url: &url::Url,
        range: Option<String>,
    ) -> Result<reqwest::Response, Error> {
        let mut request = self.0.http.get(url.clone());
        if let Some(range) = range {
            request = request.header(http::header::RANGE, range);
        }
        // The address has a signature in it, which is shown nowhere.
        let answer = request.send().await.map_err(|error| Error::Unreachable {
            reason: innermost(&error.without_url()),
        })?;
        Ok(answer)
    }

    /// Bounds one question.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.access.timeout
    }

    /// Where a redirect leads to that the token does not go along to. It must be as well protected as
    /// the API is.
    fn elsewhere(&self, path: &str, headers: &HeaderMap) -> Result<url::Url, Error> {
        let malformed = |reason: &str| Error::Malformed {
            reason: format!("a redirect {reason}"),
        };
        let target = headers
            .get(http::header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| malformed("to nowhere"))?;
        let from = url::Url::parse(&format!("{}{path}", self.0.base));
        let from = from.map_err(|_| malformed("from no URL"))?;
        let url = from
            .join(target)
            .map_err(|_| malformed("that is not a URL"))?;
        let is_safe = url.scheme() == "https" || url.scheme() == "http" && from.scheme() == "http";
        let is_plain = url.username().is_empty() && url.password().is_none();
        if is_safe && is_plain && url.has_host() {
            return Ok(url);
        }
        Err(malformed("to an address that is not allowed"))
    }

    /// One question with its retries.
    async fn fetch(
        &self,
        path: &str,
        needs: Needs,
        waits: u32,
    ) -> Result<(HeaderMap, Bytes), Error> {
        let ledger = &self.0.ledger;
        let mut headers = self.headers(path).await?;
        headers.extend(ledger.etag(path).map(|etag| (IF_NONE_MATCH, etag)));
        let (head, body) = again(async || self.once(path, &headers).await).await?;
        let status = head.status.as_u16();
        ledger.count(status, &head.headers);
        match status {
            200 => {
                ledger.keep(path, &head.headers, &body);
                Ok((head.headers, body))
            }
            304 => ledger.same(path).ok_or(Error::Server { status }),
            _ => Err(refusal(&head, &body, needs, waits)),
        }
    }

    /// One attempt, its redirects followed.
    async fn once(&self, path: &str, headers: &HeaderMap) -> Result<(Parts, Bytes), Error> {
        self.once_until(path, headers, &[]).await
    }

    /// One attempt, its redirects followed but for those of such a status.
    async fn once_until(
        &self,
        path: &str,
        headers: &HeaderMap,
        kept: &[u16],
    ) -> Result<(Parts, Bytes), Error> {
        // The whole URL: a path alone would lose the `/api/v3` of a GHES.
        let mut url = format!("{}{path}", self.0.base);
        for _ in 0..=REDIRECTS {
            let headers = Some(headers.clone());
            let answer = read(self.0.octocrab._get_with_headers(&url, headers).await).await?;
            let status = answer.0.status.as_u16();
            if !matches!(status, 301 | 302 | 307 | 308) || kept.contains(&status) {
                return Ok(answer);
            }
            url = self.moved(&url, &answer.0.headers)?;
        }
        Err(Error::Malformed {
            reason: format!("more than {REDIRECTS} redirects in a row"),
        })
    }

    async fn headers(&self, path: &str) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, json())]);
        let token = match &self.0.identity {
            Identity::Anonymous => return Ok(headers),
            Identity::Token(token) => token.clone(),
            Identity::App(app) => app.token(path, &self.0.access).await?,
        };
        headers.insert(AUTHORIZATION, bearer(&token)?);
        Ok(headers)
    }

    /// Where a renamed repository is now. The token goes along, so the host must be the same.
    fn moved(&self, from: &str, headers: &HeaderMap) -> Result<String, Error> {
        let malformed = |reason: &str| Error::Malformed {
            reason: format!("a redirect {reason}"),
        };
        let target = headers
            .get(http::header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| malformed("to nowhere"))?;
        let parse = |url: &str| url::Url::parse(url).map_err(|_| malformed("that is not a URL"));
        let next = parse(from)?
            .join(target)
            .map_err(|_| malformed("that is not a URL"))?;
        if next.origin() != parse(&self.0.base)?.origin() {
            return Err(malformed("to another host"));
        }
        Ok(next.into())
    }
}

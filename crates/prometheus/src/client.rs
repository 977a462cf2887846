//! Queries a Prometheus server, or a compatible one: a query at an instant, its targets.
//!
//! The server only reports on the service: if it does not answer, that is an error and not a
//! verdict on the service. Proxies of the environment are honoured.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use config::file::PrometheusAccess;
use jiff::{SignedDuration, Timestamp};
use model::{Env, Secret, evidence};
use net::body::{self, Body};
use net::budget::{self, Share};
use net::tls::Settings;
use reqwest::RequestBuilder;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio_rustls::rustls::ClientConfig;
use url::Url;

use crate::answer::{QueryResult, Series, refusal};
use crate::error::Error;
use crate::raw::Raw;

/// A few numbers are small; this leaves room for labels and warnings.
const MAX_BODY: u64 = 4 << 20;
/// Histograms of many instances, with a few samples of each bucket.
const MAX_RAW: u64 = 16 << 20;
/// The list of a large server's targets.
const MAX_TARGETS: u64 = 16 << 20;
/// Longer queries are sent as a form: proxies and servers cut long addresses.
const MAX_GET_QUERY_BYTES: usize = 1500;
/// Clocks that differ by no more than this, beyond what an answer's time leaves open, agree.
const AGREE: SignedDuration = SignedDuration::from_secs(2);

/// One series at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// A server with its connections' settings.
pub struct Client {
    base: Url,
    http: reqwest::Client,
    login: Login,
    /// How far the server's clock is ahead of ours, by the `Date` of its answers. Samples carry
    /// the server's time: by ours, an old one may look fresh.
    ahead: Mutex<SignedDuration>,
}

impl Client {
    /// `server` is the base URL, with its path prefix.
    pub fn new(server: &str, access: Option<&PrometheusAccess>, env: &Env) -> Result<Self, Error> {
        let mut base = Url::parse(server)?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        base.set_query(None);
        let mut login = Login::Anonymous;
        let mut builder = net::client::builder();
        if let Some(access) = access {
            builder = secured(builder, access)?.default_headers(headers(access)?);
            login = Login::of(access, env)?;
        }
        let http = builder
            .build()
            .map_err(|error| Error::Client(Arc::new(error)))?;
        Ok(Client {
            base,
            http,
            login,
            ahead: Mutex::default(),
        })
    }

    /// How far the server's clock is ahead of ours, according to its answers; zero if they agree
    /// within seconds.
    pub fn ahead(&self) -> SignedDuration {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server's time.
    pub fn server_time(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.ahead()).unwrap_or(now)
    }

    /// Learns the server's time from an answer between these two moments of ours. A `Date` is of a
    /// whole second.
    fn learn(&self, headers: &HeaderMap, sent: Timestamp, received: Timestamp) {
        let date = headers.get(DATE).and_then(|value| value.to_str().ok());
        let parser = jiff::fmt::rfc2822::DateTimeParser::new();
        let Some(date) = date.and_then(|text| parser.parse_timestamp(text).ok()) else {
            return;
        };
        let least = date.duration_since(received) - AGREE;
        let most = date.duration_since(sent) + SignedDuration::from_secs(1) + AGREE;
        let fits = |ahead: SignedDuration| least <= ahead && ahead <= most;
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if fits(*ahead) {
            return;
        }
        *ahead = if fits(SignedDuration::ZERO) {
            SignedDuration::ZERO
        } else {
            date.duration_since(received) + SignedDuration::from_millis(500)
        };
    }

    /// Every series of a query's answer, now by the server's clock. A value that is not a number is an error.
    pub async fn samples(&self, query: &str, timeout: Duration) -> Result<Vec<Sample>, Error> {
        let asked = tokio::time::timeout(timeout, self.query(query, None));
        let (answer, _) = asked.await.map_err(|_| Error::Late(timeout))??;
        // A part of the series does not show that the others are gone.
        if let Some(warning) = answer.warnings.into_iter().next() {
            return Err(Error::Warning(warning));
        }
        let sample = |series: Series| {
            Ok(Sample {
                labels: series.labels,
                value: series.value.ok_or(Error::Histogram)?,
            })
        };
        answer.series.into_iter().map(sample).collect()
    }

    /// A query at one instant, and the answer's head.
    pub async fn instant(
        &self,
        query: &str,
        at: Timestamp,
    ) -> Result<(QueryResult, String), Error> {
        self.query(query, Some(at)).await
    }

    /// The samples of a selector's series as they were scraped, within `window` before an instant.
    pub async fn raw(&self, selector: &str, window: Duration, at: Timestamp) -> Result<Raw, Error> {
        let query = format!("{selector}[{}ms]", window.as_millis().max(1));
        let (body, head, _share) = self.get(&query, Some(at), MAX_RAW).await?;
        let _parsing = budget::parsing(body.len()).await;
        Raw::parse(&body).map_err(|error| error.answered(head))
    }

    /// The server's time, asked of it.
    pub async fn time(&self) -> Result<Timestamp, Error> {
        let (answer, head) = self.query("time()", None).await?;
        let time = answer.number().and_then(|seconds| {
            let since = SignedDuration::try_from_secs_f64(seconds).ok()?;
            Timestamp::from_duration(since).ok()
        });
        time.ok_or_else(|| Error::NoNumber.answered(head))
    }

    async fn query(
        &self,
        query: &str,
        at: Option<Timestamp>,
    ) -> Result<(QueryResult, String), Error> {
        let (body, head, _share) = self.get(query, at, MAX_BODY).await?;
        let _parsing = budget::parsing(body.len()).await;
        match QueryResult::parse(&body) {
            Ok(answer) => Ok((answer, head)),
            Err(error) => Err(error.answered(head)),
        }
    }

    async fn get(
        &self,
        query: &str,
        at: Option<Timestamp>,
        limit: u64,
    ) -> Result<(Vec<u8>, String, Share), Error> {
        let url = self.at("api/v1/query")?;
        let at = at.map(|at| ("time", format!("{at:.3}")));
        let at = at.iter().map(|(name, at)| (*name, at.as_str()));
        let pairs: Vec<(&str, &str)> = std::iter::once(("query", query)).chain(at).collect();
        let request = if query.len() > MAX_GET_QUERY_BYTES {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            self.http
                .post(url)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.extend_pairs(pairs).finish())
        } else {
            let mut url = url;
            url.query_pairs_mut().extend_pairs(pairs);
            self.http.get(url)
        };
        self.send_request(request, limit).await
    }

    /// The targets that the server scrapes.
    pub async fn targets(&self) -> Result<Value, Error> {
        let mut url = self.at("api/v1/targets")?;
        url.query_pairs_mut().append_pair("state", "active");
        let (body, _, _share) = self.send_request(self.http.get(url), MAX_TARGETS).await?;
        let _parsing = budget::parsing(body.len()).await;
        serde_json::from_slice(&body).map_err(|_| Error::NotJson)
    }

    pub fn base(&self) -> &Url {
        &self.base
    }

    fn at(&self, path: &str) -> Result<Url, Error> {
        Ok(self.base.join(path)?)
    }

    /// The body, the answer's head, and the body's share of memory.
    async fn send_request(
        &self,
        request: RequestBuilder,
        limit: u64,
    ) -> Result<(Vec<u8>, String, Share), Error> {
        let sent = Timestamp::now();
        let response = self
            .login
            .authenticate(request)
            .send()
            .await
            .map_err(|error| Error::NoAnswer {
                server: self.base.clone(),
                cause: Arc::new(error),
            })?;
        self.learn(response.headers(), sent, Timestamp::now());
        let status = response.status();
        let (body, share) = match body::read(response, limit).await {
            Body::Whole(body, share) => (body, share),
            Body::TooLarge => return Err(Error::TooLarge(limit)),
            Body::Broken(reason) => return Err(Error::BrokeOff(reason)),
        };
        let mut head = format!("HTTP {}\n\n", status.as_u16()).into_bytes();
        head.extend_from_slice(&body[..body.len().min(evidence::LIMIT * 2)]);
        let head = evidence::head(&head);
        if status.is_success() {
            return Ok((body, head, share));
        }
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let said = json.filter(|json| json["error"].is_string());
        let refused = Error::Status {
            status: status.as_u16(),
            said: said.as_ref().map(refusal),
            server: self.base.clone(),
        };
        Err(refused.answered(head))
    }
}

fn variable<'e>(env: &'e Env, name: &str) -> Result<&'e str, Error> {
    env.non_empty(name)
        .ok_or_else(|| Error::Unset(name.to_owned()))
}

/// Who we are, in each request.
#[derive(Default)]
enum Login {
    #[default]
    Anonymous,
    User(String, Secret),
    Token(Secret),
}

impl Login {
    fn of(access: &PrometheusAccess, env: &Env) -> Result<Login, Error> {
        if let Some(name) = &access.token_env {
            return Ok(Login::Token(variable(env, name)?.trim().into()));
        }
        let Some(user) = &access.username else {
            return Ok(Login::Anonymous);
        };
        let password = access.password_env.as_deref();
        let password = password.map_or(Ok(""), |name| variable(env, name))?;
        Ok(Login::User(user.clone(), password.into()))
    }

    fn authenticate(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Login::Anonymous => request,
            Login::User(user, password) => request.basic_auth(user, Some(password.expose())),
            Login::Token(token) => request.bearer_auth(token.expose()),
        }
    }
}

fn headers(access: &PrometheusAccess) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    if let Some(tenant) = &access.tenant {
        let value = HeaderValue::from_str(tenant).map_err(|_| Error::Tenant(tenant.clone()))?;
        headers.insert(HeaderName::from_static("x-scope-orgid"), value);
    }
    Ok(headers)
}

fn secured(
    builder: reqwest::ClientBuilder,
    access: &PrometheusAccess,
) -> Result<reqwest::ClientBuilder, Error> {
    if access.ca_file.is_none() && access.client_certificate.is_none() {
        return Ok(builder);
    }
    let settings = Settings {
        ca_file: access.ca_file.clone(),
        certificate: access.client_certificate.clone(),
        protocols: &["h2", "http/1.1"],
        ..Settings::default()
    };
    let config = settings.config()?;
    Ok(builder.tls_backend_preconfigured(ClientConfig::clone(&config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client::new("http://x", None, &Env::default()).unwrap_or_else(|why| panic!("{why}"))
    }

    /// What a client knows after an answer with this `Date`, that took from 100 s to `received`.
    fn learned(client: &Client, date: &str, received: i64) -> f64 {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(date);
        headers.insert(DATE, value.unwrap_or_else(|why| panic!("{why}")));
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        client.learn(&headers, at(100), at(received));
        client.ahead().as_secs_f64()
    }

    #[test]
    fn the_servers_clock_is_known_by_the_date_of_its_answers() {
        let date = |seconds: i64| {
            let (minutes, seconds) = (seconds / 60, seconds % 60);
            format!("Thu, 01 Jan 1970 00:{minutes:02}:{seconds:02} GMT")
        };
        for (server, received, ahead) in [
            // Within what a whole second and a slow answer leave open.
            (100, 100, 0.0),
            (102, 100, 0.0),
            (98, 100, 0.0),
            (100, 130, 0.0),
            (130, 130, 0.0),
            // Minutes ahead, and behind.
            (340, 100, 240.5),
            (10, 100, -89.5),
        ] {
            let told = learned(&client(), &date(server), received);
            assert!((told - ahead).abs() < 0.01, "{server} {received}: {told}");
        }
        let known = client();
        learned(&known, &date(340), 100);
        // What is known is kept while answers fit, and given up when the clock was set.
        assert!((learned(&known, &date(341), 100) - 240.5).abs() < 0.01);
        assert!(learned(&known, &date(100), 100).abs() < 0.01);
        assert!(learned(&client(), "yesterday", 100).abs() < 0.01);
    }
}

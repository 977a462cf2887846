//! Asks a Prometheus server, or what speaks like one: a query at an instant, its targets.
//!
//! The server is somebody we ask about the service: that it does not answer is an error, and no
//! verdict on the service. Proxies of the environment are honoured.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use config::file::PrometheusAccess;
use jiff::{SignedDuration, Timestamp};
use model::{Env, evidence};
use net::USER_AGENT;
use net::body::{self, Body};
use net::budget::{self, Share};
use net::cause::plain_cause;
use net::tls::Settings;
use reqwest::RequestBuilder;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio_rustls::rustls::ClientConfig;
use url::Url;

use crate::answer::{Answer, Series, refusal};

/// A few numbers are small; this leaves room for labels and warnings.
const MAX_BODY: u64 = 4 << 20;
/// The list of a large server's targets.
const MAX_TARGETS: u64 = 16 << 20;
/// Longer queries are sent as a form: proxies and servers cut long addresses.
const LONG: usize = 1500;
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

/// Why there is no answer, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The server read the query and did not want it.
    pub refused: bool,
    pub reason: String,
    /// Unless the query itself is to blame.
    pub hint: Option<String>,
    pub evidence: Option<String>,
}

impl Trouble {
    pub fn plain(reason: impl Into<String>) -> Self {
        Trouble {
            refused: false,
            reason: reason.into(),
            hint: None,
            evidence: None,
        }
    }
}

impl Client {
    /// `server` is the base URL, with its path prefix.
    pub fn new(server: &str, access: Option<&PrometheusAccess>, env: &Env) -> Result<Self, String> {
        let mut base = Url::parse(server).map_err(|error| error.to_string())?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        base.set_query(None);
        let mut login = Login::Nobody;
        let mut builder = reqwest::Client::builder()
            .proxy(reqwest::Proxy::custom(|url| {
                model::proxy::of_process(url.scheme(), url.host_str(), url.port_or_known_default())
            }))
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(access) = access {
            builder = secured(builder, access)?.default_headers(headers(access)?);
            login = Login::of(access, env)?;
        }
        let http = builder.build().map_err(|error| plain_cause(&error))?;
        Ok(Client {
            base,
            http,
            login,
            ahead: Mutex::default(),
        })
    }

    /// How far the server's clock is ahead of ours, as far as its answers told; zero where they
    /// agree within seconds.
    pub fn ahead(&self) -> SignedDuration {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server's time.
    pub fn now(&self) -> Timestamp {
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

    /// Every series of a query's answer, now by the server's clock. What is no number is an error.
    pub async fn samples(&self, query: &str, timeout: Duration) -> Result<Vec<Sample>, String> {
        let asked = tokio::time::timeout(timeout, self.query(query, None));
        let (answer, _) = asked
            .await
            .map_err(|_| format!("no complete answer within {} ms", timeout.as_millis()))?
            .map_err(|trouble| trouble.reason)?;
        // A part of the series is no basis to say that the others are gone.
        if let Some(warning) = answer.warnings.first() {
            return Err(format!("Prometheus warns: {warning}"));
        }
        let sample = |series: Series| {
            Ok(Sample {
                labels: series.labels,
                value: series.value.ok_or("the result is a histogram, no number")?,
            })
        };
        answer.series.into_iter().map(sample).collect()
    }

    /// A query at one instant, and the answer's head.
    pub async fn instant(&self, query: &str, at: Timestamp) -> Result<(Answer, String), Trouble> {
        self.query(query, Some(at)).await
    }

    async fn query(&self, query: &str, at: Option<Timestamp>) -> Result<(Answer, String), Trouble> {
        let url = self.at("api/v1/query")?;
        let at = at.map(|at| ("time", format!("{at:.3}")));
        let at = at.iter().map(|(name, at)| (*name, at.as_str()));
        let pairs: Vec<(&str, &str)> = std::iter::once(("query", query)).chain(at).collect();
        let request = if query.len() > LONG {
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
        let (body, head, _share) = self.ask(request, MAX_BODY).await?;
        let _parsing = budget::parsing(body.len()).await;
        match Answer::parse(&body) {
            Ok(answer) => Ok((answer, head)),
            Err(reason) => Err(Trouble {
                evidence: Some(head),
                ..Trouble::plain(reason)
            }),
        }
    }

    /// The targets that the server scrapes.
    pub async fn targets(&self) -> Result<Value, Trouble> {
        let mut url = self.at("api/v1/targets")?;
        url.query_pairs_mut().append_pair("state", "active");
        let (body, _, _share) = self.ask(self.http.get(url), MAX_TARGETS).await?;
        let _parsing = budget::parsing(body.len()).await;
        serde_json::from_slice(&body).map_err(|_| Trouble::plain("the answer is not JSON"))
    }

    pub fn base(&self) -> &Url {
        &self.base
    }

    fn at(&self, path: &str) -> Result<Url, Trouble> {
        self.base
            .join(path)
            .map_err(|error| Trouble::plain(error.to_string()))
    }

    /// The body, the answer's head, and the body's share of memory.
    async fn ask(
        &self,
        request: RequestBuilder,
        limit: u64,
    ) -> Result<(Vec<u8>, String, Share), Trouble> {
        let sent = Timestamp::now();
        let response = self
            .login
            .shown(request)
            .send()
            .await
            .map_err(|error| Trouble {
                hint: Some(format!(
                    "check that Prometheus answers: `curl {}-/ready`",
                    shown(&self.base)
                )),
                ..Trouble::plain(plain_cause(&error))
            })?;
        self.learn(response.headers(), sent, Timestamp::now());
        let status = response.status();
        let (body, share) = match body::read(response, limit).await {
            Body::Whole(body, share) => (body, share),
            Body::TooLarge => {
                return Err(Trouble::plain(format!(
                    "the answer is larger than {limit} bytes"
                )));
            }
            Body::Broken(reason) => {
                return Err(Trouble::plain(format!("the answer broke off: {reason}")));
            }
        };
        let mut head = format!("HTTP {}\n\n", status.as_u16()).into_bytes();
        head.extend_from_slice(&body[..body.len().min(evidence::LIMIT * 2)]);
        let head = evidence::head(&head);
        if status.is_success() {
            return Ok((body, head, share));
        }
        Err(Trouble {
            evidence: Some(head),
            ..self.refused(status.as_u16(), &body)
        })
    }

    /// 400, 422 and 503 carry their reason in JSON; the others come from whoever stands before.
    fn refused(&self, status: u16, body: &[u8]) -> Trouble {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let said = json.filter(|json| json["error"].is_string());
        let reason = match said {
            Some(json) => format!("{} (status {status})", refusal(&json)),
            None => format!("Prometheus answers status {status}"),
        };
        let hint = match status {
            401 | 403 => Some(
                "check `access`: who we are to Prometheus (`username`, `token-env`, \
                 `client-certificate`), and for which `tenant`"
                    .to_owned(),
            ),
            404 => Some(format!(
                "is the path prefix right? `{}` is asked; Mimir and Cortex answer below \
                 `/prometheus`",
                shown(&self.base)
            )),
            407 => Some("check the user and the password in the proxy's address".to_owned()),
            _ => None,
        };
        Trouble {
            refused: matches!(status, 400 | 422),
            hint,
            ..Trouble::plain(reason)
        }
    }
}

/// Without a user and a password.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Fails only for addresses that have no host, which are not asked.
    let _ = (url.set_username(""), url.set_password(None));
    url.to_string()
}

fn variable<'e>(env: &'e Env, name: &str) -> Result<&'e str, String> {
    env.non_empty(name)
        .ok_or_else(|| format!("the variable `{name}` is not set"))
}

/// Who we are, in each request.
#[derive(Default)]
enum Login {
    #[default]
    Nobody,
    User(String, String),
    Token(String),
}

impl Login {
    fn of(access: &PrometheusAccess, env: &Env) -> Result<Login, String> {
        if let Some(name) = &access.token_env {
            return Ok(Login::Token(variable(env, name)?.trim().to_owned()));
        }
        let Some(user) = &access.username else {
            return Ok(Login::Nobody);
        };
        let password = access.password_env.as_deref();
        let password = password.map_or(Ok(""), |name| variable(env, name))?;
        Ok(Login::User(user.clone(), password.to_owned()))
    }

    fn shown(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Login::Nobody => request,
            Login::User(user, password) => request.basic_auth(user, Some(password)),
            Login::Token(token) => request.bearer_auth(token),
        }
    }
}

fn headers(access: &PrometheusAccess) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    if let Some(tenant) = &access.tenant {
        let value = HeaderValue::from_str(tenant)
            .map_err(|_| format!("the tenant `{tenant}` cannot be sent"))?;
        headers.insert(HeaderName::from_static("x-scope-orgid"), value);
    }
    Ok(headers)
}

fn secured(
    builder: reqwest::ClientBuilder,
    access: &PrometheusAccess,
) -> Result<reqwest::ClientBuilder, String> {
    if access.ca_file.is_none() && access.client_certificate.is_none() {
        return Ok(builder);
    }
    let settings = Settings {
        ca_file: access.ca_file.clone(),
        certificate: access.client_certificate.clone(),
        protocols: &["h2", "http/1.1"],
        ..Settings::default()
    };
    let config = settings
        .config()
        .map_err(|problem| problem.reason().to_owned())?;
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

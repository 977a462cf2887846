//! An HTTP endpoint, asked once on every address of its name.
//!
//! What does not answer is a failure here: this is the thing under test, and its users see the
//! same. Redirects are not followed (a 3xx is an answer), the body is read to its end within its
//! limit, and each measurement opens a fresh connection, as a new user would.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use config::file::HttpProbe;
use model::Verdict;
use reqwest::header::HeaderMap;
use url::Url;

use crate::addresses::{Place, REFUSED, late};
use crate::body::{self, Body};
use crate::connect::{End, Route};
use crate::kinds::{Measuring, Probe};
use crate::release::{Answer, Identity, identify};
use crate::{Reading, USER_AGENT, plain_cause, proxy, shown};

/// One HTTP probe with its connections' settings.
pub struct Http {
    probe: HttpProbe,
    url: Url,
    headers: HeaderMap,
    clients: Mutex<HashMap<Option<SocketAddr>, reqwest::Client>>,
}

/// What one address answered.
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    took: Duration,
}

impl Reply {
    fn evidence(&self) -> String {
        let mut head = format!("status {}\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
        }
        head.push(b'\n');
        head.extend(&self.body[..self.body.len().min(model::evidence::LIMIT * 2)]);
        model::evidence::head(&head)
    }
}

impl Http {
    pub fn new(probe: HttpProbe) -> Result<Self, String> {
        let url = parse(&probe.url)?;
        if let Some(text) = probe
            .release
            .as_ref()
            .and_then(|release| release.url.as_deref())
        {
            parse(text)?;
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &probe.headers {
            let name: reqwest::header::HeaderName = name
                .parse()
                .map_err(|_| format!("`{name}` is no header name"))?;
            let mut value = reqwest::header::HeaderValue::from_str(value)
                .map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Http {
            probe,
            url,
            headers,
            clients: Mutex::default(),
        })
    }

    async fn one_address(&self, address: Option<SocketAddr>, release: Option<&str>) -> Reading {
        let reply = match self.get(&self.url, address).await {
            Ok(reply) => reply,
            Err((value, reason)) => {
                // Whoever stands between is only somebody whom we ask.
                let verdict = if value == PROXY {
                    Verdict::Error
                } else {
                    Verdict::Fail
                };
                return Reading::not(verdict, self.expected(), reason.clone(), reason).value(value);
            }
        };
        let evidence = reply.evidence();
        let reading = self.judge(&reply).await.value(reply.status.to_string());
        let mut reading = match release {
            // Also of an answer that failed: whose it is tells more than anything else.
            Some(release) => self.judge_release(reading, reply, address, release).await,
            None => reading,
        };
        reading.evidence = Some(evidence);
        reading
    }

    async fn get(&self, url: &Url, address: Option<SocketAddr>) -> Result<Reply, (String, String)> {
        let client = self
            .client(url, address)
            .map_err(|error| ("error".to_owned(), plain_cause(&error)))?;
        let started = Instant::now();
        let response = client
            .get(url.clone())
            .headers(self.headers.clone())
            .send()
            .await
            .map_err(|error| {
                let cause = plain_cause(&error);
                if address.is_none() && error.is_connect() {
                    return (PROXY.to_owned(), format!("through the proxy: {cause}"));
                }
                let value = if error.is_connect() && cause == REFUSED {
                    REFUSED
                } else {
                    "error"
                };
                (value.to_owned(), cause)
            })?;
        let status = response.status().as_u16();
        if address.is_none() && status == 407 {
            let reason = "the proxy wants other credentials (status 407)";
            return Err((PROXY.to_owned(), reason.to_owned()));
        }
        let headers = response.headers().clone();
        match body::read(response, self.probe.max_body.get()).await {
            Body::Whole(body) => Ok(Reply {
                status,
                headers,
                body,
                took: started.elapsed(),
            }),
            Body::TooLarge => Err((
                status.to_string(),
                format!("the body is larger than max-body ({})", self.probe.max_body),
            )),
            Body::Broken(reason) => {
                Err((status.to_string(), format!("the body broke off: {reason}")))
            }
        }
    }

    /// A client that connects to this address, whatever the name resolves to; or to the proxy.
    fn client(&self, url: &Url, address: Option<SocketAddr>) -> reqwest::Result<reqwest::Client> {
        let port = url.port_or_known_default().unwrap_or(80);
        let address = address.map(|address| SocketAddr::new(address.ip(), port));
        let mut clients = self
            .clients
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(client) = clients.get(&address) {
            return Ok(client.clone());
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0);
        if let (Some(host), Some(address)) = (url.host_str(), address) {
            builder = builder.resolve(host, address);
        }
        if url.scheme() == "http" && address.is_some() {
            // Reading the system's certificates takes longer than the whole measurement.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build()?;
        clients.insert(address, client.clone());
        Ok(client)
    }

    fn expected(&self) -> String {
        match self.probe.status.as_slice() {
            [] => "status 200 to 299".to_owned(),
            [one] => format!("status {one}"),
            several => {
                let several: Vec<_> = several.iter().map(u16::to_string).collect();
                format!("status {}", several.join(" or "))
            }
        }
    }

    /// The conditions in the order in which a person would look: status, headers, body, time.
    async fn judge(&self, reply: &Reply) -> Reading {
        let HttpProbe {
            name: _,
            url: _,
            status,
            headers: _,
            expect_headers,
            body_regex,
            jq,
            max_latency,
            max_body: _,
            release: _,
            addresses: _,
            policy: _,
            severity: _,
        } = &self.probe;
        let fail = |expected: String, actual: String, reason: String| {
            Reading::not(Verdict::Fail, expected, actual, reason)
        };
        let accepted = match status.as_slice() {
            [] => (200..300).contains(&reply.status),
            listed => listed.contains(&reply.status),
        };
        if !accepted {
            let actual = format!("status {}", reply.status);
            return fail(self.expected(), actual.clone(), actual);
        }
        for (name, pattern) in expect_headers {
            let actual = reply
                .headers
                .get(name)
                .map(reqwest::header::HeaderValue::as_bytes);
            if !actual.is_some_and(|value| pattern.is_match(value)) {
                let expected = format!("header {name} matches `{}`", pattern.as_str());
                let actual = actual.map_or("no such header".into(), shown);
                return fail(expected, actual.clone(), format!("header {name}: {actual}"));
            }
        }
        if let Some(pattern) = body_regex
            && !pattern.is_match(&reply.body)
        {
            let expected = format!("body matches `{}`", pattern.as_str());
            return fail(
                expected,
                format!("body {}", shown(&reply.body)),
                "the body does not match".into(),
            );
        }
        if let Some(filter) = jq {
            let expected = format!("jq `{}` is true", filter.as_str());
            let (filter, body) = (filter.jq().clone(), reply.body.clone());
            let result =
                tokio::task::spawn_blocking(move || filter.first(&body, FILTER_TIME)).await;
            match result {
                Ok(Ok(Some(serde_json::Value::Bool(true)))) => {}
                Ok(Ok(value)) => {
                    let value = value.map_or("nothing".into(), |value| {
                        shown(value.to_string().as_bytes())
                    });
                    let actual = format!("{value} from {}", shown(&reply.body));
                    return fail(expected, actual, format!("the jq condition gives {value}"));
                }
                Ok(Err(error)) => return fail(expected, shown(&reply.body), error.to_string()),
                Err(error) => return fail(expected, shown(&reply.body), error.to_string()),
            }
        }
        if let Some(limit) = max_latency
            && reply.took > limit.get()
        {
            let actual = format!("{} ms", reply.took.as_millis());
            return fail(
                format!("answer within {} ms", limit.get().as_millis()),
                actual.clone(),
                format!(
                    "took {actual} > max-latency ({} ms)",
                    limit.get().as_millis()
                ),
            );
        }
        Reading::pass(self.expected(), format!("status {}", reply.status))
    }

    /// The same reading, unless another release answered.
    async fn judge_release(
        &self,
        reading: Reading,
        reply: Reply,
        address: Option<SocketAddr>,
        release: &str,
    ) -> Reading {
        let failed = reading.verdict != Verdict::Pass;
        let before = reading.clone();
        let judged = self.identified(reading, reply, address, release).await;
        if !failed {
            return judged;
        }
        // The condition that failed first stays the reason; the wrong release is added to it.
        let mut reading = Reading {
            release: judged.release.clone(),
            ..before
        };
        if let (Some(Identity::Differs { actual, .. }), Some(reason)) =
            (&judged.release, &mut reading.reason)
        {
            *reason = format!("{reason}; release {actual} answers, expected {release}");
        }
        reading
    }

    async fn identified(
        &self,
        mut reading: Reading,
        reply: Reply,
        address: Option<SocketAddr>,
        release: &str,
    ) -> Reading {
        let source = self.probe.release.clone();
        let elsewhere = source.as_ref().and_then(|source| source.url.as_deref());
        let reply = match elsewhere.map(parse) {
            None => reply,
            Some(Err(reason)) => {
                return Reading::not(
                    Verdict::Fail,
                    format!("release {release}"),
                    reason.clone(),
                    reason,
                );
            }
            Some(Ok(url)) => match self.get_elsewhere(&url, address).await {
                Ok(reply) if (200..300).contains(&reply.status) => reply,
                Ok(reply) => {
                    let actual = format!("status {} from {url}", reply.status);
                    return Reading::not(
                        Verdict::Fail,
                        format!("release {release}"),
                        actual.clone(),
                        actual,
                    )
                    .value(reply.status.to_string());
                }
                Err((value, reason)) => {
                    let reason = format!("{url}: {reason}");
                    return Reading::not(
                        Verdict::Fail,
                        format!("release {release}"),
                        reason.clone(),
                        reason,
                    )
                    .value(value);
                }
            },
        };
        let configured = source.is_some();
        let expected = release.to_owned();
        let identity = tokio::task::spawn_blocking(move || {
            let answer = Answer {
                headers: &reply.headers,
                body: &reply.body,
            };
            identify(source.as_ref(), &expected, &answer)
        })
        .await
        .unwrap_or_else(|error| Identity::Unknown(error.to_string()));
        let expected = format!("{}, release {release}", reading.expected);
        match &identity {
            Identity::Matches(actual) => {
                reading.actual = format!("{}, release {actual}", reading.actual);
            }
            Identity::Differs { actual, .. } => {
                reading.verdict = Verdict::Fail;
                reading.actual = format!("{}, release {actual}", reading.actual);
                reading.reason = Some(format!("release {actual} answers, expected {release}"));
            }
            // Asked where the configuration says, the service does not say it: that is an answer.
            Identity::Unknown(why) if configured => {
                reading.verdict = Verdict::Fail;
                reading.actual = why.clone();
                reading.reason = Some(format!("expected release {release}, but {why}"));
            }
            Identity::Unknown(_) => {}
        }
        reading.expected = expected;
        reading.release = Some(identity);
        reading
    }

    /// Asks the release URL: on the same address where it is the same host, else where its own
    /// name leads.
    async fn get_elsewhere(
        &self,
        url: &Url,
        address: Option<SocketAddr>,
    ) -> Result<Reply, (String, String)> {
        let address = if proxy::applies(url) {
            None
        } else if address.is_some() && url.host_str() == self.url.host_str() {
            address
        } else {
            let found = place(url)
                .resolve()
                .await
                .map_err(|reason| ("no address".to_owned(), reason))?;
            found.first().copied().or(address)
        };
        self.get(url, address).await
    }
}

/// The value of a reading where the proxy did not let us through.
const PROXY: &str = "proxy";

impl Probe for Http {
    fn measure<'a>(&'a self, release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let expected = self.expected();
            if proxy::applies(&self.url) {
                let asking = self.one_address(None, release);
                let asked = tokio::time::timeout(timeout, asking).await;
                return asked.unwrap_or_else(|_| late(timeout, &expected));
            }
            let rule = self.probe.addresses;
            let ask = async |end| {
                let End::Address(address) = end else {
                    return self.one_address(None, release).await;
                };
                self.one_address(Some(address), release).await
            };
            let place = place(&self.url);
            Route::default()
                .ask(&place, rule, timeout, &expected, ask)
                .await
        })
    }

    fn hint(&self) -> String {
        let url = self.probe.url.replace('\'', "%27");
        format!("ask it yourself: curl -sv '{url}'")
    }

    fn limits(&self) -> model::Limits {
        model::Limits {
            latency: self.probe.max_latency.map(config::value::Span::get),
            ..model::Limits::default()
        }
    }
}

/// The measurement's own timeout bounds the whole.
const FILTER_TIME: Duration = Duration::from_secs(2);

/// Whether a URL can be asked.
pub fn check_url(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

fn parse(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) => Err("the URL is not `http://…` or `https://…`".into()),
        Err(error) => Err(format!("not a URL: {error}")),
    }
}

fn place(url: &Url) -> Place {
    let host = url.host_str().unwrap_or_default();
    Place {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port_or_known_default().unwrap_or(80),
    }
}

/// The release that a URL's answer names. With `at` (`host:port`), that server is asked with the
/// URL's own Host header, as a proxy would ask it. `likely` settles which of several words of a
/// text is meant.
pub async fn ask_release(
    url: &str,
    at: Option<&str>,
    source: Option<&config::file::ReleaseSource>,
    likely: &str,
    timeout: Duration,
) -> Result<String, String> {
    let ask = async {
        let mut url = parse(url)?;
        let mut request = Vec::new();
        if let Some(at) = at {
            let authority = match url.port() {
                Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
                None => url.host_str().unwrap_or_default().to_owned(),
            };
            request.push((reqwest::header::HOST, authority));
            let server =
                parse(&format!("http://{at}/")).map_err(|reason| format!("`{at}`: {reason}"))?;
            let moved = url.set_scheme("http").is_ok()
                && url.set_host(server.host_str()).is_ok()
                && url.set_port(server.port()).is_ok();
            if !moved {
                return Err(format!("`{at}` is no host and port"));
            }
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0);
        if url.scheme() == "http" && !proxy::applies(&url) {
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| plain_cause(&error))?;
        let mut get = client.get(url.clone());
        for (name, value) in request {
            get = get.header(name, value);
        }
        let response = get
            .send()
            .await
            .map_err(|error| format!("{url}: {}", plain_cause(&error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match body::read(response, 1 << 20).await {
            Body::Whole(body) => body,
            Body::TooLarge => return Err(format!("{url}: the answer is larger than 1 MiB")),
            Body::Broken(reason) => return Err(format!("{url}: the answer broke off: {reason}")),
        };
        if !status.is_success() {
            return Err(format!("{url}: status {}", status.as_u16()));
        }
        let (source, likely) = (source.cloned(), likely.to_owned());
        tokio::task::spawn_blocking(move || {
            let answer = Answer {
                headers: &headers,
                body: &body,
            };
            crate::release::named(source.as_ref(), &likely, &answer)
                .map_err(|why| format!("{url}: {why}"))
        })
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
    };
    match tokio::time::timeout(timeout, ask).await {
        Ok(answer) => answer,
        Err(_) => Err(format!(
            "{url}: no complete answer within {} ms",
            timeout.as_millis()
        )),
    }
}

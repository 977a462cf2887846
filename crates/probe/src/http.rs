//! An HTTP endpoint, asked once on every address of its name.
//!
//! What does not answer is a failure here: this is the thing under test, and its users see the
//! same. Redirects are followed where that is asked for (else a 3xx is an answer), the body is
//! read to its end within its limit, and each measurement opens a fresh connection, as a new user
//! would.

pub(crate) mod expect;

use std::time::Duration;

use config::file::{HttpProbe, Match};
use model::{Redactor, Verdict};
use net::http::cookies::Cookies;
use net::http::redirect::{self, Memory, follow};
use net::http::reply::{self, Reply};
use net::http::request::{self, Body, Request, authority, parse};
use net::http::transport::{Transport, Wire, place, same_server};
use net::party::in_measurement;
use net::{ConnectError, Endpoint, Route, budget, tls};
use url::Url;

use self::expect::Expect;
use crate::addresses::{late, measure_every};
use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;
use crate::release::{Identity, ReleaseAnswer, Unnamed, identify, named};

/// One HTTP probe.
pub struct Http {
    request: Request,
    transport: Transport,
    expect: Expect,
    /// What asks for the release elsewhere.
    version: Option<Request>,
    redactor: Redactor,
    probe: HttpProbe,
}

impl Http {
    pub fn new(probe: HttpProbe, around: &ProbeContext) -> Result<Self, Error> {
        let HttpProbe {
            name: _,
            url,
            method,
            headers,
            body,
            body_file,
            json,
            form,
            status,
            expect_headers,
            body_regex,
            jq,
            max_latency,
            max_body,
            max_redirects: _,
            release,
            http_version,
            ca_file,
            client_certificate,
            server_name,
            min_days,
            resolve,
            proxy,
            via,
            addresses: _,
            targets_file: _,
            hosts: _,
            require: _,
            policy: _,
            severity: _,
        } = &probe;
        let body = Body {
            text: body.as_deref(),
            file: body_file.as_deref(),
            json: json.as_ref(),
            form,
        };
        let request = Request::new(method.as_ref(), url, headers, &body)?;
        let version = match release.as_ref().and_then(|release| release.url.as_deref()) {
            None => None,
            Some(text) => Some(elsewhere(&request, &parse(text)?)?),
        };
        let transport = Transport::new(Wire {
            route: Route::new(resolve, via.as_deref(), &around.hosts),
            proxy: proxy.as_ref(),
            version: *http_version,
            ca_file: ca_file.as_deref(),
            client_certificate: client_certificate.as_ref(),
            server_name: server_name.as_deref(),
            certificates: min_days.is_some(),
            max_body: max_body.get(),
        })?;
        let expect = Expect {
            status: status.clone(),
            headers: expect_headers.clone(),
            body_regex: body_regex.clone(),
            jq: jq.clone(),
            max_latency: *max_latency,
            min_days: *min_days,
        };
        Ok(Http {
            request,
            transport,
            expect,
            version,
            redactor: around.redactor.clone(),
            probe,
        })
    }

    async fn one_end(&self, end: Endpoint, release: Option<&str>, timeout: Duration) -> Reading {
        let limit = self.probe.max_redirects;
        let cookies = (limit > 0).then(|| Cookies::new(&self.redactor));
        let memory = cookies.as_ref().map(|cookies| cookies as &dyn Memory);
        let ends = [end];
        let followed = follow(&self.transport, &self.request, &ends, limit, memory);
        let mut reply = match followed.await {
            Ok(reply) => reply,
            Err(problem) => return Reading::of_problem(problem, self.expect.describe()),
        };
        let evidence = reply.evidence();
        let (max_body, time) = (self.transport.max_body, filter_time(timeout));
        let reading = self.expect.judge(&mut reply, max_body, time).await;
        let reading = reading.value(reply.status.to_string());
        let mut reading = match release {
            // Also of an answer that failed: whose it is tells more than anything else.
            Some(release) => self.judge_release(reading, reply, end, release).await,
            None => reading,
        };
        reading.evidence = Some(evidence);
        reading
    }

    /// The same reading, unless another release answered.
    async fn judge_release(
        &self,
        reading: Reading,
        reply: Reply,
        end: Endpoint,
        release: &str,
    ) -> Reading {
        let failed = reading.verdict != Verdict::Pass;
        let before = reading.clone();
        let judged = self.identified(reading, reply, end, release).await;
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
        end: Endpoint,
        release: &str,
    ) -> Reading {
        let source = self.probe.release.clone();
        let named = match &self.version {
            None => Ok(reply),
            Some(request) => self.query_version(request, end).await,
        };
        let mut reply = match named {
            Ok(reply) => reply,
            Err(problem) => return Reading::of_problem(problem, format!("release {release}")),
        };
        let configured = source.is_some();
        let expected = release.to_owned();
        let max_body = self.transport.max_body;
        let unpacked = reply.unpack(max_body).await;
        let parsing = budget::parsing(reply.body.len()).await;
        let identity = tokio::task::spawn_blocking(move || {
            let _parsing = parsing;
            if let Err(reason) = unpacked {
                return Identity::Unknown(reason.to_string());
            }
            let answer = ReleaseAnswer {
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
            // Which of them answered, nothing tells.
            Identity::Several(why) => {
                reading.verdict = Verdict::Inconclusive;
                reading.actual = why.clone();
                reading.reason = Some(format!("expected release {release}, but {why}"));
            }
            Identity::Unknown(_) | Identity::Partly(_) => {}
        }
        reading.expected = expected;
        reading.release = Some(identity);
        reading
    }

    /// Asks the release URL: on the same address where it is the same host, else where its own
    /// name leads.
    async fn query_version(&self, request: &Request, end: Endpoint) -> Result<Reply, ConnectError> {
        let url = &request.url;
        let at = redirect::public(url);
        let asked = if url.host_str() == self.request.url.host_str() {
            let end = end.with_port(place(url).port);
            self.transport.send(request, &[end]).await
        } else {
            self.transport.send_elsewhere(request).await
        };
        let reply = asked.map_err(|problem| problem.at(&at))?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        let reason = format!("status {} from {at}", reply.status);
        Err(ConnectError::of_service(reason).value(reply.status.to_string()))
    }
}

/// A `GET` of another URL: with the same headers if it is the same server.
fn elsewhere(request: &Request, url: &Url) -> Result<Request, request::Error> {
    if same_server(&request.url, url) {
        request.moved(url)
    } else {
        Request::stranger(url)
    }
}

impl Kind for HttpProbe {
    fn subject(&self) -> String {
        self.url.clone()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Http::new(self, around)?))
    }
}

impl Probe for Http {
    fn measure<'a>(&'a self, release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let expected = self.expect.describe();
            if self.transport.is_proxied(&self.request.url) {
                let charged = in_measurement(async {
                    let asking = self.one_end(Endpoint::Beyond, release, timeout);
                    let asked = tokio::time::timeout(timeout, asking).await;
                    asked.unwrap_or_else(|_| late(timeout, &expected))
                });
                return Box::pin(charged).await;
            }
            let rule = self.probe.addresses;
            let ask = async |end| self.one_end(end, release, timeout).await;
            let place = place(&self.request.url);
            let route = self.transport.route();
            Box::pin(measure_every(route, &place, rule, timeout, &expected, ask)).await
        })
    }

    fn hint(&self) -> String {
        let url = self.request.url.as_str().replace('\'', "%27");
        let ca = self
            .probe
            .ca_file
            .as_ref()
            .map_or_else(String::new, |file| {
                format!("--cacert {} ", remote::quote(&file.display().to_string()))
            });
        match &self.probe.via {
            Some(host) => format!("try it on {host}: curl -sv {ca}'{url}'"),
            None => format!("try it: curl -sv {ca}'{url}'"),
        }
    }

    fn limits(&self) -> model::Limits {
        model::Limits {
            latency: self.probe.max_latency.map(config::value::Span::get),
            ..model::Limits::default()
        }
    }
}

/// A filter's share of a measurement's time: enough is left to say that it did not end.
pub(crate) fn filter_time(timeout: Duration) -> Duration {
    (timeout / 2).min(Duration::from_secs(2))
}

/// A URL that goes through the front door at `front`, for the server at `at` (`host:port`) behind
/// it; and the `Host` that it is asked for. `None` where the URL goes elsewhere.
pub fn moved(url: &str, front: &str, at: &str) -> Option<(String, String)> {
    let (url, front) = (parse(url).ok()?, parse(front).ok()?);
    if url.host_str() != front.host_str()
        || url.port_or_known_default() != front.port_or_known_default()
    {
        return None;
    }
    let moved = onto(&url, &parse(&format!("http://{at}/")).ok()?)?;
    Some((moved.to_string(), authority(&url)))
}

/// The same URL at another server.
fn onto(url: &Url, server: &Url) -> Option<Url> {
    let mut moved = url.clone();
    let done = moved.set_scheme("http").is_ok()
        && moved.set_host(server.host_str()).is_ok()
        && moved.set_port(server.port()).is_ok();
    done.then_some(moved)
}

/// Why a URL's answer names no release.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error(transparent)]
    Request(#[from] request::Error),
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error("`{server}`: {cause}")]
    Server {
        server: String,
        cause: request::Error,
    },
    #[error("`{0}` is not a host and a port")]
    NoServer(String),
    #[error("{url}: {cause}")]
    Asked { url: String, cause: Silence },
}

/// Why one that was asked does not name its release.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Silence {
    #[error("{0}")]
    Unreached(ConnectError),
    #[error("status {0}")]
    Status(u16),
    #[error(transparent)]
    Packed(#[from] reply::Error),
    #[error(transparent)]
    Unnamed(#[from] Unnamed),
    #[error("no complete answer within {}", model::text::duration(*.0))]
    Late(Duration),
}

/// Where a release is named.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseQuery<'q> {
    pub url: &'q str,
    /// Sent with the request.
    pub headers: &'q [(String, String)],
    /// `host:port` of the server that is asked with the URL's own Host header, as a proxy would ask it.
    pub at: Option<&'q str>,
    pub source: Option<&'q config::file::ReleaseSource>,
    /// Settles, by the rule, which of several words of a text is meant.
    pub likely: (Match, &'q str),
}

/// The release that a URL's answer names.
pub async fn query_release(
    route: Route,
    query: ReleaseQuery<'_>,
    timeout: Duration,
) -> Result<String, ReleaseError> {
    let ReleaseQuery {
        url,
        headers,
        at,
        source,
        likely,
    } = query;
    let asking = async {
        let mut request = release_request(url, at)?;
        for (name, value) in headers {
            request.set_header(name, value)?;
        }
        let transport = Transport::new(Wire {
            route,
            proxy: None,
            version: config::file::HttpVersion::Auto,
            ca_file: None,
            client_certificate: None,
            server_name: None,
            certificates: false,
            max_body: 1 << 20,
        })?;
        let told = read_release(&transport, &request, source, likely).await;
        told.map_err(|cause| ReleaseError::Asked {
            url: redirect::public(&request.url),
            cause,
        })
    };
    let asked = tokio::time::timeout(timeout, asking).await;
    asked.unwrap_or_else(|_| {
        Err(ReleaseError::Asked {
            url: url.to_owned(),
            cause: Silence::Late(timeout),
        })
    })
}

fn release_request(url: &str, at: Option<&str>) -> Result<Request, ReleaseError> {
    let mut request = Request::stranger(&parse(url)?)?;
    if let Some(at) = at {
        let server = parse(&format!("http://{at}/")).map_err(|cause| ReleaseError::Server {
            server: at.to_owned(),
            cause,
        })?;
        let moved = onto(&request.url, &server);
        request.url = moved.ok_or_else(|| ReleaseError::NoServer(at.to_owned()))?;
    }
    Ok(request)
}

async fn read_release(
    transport: &Transport,
    request: &Request,
    source: Option<&config::file::ReleaseSource>,
    (rule, likely): (Match, &str),
) -> Result<String, Silence> {
    let asked = transport.send_elsewhere(request).await;
    let mut reply = asked.map_err(Silence::Unreached)?;
    if !(200..300).contains(&reply.status) {
        return Err(Silence::Status(reply.status));
    }
    reply.unpack(transport.max_body).await?;
    let (source, likely) = (source.cloned(), likely.to_owned());
    let naming = tokio::task::spawn_blocking(move || {
        let answer = ReleaseAnswer {
            headers: &reply.headers,
            body: &reply.body,
        };
        named(source.as_ref(), rule, &likely, &answer)
    });
    Ok(naming.await.unwrap_or(Err(Unnamed::Nothing))?)
}

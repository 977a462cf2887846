//! Through a proxy: the one that a probe names, or the one that `HTTPS_PROXY`, `HTTP_PROXY`,
//! `ALL_PROXY` and `NO_PROXY` name.
//!
//! The proxy resolves the name: there are no addresses to choose from, and this machine may find
//! none. The proxy is not under test: what it refuses is an error.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use config::value::Proxy as Configured;
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{Method, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use model::proxy::Proxies;
use tokio::net::TcpStream;

use super::connection::{MAX_HEAD, drive};
use crate::connect_error::ConnectError;
use crate::party::Party;
use crate::place::Place;
use crate::stream::Stream;
use crate::tls::{Settings, server_name, shake_hands};

/// The value of a reading where the proxy did not let us through.
const PROXY: &str = "proxy";

/// Which requests go through a proxy.
pub(super) enum Rule {
    Environment,
    Named(Box<Matcher>),
    Direct,
}

impl Rule {
    pub(super) fn new(configured: Option<&Configured>) -> Self {
        match configured.map(Configured::url) {
            None => Rule::Environment,
            Some(None) => Rule::Direct,
            Some(Some(url)) => Rule::Named(Box::new(Matcher::builder().all(url).build())),
        }
    }

    pub(super) fn of(&self, uri: &Uri) -> Option<Intercept> {
        match self {
            Rule::Environment => of_environment(uri),
            Rule::Named(matcher) => matcher.intercept(uri),
            Rule::Direct => None,
        }
    }
}

/// The environment's proxy for a URI, read once for each way of writing it.
fn of_environment(uri: &Uri) -> Option<Intercept> {
    static MATCHERS: LazyLock<Mutex<HashMap<&'static str, Arc<Matcher>>>> =
        LazyLock::new(Mutex::default);
    let scheme = uri.scheme_str()?;
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(usual);
    let written = Proxies::of_process().of(scheme, uri.host()?, port)?;
    let mut matchers = MATCHERS.lock().unwrap_or_else(PoisonError::into_inner);
    let matcher = matchers
        .entry(written)
        .or_insert_with(|| Arc::new(Matcher::builder().all(written).build()));
    matcher.intercept(uri)
}

/// The client's credentials for a proxy.
pub(super) fn authorization(proxy: &Intercept) -> Option<HeaderValue> {
    let mut value = proxy.basic_auth()?.clone();
    value.set_sensitive(true);
    Some(value)
}

/// Who it is: its address, from which the matcher has taken the credentials.
pub(super) fn party(proxy: &Intercept) -> Party {
    Party::Proxy(proxy.uri().to_string().trim_end_matches('/').into())
}

/// Whether an answer is the proxy's own, and what it then means.
pub(super) fn refused<T>(proxy: &Intercept, answer: &http::Response<T>) -> Option<ConnectError> {
    use model::proxy::Origin;

    let status = answer.status().as_u16();
    let text = |name: &str| answer.headers().get(name)?.to_str().ok();
    let seen = model::proxy::PlainAnswer {
        status,
        server: text("server"),
        via: text("via"),
        marked: text("proxy-status").or(text("x-squid-error")).is_some(),
    };
    let what = match (seen.origin(), status) {
        (Origin::Server, _) => return None,
        (_, 407) => "wants other credentials (status 407)".to_owned(),
        (Origin::Proxy, _) => format!("refuses (status {status})"),
        (Origin::Unknown, _) => format!(
            "answers status {status}, and nothing in the answer shows that it is the server's"
        ),
    };
    Some(problem(proxy, what))
}

fn problem(proxy: &Intercept, what: impl std::fmt::Display) -> ConnectError {
    let party = party(proxy);
    let reason = format!("{party} {what}");
    ConnectError::new(party, PROXY, reason)
}

/// What broke at the proxy, or on the way to it.
fn broken(error: &(dyn std::error::Error + 'static)) -> ConnectError {
    ConnectError::broken(error).value(PROXY)
}

/// A connection to the proxy itself.
pub(super) async fn open(proxy: &Intercept) -> Result<Stream, ConnectError> {
    let uri = proxy.uri();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        other => {
            let scheme = other.unwrap_or_default();
            let what = format!("speaks `{scheme}`, which is not known here");
            return Err(problem(proxy, what));
        }
    };
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let place = Place {
        host: host.to_owned(),
        port,
    };
    let mut connected = Err(problem(proxy, "has no address"));
    for address in place
        .resolve()
        .await
        .map_err(|problem| problem.of(&party(proxy)))?
    {
        connected = TcpStream::connect(address)
            .await
            .map_err(|error| broken(&error));
        if connected.is_ok() {
            break;
        }
    }
    let stream = connected?;
    let _ = stream.set_nodelay(true);
    if !secure {
        return Ok(Box::new(stream));
    }
    let name = server_name(host).map_err(|error| problem(proxy, &error))?;
    let shaken = shake_hands(Settings::default().config()?, name, Box::new(stream)).await;
    let stream = shaken.map_err(|problem| problem.of(&party(proxy)).value(PROXY))?;
    Ok(Box::new(stream))
}

/// A tunnel through it to `authority`, a `host:port`.
pub(super) async fn tunnel(
    proxy: &Intercept,
    stream: Stream,
    authority: &str,
) -> Result<Stream, ConnectError> {
    let through = |error: hyper::Error| broken(&error);
    let mut request = http::Request::new(Empty::<Bytes>::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = authority
        .parse()
        .map_err(|_| problem(proxy, format!("cannot connect to `{authority}`")))?;
    if let Ok(host) = HeaderValue::from_str(authority) {
        request.headers_mut().insert(HOST, host);
    }
    if let Some(value) = authorization(proxy) {
        request.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(through)?;
    let asked = async {
        let answer = sender.send_request(request).await.map_err(through)?;
        if answer.status().is_success() {
            return hyper::upgrade::on(answer).await.map_err(through);
        }
        Err(match answer.status().as_u16() {
            407 => problem(proxy, "wants other credentials (status 407)"),
            status => problem(proxy, format!("answers status {status}")),
        })
    };
    let upgraded = drive(connection.with_upgrades(), asked).await?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

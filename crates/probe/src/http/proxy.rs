//! Through a proxy: the one that a probe names, or the one that `HTTPS_PROXY`, `HTTP_PROXY`,
//! `ALL_PROXY` and `NO_PROXY` name.
//!
//! The proxy resolves the name: there are no addresses to choose from, and perhaps none to be
//! found. Whoever stands between is only somebody whom we ask: what it refuses is an error.

use std::sync::LazyLock;

use bytes::Bytes;
use config::value::Proxy as Configured;
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{Method, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::drive;
use crate::client_tls::{Settings, server_name, shake_hands};
use crate::connect::{Problem, Stream};
use crate::plain_cause;

/// The value of a reading where the proxy did not let us through.
const PROXY: &str = "proxy";

/// Which requests go through a proxy.
pub(super) enum Rule {
    Environment,
    Named(Box<Matcher>),
    Nobody,
}

impl Rule {
    pub(super) fn new(configured: Option<&Configured>) -> Self {
        match configured.map(Configured::url) {
            None => Rule::Environment,
            Some(None) => Rule::Nobody,
            Some(Some(url)) => Rule::Named(Box::new(Matcher::builder().all(url).build())),
        }
    }

    pub(super) fn of(&self, uri: &Uri) -> Option<Intercept> {
        static ENVIRONMENT: LazyLock<Matcher> = LazyLock::new(Matcher::from_env);
        match self {
            Rule::Environment => ENVIRONMENT.intercept(uri),
            Rule::Named(matcher) => matcher.intercept(uri),
            Rule::Nobody => None,
        }
    }
}

/// What a proxy is told of who asks.
pub(super) fn authorization(proxy: &Intercept) -> Option<HeaderValue> {
    let mut value = proxy.basic_auth()?.clone();
    value.set_sensitive(true);
    Some(value)
}

/// It wants other credentials.
pub(super) fn refusal() -> Problem {
    way("the proxy wants other credentials (status 407)".into())
}

/// Whether an answer is the proxy's own, and what it then means.
pub(super) fn refused<T>(answer: &http::Response<T>) -> Option<Problem> {
    let status = answer.status().as_u16();
    let server = answer.headers().get(http::header::SERVER);
    let server = server.and_then(|value| value.to_str().ok());
    if !model::proxy::refuses(status, server) {
        return None;
    }
    Some(match status {
        407 => refusal(),
        _ => way(format!("the proxy refuses (status {status})")),
    })
}

fn way(reason: String) -> Problem {
    Problem::of_way(PROXY, reason)
}

/// A connection to the proxy itself.
pub(super) async fn open(proxy: &Intercept) -> Result<Stream, Problem> {
    let uri = proxy.uri();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let through =
        |error: &std::io::Error| way(format!("through the proxy: {}", plain_cause(error)));
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        other => {
            let scheme = other.unwrap_or_default();
            return Err(way(format!("a proxy that speaks `{scheme}` is not known")));
        }
    };
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(|error| through(&error))?;
    let _ = stream.set_nodelay(true);
    if !secure {
        return Ok(Box::new(stream));
    }
    let name = server_name(host).map_err(way)?;
    let shaken = shake_hands(Settings::default().config()?, name, Box::new(stream)).await;
    let stream =
        shaken.map_err(|problem| way(format!("through the proxy: {}", problem.reason())))?;
    Ok(Box::new(stream))
}

/// A tunnel through it to `authority`, a `host:port`.
pub(super) async fn tunnel(
    proxy: &Intercept,
    stream: Stream,
    authority: &str,
) -> Result<Stream, Problem> {
    let through = |error: hyper::Error| way(format!("through the proxy: {}", plain_cause(&error)));
    let mut request = http::Request::new(Empty::<Bytes>::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = authority
        .parse()
        .map_err(|_| way(format!("`{authority}` is no host and port")))?;
    if let Ok(host) = HeaderValue::from_str(authority) {
        request.headers_mut().insert(HOST, host);
    }
    if let Some(value) = authorization(proxy) {
        request.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(super::MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(through)?;
    let asked = async {
        let answer = sender.send_request(request).await.map_err(through)?;
        if answer.status().is_success() {
            return hyper::upgrade::on(answer).await.map_err(through);
        }
        match answer.status().as_u16() {
            407 => Err(refusal()),
            status => Err(way(format!("the proxy answers status {status}"))),
        }
    };
    let upgraded = drive(connection.with_upgrades(), asked).await?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

//! One request on a connection of its own, as a new user would make it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use config::file::{ClientCertificate, HttpVersion};
use config::value::Proxy;
use http::header::{CONNECTION, HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{Uri, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::task::AbortHandle;
use url::Url;

use super::connection::{MAX_HEAD, MAX_HEADERS, drive};
use super::proxy;
use super::reply::{Certificate, Reply, read};
use super::request::{Request, authority};
use crate::certificate;
use crate::connect_error::ConnectError;
use crate::party::{Party, now_awaiting};
use crate::place::Place;
use crate::route::{Endpoint, Route};
use crate::stream::Stream;
use crate::tls::{self, Settings, Trust, server_name, shake_hands};

/// What is read ahead of one HTTP/2 stream.
const WINDOW: u32 = 256 << 10;

/// How a probe's server is reached and spoken to.
pub struct Transport {
    route: Route,
    proxy: proxy::Rule,
    version: HttpVersion,
    tls: Settings,
    name: Option<ServerName<'static>>,
    /// Whether the caller inspects the server's certificate, beyond trusting it.
    pub certificates: bool,
    pub max_body: u64,
}

/// Its configuration.
pub struct Wire<'a> {
    pub route: Route,
    pub proxy: Option<&'a Proxy>,
    pub version: HttpVersion,
    pub ca_file: Option<&'a std::path::Path>,
    pub client_certificate: Option<&'a ClientCertificate>,
    pub server_name: Option<&'a str>,
    pub certificates: bool,
    pub max_body: u64,
}

impl Transport {
    pub fn new(wire: Wire<'_>) -> Result<Self, tls::Error> {
        let Wire {
            route,
            proxy,
            version,
            ca_file,
            client_certificate,
            server_name: name,
            certificates,
            max_body,
        } = wire;
        // A configured address is always a direct connection.
        let proxy = match proxy {
            None if !route.is_plain() => proxy::Rule::Direct,
            proxy => proxy::Rule::new(proxy),
        };
        Ok(Transport {
            route,
            proxy,
            version,
            tls: Settings {
                trust: Trust::Named,
                ca_file: ca_file.map(std::path::Path::to_owned),
                certificate: client_certificate.cloned(),
                protocols: match version {
                    HttpVersion::Auto => &["h2", "http/1.1"],
                    HttpVersion::Http1 => &["http/1.1"],
                    HttpVersion::Http2 => &["h2"],
                },
            },
            name: name.map(server_name).transpose()?,
            certificates,
            max_body,
        })
    }

    /// The way to a URL's own server.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Whether a proxy makes the connection.
    pub fn is_proxied(&self, url: &Url) -> bool {
        let uri: Result<Uri, _> = url.as_str().parse();
        uri.is_ok_and(|uri| self.proxy.of(&uri).is_some())
    }

    /// Sends a request to its URL's own server, at the first of these ends that takes a connection.
    pub async fn send(&self, request: &Request, ends: &[Endpoint]) -> Result<Reply, ConnectError> {
        let own = || match &self.name {
            Some(name) => Ok(name.clone()),
            None => server_name(&place(&request.url).host),
        };
        self.exchange(request, &self.route, ends, &self.tls, own)
            .await
    }

    /// The endpoints of another server than the one whose addresses are given.
    pub async fn ends_elsewhere(&self, url: &Url) -> Result<Vec<Endpoint>, ConnectError> {
        if self.is_proxied(url) {
            Ok(vec![Endpoint::Beyond])
        } else {
            self.route.elsewhere().ends(&place(url)).await
        }
    }

    /// Sends a request to another server: without our certificate, to whatever address the name
    /// resolves to.
    pub async fn send_elsewhere(&self, request: &Request) -> Result<Reply, ConnectError> {
        let route = self.route.elsewhere();
        let ends = self.ends_elsewhere(&request.url).await?;
        let tls = Settings {
            certificate: None,
            ..self.tls.clone()
        };
        let name = || server_name(&place(&request.url).host);
        self.exchange(request, &route, &ends, &tls, name).await
    }

    async fn exchange(
        &self,
        request: &Request,
        route: &Route,
        ends: &[Endpoint],
        tls: &Settings,
        name: impl Fn() -> Result<ServerName<'static>, tls::Error>,
    ) -> Result<Reply, ConnectError> {
        let started = Instant::now();
        let uri: Uri = request
            .url
            .as_str()
            .parse()
            .map_err(|_| ConnectError::of_service("the URL cannot be sent"))?;
        let proxy = self.proxy.of(&uri);
        // What comes through a proxy, comes of it: whether it or the server is silent is not known.
        now_awaiting(proxy.as_ref().map_or(Party::Service, proxy::party));
        let secure = request.url.scheme() == "https";
        let config = secure.then(|| tls.config()).transpose()?;
        let mut stream = connect(route, ends, &request.url, proxy.as_ref(), secure).await?;
        let mut chain = None;
        let mut h2 = !secure && self.version == HttpVersion::Http2;
        if let Some(config) = config {
            let shaken =
                shake_hands(config, name().map_err(ConnectError::of_service)?, stream).await?;
            let (_, session) = shaken.get_ref();
            h2 = session.alpn_protocol() == Some(b"h2");
            if self.version == HttpVersion::Http2 && !h2 {
                return Err(ConnectError::of_service("the server does not speak HTTP/2"));
            }
            if self.certificates {
                let certificates = session.peer_certificates().unwrap_or_default();
                chain = Some(Certificate {
                    server: place(&request.url).to_string(),
                    validity: certificate::validity_of(certificates),
                });
            }
            stream = Box::new(shaken);
        }
        let plain_proxy = proxy.filter(|_| !secure);
        let mut reply = if h2 {
            self.by_http2(request, uri, stream).await?
        } else {
            self.by_http1(request, uri, stream, plain_proxy).await?
        };
        reply.took = started.elapsed();
        reply.certificate = chain;
        Ok(reply)
    }

    async fn by_http1(
        &self,
        request: &Request,
        uri: Uri,
        stream: Stream,
        proxy: Option<Intercept>,
    ) -> Result<Reply, ConnectError> {
        let mut sent = outgoing(request);
        *sent.uri_mut() = match &proxy {
            // A proxy gets the whole URL, a server its own part.
            Some(_) => uri,
            None => uri
                .path_and_query()
                .map_or_else(Uri::default, |path| Uri::from(path.clone())),
        };
        let headers = sent.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if let Some(value) = proxy.as_ref().and_then(proxy::authorization) {
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        drive(connection, async {
            let answer = sender.send_request(sent).await.map_err(broken)?;
            let refused = |proxy| proxy::refused(proxy, &answer);
            if let Some(problem) = proxy.as_ref().and_then(refused) {
                return Err(problem);
            }
            self.receive(answer).await
        })
        .await
    }

    async fn by_http2(
        &self,
        request: &Request,
        uri: Uri,
        stream: Stream,
    ) -> Result<Reply, ConnectError> {
        let mut sent = outgoing(request);
        let host = sent.headers_mut().remove(HOST);
        let mut parts = uri.into_parts();
        parts.authority = host
            .and_then(|host| host.as_bytes().try_into().ok())
            .or(parts.authority);
        *sent.uri_mut() = Uri::from_parts(parts)
            .map_err(|_| ConnectError::of_service("the URL cannot be sent"))?;
        *sent.version_mut() = Version::HTTP_2;
        let tasks = Tasks::default();
        let (mut sender, connection) = http2::Builder::new(tasks.clone())
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let _end = EndOf(tasks);
        drive(connection, async {
            let answer = sender.send_request(sent).await.map_err(broken)?;
            self.receive(answer).await
        })
        .await
    }

    async fn receive(&self, answer: http::Response<Incoming>) -> Result<Reply, ConnectError> {
        let (head, body) = answer.into_parts();
        let status = head.status.as_u16();
        let (body, trailers, share) = read(body, self.max_body, status).await?;
        Ok(Reply {
            status,
            version: head.version,
            headers: head.headers,
            body,
            trailers,
            took: std::time::Duration::ZERO,
            certificate: None,
            redirected: None,
            unpacked: None,
            share,
        })
    }
}

/// Connects to the server or to the proxy, up to the point where TLS may begin.
async fn connect(
    route: &Route,
    ends: &[Endpoint],
    url: &Url,
    proxy: Option<&Intercept>,
    secure: bool,
) -> Result<Stream, ConnectError> {
    let place = place(url);
    if let Some(proxy) = proxy {
        let stream = proxy::open(proxy).await?;
        return if secure {
            proxy::tunnel(proxy, stream, &place.to_string()).await
        } else {
            Ok(stream)
        };
    }
    let mut problem = ConnectError::of_service("no address to connect to");
    for end in ends {
        match route.open(&place, *end).await {
            Ok(stream) => return Ok(stream),
            Err(closed) => problem = closed,
        }
    }
    Err(problem)
}

fn outgoing(request: &Request) -> http::Request<Full<Bytes>> {
    let mut sent = http::Request::new(Full::new(request.body.clone()));
    *sent.method_mut() = request.method.clone();
    *sent.headers_mut() = request.headers.clone();
    sent
}

fn broken(error: hyper::Error) -> ConnectError {
    ConnectError::broken(&error)
}

pub fn place(url: &Url) -> Place {
    let host = url.host_str().unwrap_or_default();
    Place {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port_or_known_default().unwrap_or(80),
    }
}

/// Whether two URLs belong to the same server: a secret for one may be sent to the other.
pub fn same_server(one: &Url, other: &Url) -> bool {
    let downgraded = one.scheme() == "https" && other.scheme() == "http";
    let usual = one.port().is_none() && other.port().is_none();
    one.host_str() == other.host_str()
        && !downgraded
        && (authority(one) == authority(other) && one.scheme() == other.scheme() || usual)
}

/// The tasks that an HTTP/2 connection starts.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        let task = tokio::spawn(future).abort_handle();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(task);
    }
}

/// Ends the tasks with the measurement, even if the server keeps sending.
struct EndOf(Tasks);

impl Drop for EndOf {
    fn drop(&mut self) {
        let tasks = &self.0.0;
        for task in tasks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            task.abort();
        }
    }
}

//! A request as it is configured.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use config::value::{Json, Method as Configured};
use http::Method;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use model::Secret;
use url::Url;

use crate::cause::plain_cause;

/// A larger body is not a health check.
const MAX_SENT: u64 = 16 << 20;

/// Why a request cannot be made as it is configured.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("not a URL: {0}")]
    Url(url::ParseError),
    #[error("the URL is not `http://…` or `https://…`")]
    Scheme,
    #[error("the URL's host cannot be sent")]
    Host,
    #[error("`{0}` is not a method")]
    Method(String),
    #[error("`{0}` is not a header name")]
    HeaderName(String),
    #[error("the value of header `{0}` cannot be sent")]
    HeaderValue(HeaderName),
    #[error("the file {} is larger than 16 MiB", .0.display())]
    FileTooLarge(PathBuf),
    #[error("the file {} cannot be read: {}", path.display(), plain_cause(&**cause))]
    File {
        path: PathBuf,
        cause: Arc<std::io::Error>,
    },
}

/// One request, to be sent any number of times.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    /// With `Host`.
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Where a body comes from; at most one is given.
pub struct Body<'a> {
    pub text: Option<&'a str>,
    pub file: Option<&'a Path>,
    pub json: Option<&'a Json>,
    pub form: &'a BTreeMap<String, String>,
}

impl Body<'_> {
    /// The bytes and their type.
    fn read(&self) -> Result<Option<(Bytes, Option<&'static str>)>, Error> {
        let Body {
            text,
            file,
            json,
            form,
        } = self;
        if let Some(text) = text {
            return Ok(Some((text.as_bytes().to_vec().into(), None)));
        }
        if let Some(path) = file {
            return Ok(Some((from_file(path)?.into(), None)));
        }
        if let Some(json) = json {
            let bytes = json.get().to_string().into_bytes();
            return Ok(Some((bytes.into(), Some("application/json"))));
        }
        if form.is_empty() {
            return Ok(None);
        }
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        fields.extend_pairs(form.iter());
        let bytes = fields.finish().into_bytes();
        Ok(Some((
            bytes.into(),
            Some("application/x-www-form-urlencoded"),
        )))
    }
}

impl Request {
    pub fn new(
        method: Option<&Configured>,
        url: &str,
        headers: &BTreeMap<String, Secret>,
        body: &Body<'_>,
    ) -> Result<Self, Error> {
        let mut url = parse(url)?;
        let body = body.read()?;
        let method = match (method, &body) {
            (Some(method), _) => Method::from_bytes(method.as_str().as_bytes())
                .map_err(|_| Error::Method(method.as_str().to_owned()))?,
            (None, Some(_)) => Method::POST,
            (None, None) => Method::GET,
        };
        let mut map = usual(&url)?;
        if let Some(value) = basic(&url) {
            map.insert(AUTHORIZATION, value);
        }
        if let Some((_, Some(kind))) = &body {
            map.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        for (name, value) in headers {
            let name: HeaderName = name.parse().map_err(|_| Error::HeaderName(name.clone()))?;
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| Error::HeaderValue(name.clone()))?;
            value.set_sensitive(true);
            map.insert(name, value);
        }
        // The user part became a header, and must not appear in anything that is shown.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        Ok(Request {
            method,
            url,
            headers: map,
            body: body.map(|(bytes, _)| bytes).unwrap_or_default(),
        })
    }

    /// A plain `GET` of another URL, with nothing that only the first server may know.
    pub fn stranger(url: &Url) -> Result<Self, Error> {
        Self::new(
            None,
            url.as_str(),
            &BTreeMap::new(),
            &Body {
                text: None,
                file: None,
                json: None,
                form: &BTreeMap::new(),
            },
        )
    }

    /// Sends a header more, or another value of it.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let name: HeaderName = name
            .parse()
            .map_err(|_| Error::HeaderName(name.to_owned()))?;
        let value = HeaderValue::from_str(value).map_err(|_| Error::HeaderValue(name.clone()))?;
        self.headers.insert(name, value);
        Ok(())
    }

    /// The same request to another URL of the same server.
    pub fn moved(&self, url: &Url) -> Result<Self, Error> {
        let mut moved = Request::stranger(url)?;
        for (name, value) in &self.headers {
            if name != HOST
                || url.host_str() == self.url.host_str() && url.port() == self.url.port()
            {
                moved.headers.insert(name.clone(), value.clone());
            }
        }
        Ok(moved)
    }
}

/// The headers of every request.
fn usual(url: &Url) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::with_capacity(8);
    let host = HeaderValue::from_str(&authority(url));
    map.insert(HOST, host.map_err(|_| Error::Host)?);
    map.insert(
        USER_AGENT,
        HeaderValue::from_static(crate::user_agent::USER_AGENT),
    );
    map.insert(ACCEPT, HeaderValue::from_static("*/*"));
    Ok(map)
}

/// `host` or `host:port`, as the `Host` header has it.
pub fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// A URL's user and password, as the header that they are sent in.
fn basic(url: &Url) -> Option<HeaderValue> {
    use base64::Engine as _;
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let mut pair = decoded(url.username());
    pair.push(b':');
    pair.extend(decoded(url.password().unwrap_or_default()));
    let text = base64::engine::general_purpose::STANDARD.encode(pair);
    let mut value = HeaderValue::from_str(&format!("Basic {text}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn from_file(path: &Path) -> Result<Vec<u8>, Error> {
    files::read(path, MAX_SENT).map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => Error::FileTooLarge(path.to_owned()),
        _ => Error::File {
            path: path.to_owned(),
            cause: Arc::new(error),
        },
    })
}

pub fn parse(text: &str) -> Result<Url, Error> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) => Err(Error::Scheme),
        Err(error) => Err(Error::Url(error)),
    }
}

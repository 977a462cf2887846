//! What a server answered, bounded.

use std::io::Read as _;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, SET_COOKIE};
use http::{HeaderMap, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::certificate::Validity;
use crate::connect::Problem;
use crate::plain_cause;

/// An answer, whole.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// What came after the body.
    pub(crate) trailers: Option<HeaderMap>,
    /// From the start of connecting to the end of the body.
    pub(crate) took: Duration,
    /// Of the server's chain, or what is wrong with it; `None` without TLS.
    pub(crate) certificate: Option<Result<Validity, String>>,
    /// Where redirects led, without what may be a secret in it.
    pub(crate) redirected: Option<String>,
}

impl Reply {
    /// `status 200`, and of whom if it is somebody else than was asked first.
    pub(crate) fn shown(&self) -> String {
        match &self.redirected {
            None => format!("status {}", self.status),
            Some(place) => format!("status {} from {place}", self.status),
        }
    }

    /// Its head as text.
    pub(crate) fn evidence(&self) -> String {
        let mut head = format!("{:?} {}\n", self.version, self.status).into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            // A session's cookie is as good as a password.
            if name == SET_COOKIE {
                let name = value.as_bytes().split(|b| *b == b'=').next();
                head.extend_from_slice(name.unwrap_or_default());
                head.extend_from_slice(b"=***");
            } else if ["token", "secret", "api-key"]
                .iter()
                .any(|word| name.as_str().contains(word))
            {
                head.extend_from_slice(b"***");
            } else {
                head.extend_from_slice(value.as_bytes());
            }
            head.push(b'\n');
        }
        head.push(b'\n');
        head.extend_from_slice(&self.body[..self.body.len().min(model::evidence::LIMIT * 2)]);
        model::evidence::head(&head)
    }

    /// Unpacks a body that was sent packed, although nobody asked for it, up to `limit` bytes.
    pub(crate) fn unpack(&mut self, limit: u64) -> Result<(), String> {
        let Some(coding) = self.headers.get(CONTENT_ENCODING) else {
            return Ok(());
        };
        let coding = String::from_utf8_lossy(coding.as_bytes()).to_ascii_lowercase();
        let packed = std::mem::take(&mut self.body);
        let mut body = Vec::new();
        // One byte more tells a body of just this size from a larger one.
        let read = match coding.trim() {
            "" | "identity" => {
                self.body = packed;
                return Ok(());
            }
            "gzip" | "x-gzip" => flate2::read::MultiGzDecoder::new(packed.as_slice())
                .take(limit.saturating_add(1))
                .read_to_end(&mut body),
            "deflate" => flate2::read::ZlibDecoder::new(packed.as_slice())
                .take(limit.saturating_add(1))
                .read_to_end(&mut body),
            _ => {
                let coding = crate::shown(coding.as_bytes());
                return Err(format!(
                    "the body is packed as `{coding}`, which was not asked for"
                ));
            }
        };
        read.map_err(|error| format!("the body cannot be unpacked: {error}"))?;
        if body.len() as u64 > limit {
            return Err("unpacked, the body is larger than max-body".into());
        }
        self.body = body;
        Ok(())
    }
}

/// Reads a body and what comes after it to the end, or to the limit, whichever comes first. The
/// caller bounds the time.
pub(super) async fn read(
    mut body: Incoming,
    limit: u64,
    status: u16,
) -> Result<(Vec<u8>, Option<HeaderMap>), Problem> {
    let problem = |reason: String| Problem::of_service(reason).value(status.to_string());
    let too_large = || {
        let limit = config::value::Size::from_bytes(limit);
        problem(format!("the body is larger than max-body ({limit})"))
    };
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    let (mut bytes, mut trailers) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| problem(format!("the body broke off: {}", plain_cause(&error))))?;
        match frame.into_data() {
            Ok(chunk) if (bytes.len() + chunk.len()) as u64 > limit => return Err(too_large()),
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((bytes, trailers))
}

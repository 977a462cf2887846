//! What a server answered, bounded.

use std::io::Read as _;
use std::time::Duration;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, SET_COOKIE};
use http::{HeaderMap, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use model::text::excerpt;

use crate::budget::{FREE, Share};
use crate::certificate::{self, Validity};
use crate::connect_error::ConnectError;

/// An answer, whole.
pub struct Reply {
    pub status: u16,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// What came after the body.
    pub trailers: Option<HeaderMap>,
    /// From the start of connecting to the end of the body.
    pub took: Duration,
    /// Of the server, or of one before it that redirected here; `None` without TLS.
    pub certificate: Option<Certificate>,
    /// Where redirects led, without what may be a secret in it.
    pub redirected: Option<String>,
    /// What came of unpacking the body, once that was wanted.
    pub unpacked: Option<Result<(), Error>>,
    /// Of memory, for the body.
    pub share: Share,
}

/// The certificates of a server.
pub struct Certificate {
    /// `host:port`.
    pub server: String,
    /// How long its chain holds, or what is wrong with it.
    pub validity: Result<Validity, certificate::Error>,
}

/// Why a body cannot be unpacked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the body is packed {0} times over")]
    TooOften(usize),
    #[error("the body is packed as `{0}`, which was not requested")]
    Coding(String),
    /// What is wrong, in the words of the library that unpacks.
    #[error("the body cannot be unpacked: {0}")]
    Damaged(String),
    #[error("unpacked, the body is larger than max-body")]
    TooLarge,
}

/// Codings of one body, one in the other: more than one is a fault of some proxy already.
const MAX_CODINGS: usize = 4;

impl Reply {
    /// `status 200`, and the server that answered if the request was redirected.
    pub fn describe_status(&self) -> String {
        match &self.redirected {
            None => format!("status {}", self.status),
            Some(place) => format!("status {} from {place}", self.status),
        }
    }

    /// Its head as text.
    pub fn evidence(&self) -> String {
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

    /// Decompresses a body that was compressed although the request did not ask for it, up to `limit` bytes.
    /// Each reader of the body calls it; only the first call does anything.
    pub async fn unpack(&mut self, limit: u64) -> Result<(), Error> {
        if let Some(done) = &self.unpacked {
            return done.clone();
        }
        // Most are short, and need no share of memory for what is in them.
        let mut unpacked = self.unpacked_body(limit.min(FREE as u64));
        if unpacked.is_err() {
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            self.share.up_to(most.saturating_mul(2)).await;
            self.share.finish_waiting();
            unpacked = self.unpacked_body(limit);
        }
        let done = unpacked.map(|body| {
            if let Some(body) = body {
                self.body = body;
            }
        });
        self.unpacked = Some(done.clone());
        done
    }

    /// `None` where it is not packed.
    fn unpacked_body(&self, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        if self.body.is_empty() {
            return Ok(None);
        }
        // In the order in which they were put on, perhaps by several servers.
        let lines = self.headers.get_all(CONTENT_ENCODING).iter();
        let lines: Vec<_> = lines
            .map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase())
            .collect();
        let codings = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
        let codings: Vec<_> = codings
            .filter(|coding| !matches!(*coding, "" | "identity"))
            .collect();
        if codings.len() > MAX_CODINGS {
            return Err(Error::TooOften(codings.len()));
        }
        let mut body = None;
        for coding in codings.into_iter().rev() {
            let packed = body.as_deref().unwrap_or(self.body.as_slice());
            body = Some(unpacked(coding, packed, limit)?);
        }
        Ok(body)
    }
}

fn unpacked(coding: &str, packed: &[u8], limit: u64) -> Result<Vec<u8>, Error> {
    let read = match coding {
        "gzip" | "x-gzip" => bounded(MultiGzDecoder::new(packed), limit),
        // RFC 9110 means zlib's format; some servers leave its head and tail out.
        "deflate" => bounded(ZlibDecoder::new(packed), limit)
            .or_else(|error| bounded(DeflateDecoder::new(packed), limit).map_err(|_| error)),
        _ => return Err(Error::Coding(excerpt(coding.as_bytes()))),
    };
    let body = read.map_err(|error| Error::Damaged(error.to_string()))?;
    if body.len() as u64 > limit {
        return Err(Error::TooLarge);
    }
    Ok(body)
}

/// One byte more than the limit tells a body of just this size from a larger one.
fn bounded(packed: impl std::io::Read, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    packed
        .take(limit.saturating_add(1))
        .read_to_end(&mut body)?;
    Ok(body)
}

/// Reads a body and what comes after it to the end, or to the limit, whichever comes first. The
/// caller bounds the time.
pub async fn read(
    mut body: Incoming,
    limit: u64,
    status: u16,
) -> Result<(Vec<u8>, Option<HeaderMap>, Share), ConnectError> {
    let problem = |reason: String| ConnectError::of_service(reason).value(status.to_string());
    let too_large = || {
        let limit = config::value::Size::from_bytes(limit);
        problem(format!("the body is larger than max-body ({limit})"))
    };
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    let (mut bytes, mut trailers, mut share) = (Vec::new(), None, Share::default());
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let broken = ConnectError::broken(&error).value(status.to_string());
            broken.at(&"the body broke off")
        })?;
        match frame.into_data() {
            Ok(chunk) if (bytes.len() + chunk.len()) as u64 > limit => return Err(too_large()),
            Ok(chunk) => {
                share.room(&mut bytes, chunk.len(), most).await;
                bytes.extend_from_slice(&chunk);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    share.finish_waiting();
    Ok((bytes, trailers, share))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    use super::*;

    fn reply(codings: &[&'static str], body: Vec<u8>) -> Reply {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        Reply {
            status: 200,
            version: Version::HTTP_11,
            headers,
            body,
            trailers: None,
            took: Duration::ZERO,
            certificate: None,
            redirected: None,
            unpacked: None,
            share: Share::default(),
        }
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer
            .write_all(body)
            .and_then(|()| packer.finish())
            .unwrap_or_default()
    }

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
        packer
            .write_all(body)
            .and_then(|()| packer.finish())
            .unwrap_or_default()
    }

    fn raw(body: &[u8]) -> Vec<u8> {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
        packer
            .write_all(body)
            .and_then(|()| packer.finish())
            .unwrap_or_default()
    }

    const TEXT: &[u8] = br#"{"version":"v1"}"#;

    #[tokio::test]
    async fn a_body_is_unpacked_once_however_it_was_packed() {
        for (codings, body) in [
            (&[][..], TEXT.to_vec()),
            (&["identity"], TEXT.to_vec()),
            (&["gzip"], gzip(TEXT)),
            (&["X-GZIP"], gzip(TEXT)),
            (&["deflate"], zlib(TEXT)),
            (&["deflate"], raw(TEXT)),
            (&["gzip, gzip"], gzip(&gzip(TEXT))),
            (&["gzip", "deflate"], zlib(&gzip(TEXT))),
            (&["deflate, identity, gzip"], gzip(&raw(TEXT))),
            // Several members, one after the other.
            (&["gzip"], [gzip(&TEXT[..5]), gzip(&TEXT[5..])].concat()),
        ] {
            let mut reply = reply(codings, body);
            for _ in 0..3 {
                assert_eq!(reply.unpack(100).await, Ok(()), "{codings:?}");
                assert_eq!(reply.body, TEXT, "{codings:?}");
            }
        }
        // A response to `HEAD` has no body, whatever its headers say.
        assert_eq!(reply(&["gzip"], Vec::new()).unpack(100).await, Ok(()));
    }

    #[tokio::test]
    async fn what_cannot_be_unpacked_says_why_each_time() {
        let bomb = gzip(&vec![0; 1 << 20]);
        let members: Vec<u8> = (0..1000).flat_map(|_| gzip(b"")).collect();
        for (coding, body, why) in [
            ("gzip", TEXT.to_vec(), "invalid gzip header"),
            ("gzip", gzip(TEXT)[..20].to_vec(), "cannot be unpacked"),
            ("deflate", TEXT.to_vec(), "cannot be unpacked"),
            ("br", TEXT.to_vec(), "`br`, which was not requested"),
            ("gzip", bomb.clone(), "larger than max-body"),
            ("gzip, gzip", gzip(&bomb), "larger than max-body"),
            ("gzip, gzip", gzip(&members), "larger than max-body"),
            ("gzip,gzip,gzip,gzip,gzip", TEXT.to_vec(), "packed 5 times"),
        ] {
            let mut reply = reply(&[coding], body);
            for _ in 0..2 {
                let told = reply.unpack(1000).await.unwrap_err().to_string();
                assert!(told.contains(why), "{coding}: {told}");
            }
        }
    }
}

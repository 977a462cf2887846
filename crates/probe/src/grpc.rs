//! A gRPC service, asked for its health by `grpc.health.v1`.
//!
//! One unary call with two messages of one field each: the frames are written and read here.
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>

use std::collections::BTreeMap;
use std::time::Duration;

use config::file::{GrpcProbe, HttpVersion};
use config::value::Proxy;
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::{HeaderMap, Method};
use model::Verdict;
use model::text::excerpt;
use net::Place;
use net::http::reply::Reply;
use net::http::request::{Body, Request};
use net::http::transport::{Transport, Wire};
use net::{Endpoint, Route};

use crate::addresses::measure_every;
use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;

/// An answer is a few bytes.
const MAX_BODY: u64 = 64 << 10;

/// One gRPC probe.
pub(crate) struct Grpc {
    place: Place,
    request: Request,
    transport: Transport,
    probe: GrpcProbe,
}

impl Grpc {
    pub(crate) fn new(probe: GrpcProbe, around: &ProbeContext) -> Result<Self, Error> {
        let GrpcProbe {
            name: _,
            address,
            service,
            tls,
            ca_file,
            client_certificate,
            server_name,
            headers,
            resolve,
            via,
            addresses: _,
            targets_file: _,
            hosts: _,
            require: _,
            policy: _,
            severity: _,
        } = &probe;
        let port = address.port().ok_or(Error::NoPort)?;
        let place = Place::new(address, port);
        let secure = tls.unwrap_or_else(|| {
            ca_file.is_some() || client_certificate.is_some() || server_name.is_some()
        });
        let scheme = if secure { "https" } else { "http" };
        let url = format!("{scheme}://{place}/grpc.health.v1.Health/Check");
        let empty = Body {
            text: None,
            file: None,
            json: None,
            form: &BTreeMap::new(),
        };
        let mut request = Request::new(None, &url, headers, &empty)?;
        request.method = Method::POST;
        let fixed = HeaderValue::from_static;
        request
            .headers
            .insert(CONTENT_TYPE, fixed("application/grpc"));
        request.headers.insert(TE, fixed("trailers"));
        request.body = encode_request(service).into();
        let transport = Transport::new(Wire {
            route: Route::new(resolve, via.as_deref(), &around.hosts),
            // A proxy's variables are about the web.
            proxy: Some(&Proxy::NONE),
            version: HttpVersion::Http2,
            ca_file: ca_file.as_deref(),
            client_certificate: client_certificate.as_ref(),
            server_name: server_name.as_deref(),
            certificates: false,
            max_body: MAX_BODY,
        })?;
        Ok(Grpc {
            place,
            request,
            transport,
            probe,
        })
    }

    async fn measure_endpoint(&self, end: Endpoint) -> Reading {
        let reply = match self.transport.send(&self.request, &[end]).await {
            Ok(reply) => reply,
            Err(problem) => return Reading::of_problem(problem, EXPECTED),
        };
        let mut reading = self.judge(&reply);
        reading.evidence = Some(reply.evidence());
        reading
    }

    fn judge(&self, reply: &Reply) -> Reading {
        let not = |value: &str, reason: String| {
            Reading::unmet(Verdict::Fail, EXPECTED, &reason, &reason).value(value)
        };
        if reply.status != 200 {
            return not(
                &reply.status.to_string(),
                format!("status {}", reply.status),
            );
        }
        let of = |headers: Option<&HeaderMap>, name: &str| {
            let value = headers?.get(name)?;
            Some(excerpt(value.as_bytes()))
        };
        // An answer without a body says it all in its headers.
        let word =
            |name| of(reply.trailers.as_ref(), name).or_else(|| of(Some(&reply.headers), name));
        match word("grpc-status").as_deref() {
            Some("0") => {}
            Some(code) => {
                let name = code_name(code);
                let why = match (name, self.probe.service.as_str()) {
                    ("NOT_FOUND", service) => {
                        format!("the server does not know the service `{service}`")
                    }
                    ("UNIMPLEMENTED", _) => "the server does not speak grpc.health.v1".to_owned(),
                    _ => {
                        let text = word("grpc-message").unwrap_or_default();
                        let text = percent_encoding::percent_decode_str(&text);
                        excerpt(text.decode_utf8_lossy().as_bytes())
                    }
                };
                return not(name, format!("{name}: {why}"));
            }
            None => return not("no status", "the answer ends without a grpc-status".into()),
        }
        match status(&reply.body) {
            Some(1) => Reading::pass(EXPECTED, "SERVING").value("SERVING"),
            Some(0) => not("UNKNOWN", "it reports UNKNOWN".into()),
            Some(2) => not("NOT_SERVING", "it reports NOT_SERVING".into()),
            Some(3) => not("SERVICE_UNKNOWN", "it reports SERVICE_UNKNOWN".into()),
            Some(other) => not(
                "?",
                format!("it reports {other}, which is not a known state"),
            ),
            None => not(
                "?",
                format!(
                    "the answer is not a health status: {}",
                    excerpt(&reply.body)
                ),
            ),
        }
    }
}

const EXPECTED: &str = "SERVING";

/// `HealthCheckRequest { service }` in its frame.
fn encode_request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, of a length.
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or(0));
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap_or(0).to_be_bytes());
    frame.extend(message);
    frame
}

/// The `status` of a framed `HealthCheckResponse`; `None` for any other message.
fn status(frame: &[u8]) -> Option<u64> {
    let (head, message) = frame.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    // Compressed, or not exactly one message.
    if head[0] != 0 || message.len() != usize::try_from(length).ok()? {
        return None;
    }
    let mut rest = message;
    // What is zero is left out.
    let mut status = 0;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let (field, kind) = (tag >> 3, tag & 7);
        match (field, kind) {
            (0, _) => return None,
            // Of a field that comes twice the last one counts.
            (1, 0) => status = varint(&mut rest)?,
            _ => skip(&mut rest, field, kind, 0)?,
        }
    }
    Some(status)
}

/// Groups within groups; a message of three states has none.
const MAX_GROUPS: usize = 16;

/// Passes over a field that is not known here: the server may know more than we do.
/// <https://protobuf.dev/programming-guides/encoding/>
fn skip(rest: &mut &[u8], field: u64, kind: u64, depth: usize) -> Option<()> {
    let length = match kind {
        0 => {
            varint(rest)?;
            0
        }
        1 => 8,
        2 => usize::try_from(varint(rest)?).ok()?,
        3 if depth < MAX_GROUPS => loop {
            let tag = varint(rest)?;
            match (tag >> 3, tag & 7) {
                (end, 4) if end == field => break 0,
                (0, _) | (_, 4) => return None,
                (inner, kind) => skip(rest, inner, kind, depth + 1)?,
            }
        },
        5 => 4,
        _ => return None,
    };
    (_, *rest) = rest.split_at_checked(length)?;
    Some(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// <https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>
fn code_name(code: &str) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let number: Option<usize> = code.parse().ok();
    number
        .and_then(|number| NAMES.get(number))
        .copied()
        .unwrap_or("UNKNOWN")
}

impl Kind for GrpcProbe {
    fn subject(&self) -> String {
        self.address.to_string()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Grpc::new(self, around)?))
    }
}

impl Probe for Grpc {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let rule = self.probe.addresses;
            let ask = async |end| self.measure_endpoint(end).await;
            let route = self.transport.route();
            Box::pin(measure_every(
                route,
                &self.place,
                rule,
                timeout,
                EXPECTED,
                ask,
            ))
            .await
        })
    }

    fn hint(&self) -> String {
        let plain = if self.request.url.scheme() == "http" {
            "-plaintext "
        } else {
            ""
        };
        let (service, place) = (&self.probe.service, &self.place);
        format!(
            "try it: grpcurl {plain}-d '{{\"service\": \"{service}\"}}' {place} grpc.health.v1.Health/Check"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_written_and_read() {
        assert_eq!(encode_request(""), [0, 0, 0, 0, 0]);
        assert_eq!(encode_request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = encode_request(&"x".repeat(300));
        assert_eq!(&long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 2]);
        assert_eq!(status(&[0, 0, 0, 0, 0]), Some(0));
        assert_eq!(status(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        let framed = |message: &[u8]| {
            let length = u8::try_from(message.len()).unwrap_or_default();
            [&[0, 0, 0, 0, length], message].concat()
        };
        for (message, expected) in [
            // Fields that are not known here: a number, a text, of eight and of four bytes, a
            // group with another one in it; before and after.
            (&[0x10, 0xac, 0x02, 8, 1][..], Some(1)),
            (&[8, 1, 0x1a, 2, b'o', b'k'], Some(1)),
            (
                &[0x21, 1, 2, 3, 4, 5, 6, 7, 8, 8, 2, 0x2d, 1, 2, 3, 4],
                Some(2),
            ),
            (&[0x33, 0x10, 1, 0x3b, 0x3c, 0x34, 8, 1], Some(1)),
            (&[0x82, 0x7d, 0, 8, 1], Some(1)),
            // Twice, longer than needed, negative, of another kind.
            (&[8, 2, 8, 1], Some(1)),
            (&[8, 0x81, 0], Some(1)),
            (
                &[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                Some(u64::MAX),
            ),
            (&[0x0a, 1, 1], Some(0)),
            // Cut off, without end, without a number.
            (&[8], None),
            (&[0x1a, 5, 1], None),
            (&[0x33, 8, 1], None),
            (&[0x34], None),
            (&[0, 1], None),
            (&[0x0f, 1], None),
            (&[0xff; 11], None),
        ] {
            assert_eq!(status(&framed(message)), expected, "{message:?}");
        }
        assert_eq!(status(&framed(&[0x33; 100])), None);
        for bad in [
            &[][..],
            &[0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 3, 8, 1],
            &[0, 0, 0, 0, 2, 8, 0x81],
            &[0, 0xff, 0xff, 0xff, 0xff, 8, 1],
        ] {
            assert_eq!(status(bad), None, "{bad:?}");
        }
    }
}

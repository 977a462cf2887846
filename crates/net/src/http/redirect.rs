//! Redirects, as far as a configuration wants them followed.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, LOCATION, TRANSFER_ENCODING};
use http::{HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use model::text::excerpt;
use url::Url;

use super::reply::{Certificate, Reply};
use super::request::Request;
use super::transport::{Transport, place, same_server};
use crate::connect_error::ConnectError;
use crate::route::Endpoint;

/// Cookies, where there are any to be kept.
pub trait Memory {
    fn before(&self, request: &mut Request);
    fn after(&self, url: &Url, reply: &Reply);
}

/// Sends a request and those that its redirects ask for, up to `limit` of them. What is a secret
/// for one server does not reach another.
///
/// The answer is the last one, of the whole way: it took the time of all hops, and its certificate
/// is the one that ends first of all that a user would meet.
pub async fn follow(
    transport: &Transport,
    request: &Request,
    ends: &[Endpoint],
    limit: u32,
    memory: Option<&dyn Memory>,
) -> Result<Reply, ConnectError> {
    if limit == 0 && memory.is_none() {
        return transport.send(request, ends).await;
    }
    let first = &request.url;
    let mut request = request.clone();
    let mut sent = remembered(&request, memory);
    let mut trail = vec![];
    let (mut took, mut certificate) = (Duration::ZERO, None);
    loop {
        let own = same_server(first, &sent.url) || trail.is_empty();
        let reply = if own {
            let port = place(&sent.url).port;
            let ends: Vec<Endpoint> = ends.iter().map(|end| end.with_port(port)).collect();
            transport.send(&sent, &ends).await
        } else {
            transport.send_elsewhere(&sent).await
        };
        let mut reply = reply.map_err(|problem| {
            if trail.is_empty() {
                problem
            } else {
                problem.at(&public(&sent.url))
            }
        })?;
        if let Some(memory) = memory {
            memory.after(&sent.url, &reply);
        }
        if !trail.is_empty() {
            reply.redirected = Some(public(&sent.url));
        }
        took += reply.took;
        certificate = first_to_end(certificate, reply.certificate.take());
        if limit == 0 || !is_redirect(reply.status) {
            (reply.took, reply.certificate) = (took, certificate);
            return Ok(reply);
        }
        let next = destination(&sent.url, &reply)?;
        trail.push(step(&sent));
        request = onward(request, &reply, next)?;
        sent = remembered(&request, memory);
        // With another cookie it is another question: many a page sets one and asks for itself.
        if trail.contains(&step(&sent)) {
            let way: Vec<_> = trail.iter().map(|(_, url, _)| public(url)).collect();
            let reason = format!(
                "redirects in circles: {} → {}",
                way.join(" → "),
                public(&sent.url)
            );
            return Err(useless(&reply, reason));
        }
        if trail.len() > limit as usize {
            let reason = format!(
                "more redirects than max-redirects ({limit}), the last one to {}",
                public(&sent.url)
            );
            return Err(useless(&reply, reason));
        }
    }
}

/// A request with the cookies that it is sent with.
fn remembered(request: &Request, memory: Option<&dyn Memory>) -> Request {
    let mut sent = request.clone();
    if let Some(memory) = memory {
        memory.before(&mut sent);
    }
    sent
}

/// What distinguishes one question from another.
fn step(sent: &Request) -> (Method, Url, Option<HeaderValue>) {
    let cookie = sent.headers.get(COOKIE).cloned();
    (sent.method.clone(), sent.url.clone(), cookie)
}

/// The worse of two hops' certificates: one that cannot be read, else the one that ends first.
fn first_to_end(one: Option<Certificate>, other: Option<Certificate>) -> Option<Certificate> {
    let holds_until = |certificate: &Certificate| match &certificate.validity {
        Ok(validity) => Some(validity.days_left(Timestamp::now())),
        Err(_) => None,
    };
    one.into_iter().chain(other).min_by_key(holds_until)
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// A redirect that a user could not follow either.
fn useless(reply: &Reply, reason: impl ToString) -> ConnectError {
    ConnectError::of_service(reason).value(reply.status.to_string())
}

fn destination(from: &Url, reply: &Reply) -> Result<Url, ConnectError> {
    let Some(location) = reply.headers.get(LOCATION) else {
        let reason = format!("status {} without a Location", reply.status);
        return Err(useless(reply, reason));
    };
    let text = String::from_utf8_lossy(location.as_bytes());
    match from.join(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => {
            let location = excerpt(location.as_bytes());
            let reason = format!("it redirects to `{location}`, which is not an http URL");
            Err(useless(reply, reason))
        }
    }
}

/// The request that a redirect asks for.
fn onward(request: Request, reply: &Reply, mut next: Url) -> Result<Request, ConnectError> {
    // What a server writes before the `@` is nothing that we were given to show.
    let _ = next.set_username("").and_then(|()| next.set_password(None));
    next.set_fragment(None);
    let keeps = matches!(
        StatusCode::from_u16(reply.status),
        Ok(StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
    ) || matches!(request.method, Method::GET | Method::HEAD);
    let same = same_server(&request.url, &next);
    if keeps && !same && !request.body.is_empty() {
        let reason = format!(
            "it redirects to {}, and the body is not for another server",
            public(&next)
        );
        return Err(useless(reply, reason));
    }
    let onward = if same {
        request.moved(&next)
    } else {
        Request::stranger(&next)
    };
    let mut onward = onward.map_err(|error| useless(reply, error))?;
    if keeps {
        onward.method = request.method;
        onward.body = request.body;
    } else {
        for name in [CONTENT_TYPE, CONTENT_LENGTH, TRANSFER_ENCODING] {
            onward.headers.remove(name);
        }
    }
    Ok(onward)
}

/// A URL without what may be a secret in it.
pub fn public(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

//! Caddy's admin API: the configuration that it uses, read with its ETag and changed only where it is
//! still the one that was read.

use std::time::Duration;

use http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH};
use http::{HeaderName, Method};
use net::http::reply::Reply;
use net::http::request::{Request, parse};
use net::http::transport::{Transport, Wire, place as server};
use net::party::Party;
use net::{ConnectError, Route};
use place::{Error, Place};
use probe::ProbeContext;
use serde_json::Value;

/// Far more than the configuration of a server with thousands of sites.
const MAX_ANSWER: u64 = 16 << 20;
/// Of its own words, so many characters are shown.
const MAX_SHOWN_CHARS: usize = 500;
/// With each load of a configuration Caddy starts its admin API anew, and cuts who is just asking: so
/// often it is asked.
const MAX_ATTEMPTS: u32 = 3;
const RETRY_DELAY: Duration = Duration::from_millis(20);

pub(super) struct Admin<'a> {
    pub(super) url: &'a str,
    pub(super) around: &'a ProbeContext,
    /// For each question.
    pub(super) limit: Duration,
}

/// The whole configuration as it is used now.
pub(super) struct Loaded {
    pub(super) config: Value,
    etag: HeaderValue,
}

/// What became of a conditional change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patched {
    Done,
    /// The configuration is no longer the one that was read; nothing was changed.
    Overtaken,
}

impl Admin<'_> {
    pub(super) async fn loaded(&self, place: &Place) -> Result<Loaded, Error> {
        let reply = self.query(place, Method::GET, &["config", ""], &[], Vec::new());
        let reply = good(reply.await?).map_err(|error| self.at(error))?;
        // Caddy 2.6 tells it behind the body.
        let etag = reply
            .headers
            .get(ETAG)
            .or_else(|| reply.trailers.as_ref()?.get(ETAG))
            .cloned();
        let etag = etag.ok_or_else(|| {
            let none = "it sends no ETag, so it is not Caddy, or a Caddy before 2.5";
            self.at(Error::Unfit(none.to_owned()))
        })?;
        let config = self.json(&reply)?;
        Ok(Loaded { config, etag })
    }

    /// Replaces one object of the configuration that was read, and lets Caddy use it.
    pub(super) async fn patch(
        &self,
        place: &Place,
        (read, path): (&Loaded, &[String]),
        value: &Value,
    ) -> Result<Patched, Error> {
        let words: Vec<&str> = ["config"]
            .into_iter()
            .chain(path.iter().map(String::as_str))
            .collect();
        let headers = [
            (IF_MATCH, read.etag.clone()),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ];
        let body = value.to_string().into_bytes();
        let reply = self
            .query(place, Method::PATCH, &words, &headers, body)
            .await?;
        if reply.status == 412 {
            return Ok(Patched::Overtaken);
        }
        good(reply).map_err(|error| self.at(error))?;
        Ok(Patched::Done)
    }

    /// The configuration that a Caddyfile means, to this Caddy and with its environment.
    pub(super) async fn adapted(&self, place: &Place, caddyfile: &str) -> Result<Value, Error> {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("text/caddyfile"))];
        let body = caddyfile.as_bytes().to_vec();
        let reply = self.query(place, Method::POST, &["adapt"], &headers, body);
        let reply = good(reply.await?).map_err(|error| self.at(error))?;
        let mut answer = self.json(&reply)?;
        Ok(answer["result"].take())
    }

    /// The requests that are under way at an upstream; `None` where Caddy lists no such upstream.
    pub(super) async fn open(&self, place: &Place, dial: &str) -> Result<Option<u64>, Error> {
        let words = ["reverse_proxy", "upstreams"];
        let reply = self.query(place, Method::GET, &words, &[], Vec::new());
        let reply = good(reply.await?).map_err(|error| self.at(error))?;
        let answer = self.json(&reply)?;
        let mut all = answer.as_array().into_iter().flatten();
        let one = all.find(|one| one["address"] == dial);
        Ok(one.and_then(|one| one["num_requests"].as_u64()))
    }

    /// Asks what changes nothing, again where the connection is cut.
    async fn query(
        &self,
        place: &Place,
        method: Method,
        path: &[&str],
        headers: &[(HeaderName, HeaderValue)],
        body: Vec<u8>,
    ) -> Result<Reply, Error> {
        let mut tries = 1;
        loop {
            let asked = self.once(place, method.clone(), path, headers, body.clone());
            match asked.await? {
                Ok(reply) => return Ok(reply),
                Err(cut) if is_cut(&cut) && tries < MAX_ATTEMPTS => {
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                Err(problem) => return Err(self.at(problem.into())),
            }
            tries += 1;
        }
    }

    async fn once(
        &self,
        place: &Place,
        method: Method,
        path: &[&str],
        headers: &[(HeaderName, HeaderValue)],
        body: Vec<u8>,
    ) -> Result<Result<Reply, ConnectError>, Error> {
        let unfit = |reason: &dyn std::fmt::Display| self.at(Error::Unfit(reason.to_string()));
        let mut url = parse(self.url).map_err(|error| unfit(&error))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut request = Request::stranger(&url).map_err(|error| unfit(&error))?;
        request.method = method;
        request.body = body.into();
        request.headers.extend(headers.iter().cloned());
        let route = match place {
            Place::Here => Route::default(),
            Place::Host(host) => Route::out_of(host, &self.around.hosts),
        };
        let transport = Transport::new(Wire {
            route,
            proxy: None,
            version: config::file::HttpVersion::Http1,
            ca_file: None,
            client_certificate: None,
            server_name: None,
            certificates: false,
            max_body: MAX_ANSWER,
        });
        let transport = transport.map_err(|error| unfit(&error))?;
        let asking = async {
            let ends = transport.route().ends(&server(&request.url)).await?;
            transport.send(&request, &ends).await
        };
        let asked = tokio::time::timeout(self.limit, asking).await;
        asked.map_err(|_| {
            self.at(Error::Late {
                what: "no complete answer",
                within: self.limit,
            })
        })
    }

    fn json(&self, reply: &Reply) -> Result<Value, Error> {
        let json = serde_json::from_slice(&reply.body);
        json.map_err(|error| self.at(Error::Malformed(format!("it answers no JSON: {error}"))))
    }

    fn at(&self, error: Error) -> Error {
        error.at(format!("Caddy's admin API at {}", self.url))
    }
}

/// Whether there was a connection that ended before its answer.
fn is_cut(problem: &ConnectError) -> bool {
    !problem.is_refused() && *problem.party() == Party::Service
}

/// An answer that is not a refusal.
fn good(reply: Reply) -> Result<Reply, Error> {
    if reply.status == 200 {
        return Ok(reply);
    }
    let json: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let own = json.as_ref().and_then(|json| json["error"].as_str());
    let words = own.map_or_else(|| String::from_utf8_lossy(&reply.body), Into::into);
    let words = model::text::cut(words.trim(), MAX_SHOWN_CHARS);
    Err(Error::Refused(format!("status {}: {words}", reply.status)))
}

//! Smoke tests: requests that build on one another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use model::{Secret, Severity};
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::http::max_body;
use super::{Addresses, ClientCertificate, HttpVersion, PolicyOverlay, ProbeConfig};
use crate::value::template::{Piece, is_name, pieces};
use crate::value::{Filter, Json, Method, Pattern, Proxy, Size, Span, Statuses};
use sections::KeyPosition;

/// HTTP requests in their order, such as log in, order, look at the order. Cookies are kept from
/// one to the next, within one measurement.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SmokeProbe {
    /// The probe's name.
    pub name: String,
    /// The requests. Either these or `hurl`.
    #[serde(default)]
    pub requests: Vec<SmokeRequest>,
    /// A file for the program `hurl`, which must be installed.
    pub hurl: Option<PathBuf>,
    /// Values for `{{name}}` that stand before the first request, or hurl's variables.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The largest body that passes. Default 1MiB.
    #[serde(default = "max_body")]
    pub max_body: Size,
    /// Default: `auto`.
    #[serde(default)]
    pub http_version: HttpVersion,
    /// A file of PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to the servers.
    pub client_certificate: Option<ClientCertificate>,
    /// Addresses to connect to instead of those that the host of the first request resolves to.
    #[serde(default)]
    pub resolve: Vec<IpAddr>,
    /// Which of that host's addresses must pass, each with all of the requests. Default: all.
    #[serde(default)]
    pub addresses: Addresses,
    /// The proxy to go through, or `none`. Default: by `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`,
    /// unless `resolve` or `via` is given.
    pub proxy: Option<Proxy>,
    /// The host under `hosts:` to connect from, over SSH.
    pub via: Option<String>,
    /// What it does otherwise than the stage's policy; `timeout` is of all requests together.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

/// One request. In its URL, headers and body `{{name}}` is a value that an earlier request
/// captured, escaped as its place demands; JSON that is `"{{name}}"` alone takes the value's type.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SmokeRequest {
    /// What to call it where it fails. Default: its method and URL.
    pub name: Option<String>,
    /// `http://` or `https://`; or one `{{name}}` alone, a captured URL or path of the server of
    /// an earlier request.
    pub url: String,
    /// Default: `GET`, or `POST` with a body.
    pub method: Option<Method>,
    /// Headers to send. A value may use `${NAME}`; such a value is a secret.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub headers: BTreeMap<String, Secret>,
    /// The body as text. One of `body`, `body-file`, `json` and `form`.
    pub body: Option<String>,
    /// The file that holds the body, sent as it is.
    pub body_file: Option<PathBuf>,
    /// The body as JSON.
    pub json: Option<Json>,
    /// The body as a form's fields.
    #[serde(default)]
    pub form: BTreeMap<String, String>,
    /// Statuses that pass: `200`, `200-299`, `2xx`, or a list. Default: any from 200 to 299.
    #[serde(default)]
    pub status: Statuses,
    /// Answer headers and the regular expression that each must match.
    #[serde(default)]
    pub expect_headers: BTreeMap<String, Pattern>,
    /// A regular expression that the body must match.
    pub body_regex: Option<Pattern>,
    /// A jq filter over the JSON body. It must give `true`, and nothing else where it gives several
    /// values.
    pub jq: Option<Filter>,
    /// The slowest answer, body and redirects included, that passes.
    pub max_latency: Option<Span>,
    /// Redirects to follow; their count above which the probe fails. Default 0.
    #[serde(default)]
    pub max_redirects: u32,
    /// Values to hand on, by the jq filter that finds each in the JSON body. One that finds
    /// nothing, null, or several values that differ fails.
    #[serde(default)]
    pub capture: BTreeMap<String, Filter>,
}

impl ProbeConfig for SmokeProbe {
    common_fields!();

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        match (self.requests.is_empty(), &self.hurl) {
            (true, None) => return Err(spot.fault("neither `requests` nor `hurl` is given")),
            (false, Some(_)) => {
                let message = "`requests` and `hurl` exclude each other";
                return spot.refuse("hurl", message);
            }
            _ => {}
        }
        if !self.resolve.is_empty() && self.proxy.as_ref().is_some_and(|it| it.url().is_some()) {
            let message = "`resolve` and `proxy` exclude each other: the proxy connects";
            return spot.refuse("resolve", message);
        }
        let bad_name = |name: &str| format!("`{name}` is not a name: letters, digits, `_` and `-`");
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for name in self.variables.keys() {
            if !is_name(name) {
                return spot.refuse("variables", bad_name(name));
            }
            known.insert(name);
        }
        for (nth, request) in self.requests.iter().enumerate() {
            let at = spot.key("requests").item(nth);
            for (key, text) in texts(request) {
                let pieces = pieces(text).map_err(|error| at.key(key).fault(error.to_string()))?;
                for piece in pieces {
                    let Piece::Name(name) = piece else { continue };
                    if !known.contains(name) {
                        let message = format!("no request before this one captures `{name}`");
                        let all: Vec<&str> = known.iter().copied().collect();
                        return Err(at.key(key).fault(message).guess(name, &all));
                    }
                }
            }
            let alone = matches!(pieces(&request.url).as_deref(), Ok([Piece::Name(_)]));
            if !alone && !request.url.starts_with("http://") && !request.url.starts_with("https://")
            {
                let message = "the URL is not `http://…` or `https://…`";
                return at.refuse("url", message);
            }
            at.exclusive(&[
                ("body", request.body.is_some()),
                ("body-file", request.body_file.is_some()),
                ("json", request.json.is_some()),
                ("form", !request.form.is_empty()),
            ])?;
            for name in request.capture.keys() {
                if !is_name(name) {
                    return Err(at.key("capture").fault(bad_name(name)));
                }
                known.insert(name);
            }
        }
        Ok(())
    }
}

/// Every text of a request in which a name may stand, with its key.
fn texts(request: &SmokeRequest) -> Vec<(&'static str, &str)> {
    let mut all = vec![("url", request.url.as_str())];
    all.extend(
        request
            .headers
            .values()
            .map(|text| ("headers", text.expose())),
    );
    all.extend(request.form.values().map(|text| ("form", text.as_str())));
    all.extend(request.body.iter().map(|text| ("body", text.as_str())));
    if let Some(json) = &request.json {
        strings(json.get(), &mut all);
    }
    all
}

fn strings<'v>(value: &'v serde_json::Value, all: &mut Vec<(&'static str, &'v str)>) {
    match value {
        serde_json::Value::String(text) => all.push(("json", text)),
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, all)),
        serde_json::Value::Object(fields) => fields.values().for_each(|item| strings(item, all)),
        _ => {}
    }
}

//! HTTP endpoints.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use model::{Secret, Severity};
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{
    Addresses, ClientCertificate, HostList, HttpVersion, Match, MemberError, PolicyOverlay,
    ProbeConfig,
};
use crate::value::HTTP_URL;
use crate::value::{
    Filter, Json, Member, Method, Pattern, Portion, Proxy, Size, Span, Statuses, has_place,
};
use sections::KeyPosition;

/// An HTTP endpoint and what its answer must be. Each measurement opens a connection of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpProbe {
    /// The probe's name.
    pub name: String,
    /// `http://` or `https://`.
    #[schemars(regex(pattern = HTTP_URL))]
    pub url: String,
    /// Default: `GET`, or `POST` with a body.
    pub method: Option<Method>,
    /// Headers to send. A value may use `${NAME}`; such a value is a secret. A redirect to another
    /// server does not take them along.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub headers: BTreeMap<String, Secret>,
    /// The body as text. One of `body`, `body-file`, `json` and `form`.
    pub body: Option<String>,
    /// The file that holds the body.
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
    /// The largest body that passes, such as `64KiB`. Default 1MiB.
    #[serde(default = "max_body")]
    pub max_body: Size,
    /// Redirects to follow, with the cookies that they set; their count above which the probe
    /// fails. Default 0: a redirect is an answer like any other.
    #[serde(default)]
    pub max_redirects: u32,
    /// Where the answering release's name stands. Default: looked for in the probe's own answer.
    pub release: Option<ReleaseSource>,
    /// Default: `auto`.
    #[serde(default)]
    pub http_version: HttpVersion,
    /// A file of PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to the server.
    pub client_certificate: Option<ClientCertificate>,
    /// The name to send in the TLS handshake, which the certificate must be for. Default: the
    /// URL's host.
    pub server_name: Option<String>,
    /// The days that each certificate of the server's chain must still hold, also of those that
    /// redirect. Default: any that are left.
    pub min_days: Option<u32>,
    /// Addresses to connect to instead of those that the URL's host resolves to.
    #[serde(default)]
    pub resolve: Vec<IpAddr>,
    /// The proxy to go through, or `none`. Default: by `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`,
    /// unless `resolve` or `via` is given.
    pub proxy: Option<Proxy>,
    /// The host under `hosts:` to connect from, over SSH: the URL's host is looked up there, and
    /// `127.0.0.1` is the host itself.
    pub via: Option<String>,
    /// Which of the resolved addresses must pass. Default: all.
    #[serde(default)]
    pub addresses: Addresses,
    /// Probe many endpoints as one group: a file with one of them a line, such as
    /// `10.0.0.17:8000`; `#` begins a comment. `{target}` above is the line, `{host}` its host.
    pub targets_file: Option<PathBuf>,
    /// Probe these machines of `hosts:` as one group: `all`, a pattern, or a list. `{host}` above is
    /// the machine's name, `{address}` its address.
    pub hosts: Option<HostList>,
    /// How many of the group must pass, such as `95%` or `12`. Default 100%.
    pub require: Option<Portion>,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

impl HttpProbe {
    /// A `GET` with every default.
    pub fn get(name: impl Into<String>, url: impl Into<String>) -> Self {
        HttpProbe {
            name: name.into(),
            url: url.into(),
            method: None,
            headers: BTreeMap::new(),
            body: None,
            body_file: None,
            json: None,
            form: BTreeMap::new(),
            status: Statuses::default(),
            expect_headers: BTreeMap::new(),
            body_regex: None,
            jq: None,
            max_latency: None,
            max_body: max_body(),
            max_redirects: 0,
            release: None,
            http_version: HttpVersion::default(),
            ca_file: None,
            client_certificate: None,
            server_name: None,
            min_days: None,
            resolve: Vec::new(),
            proxy: None,
            via: None,
            addresses: Addresses::default(),
            targets_file: None,
            hosts: None,
            require: None,
            policy: None,
            severity: Severity::default(),
        }
    }
}

/// Where the name of the answering release stands. One of `header` and `jq`, or neither: then
/// it is looked for in the answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReleaseSource {
    /// Request this URL. Default: the probe's own URL, and its own answer.
    pub url: Option<String>,
    /// The answer header that holds it.
    pub header: Option<String>,
    /// A jq filter over the JSON body that gives it. Where it gives several, they must be the same.
    pub jq: Option<Filter>,
    /// How it must match `--release`. Default: exact.
    #[serde(default)]
    pub r#match: Match,
}

pub(super) fn max_body() -> Size {
    Size::from_bytes(1 << 20)
}

impl ProbeConfig for HttpProbe {
    common_fields!();
    group_fields!();

    fn fill(&mut self, member: &Member) -> Result<(), MemberError> {
        let in_url = member.in_url();
        self.url = in_url.fill(&self.url);
        for text in [&mut self.via, &mut self.server_name].into_iter().flatten() {
            *text = member.fill(text);
        }
        for value in self.headers.values_mut() {
            *value = member.fill(value.expose()).into();
        }
        if let Some(url) = self.release.as_mut().and_then(|it| it.url.as_mut()) {
            *url = in_url.fill(url);
        }
        Ok(())
    }

    fn has_place(&self) -> bool {
        has_place(&self.url) || self.via.as_deref().is_some_and(has_place)
    }

    fn release_rule(&self) -> Option<Match> {
        self.release.as_ref().map(|source| source.r#match)
    }

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        // The template of a group is not a URL before it is filled.
        if !self.is_group() {
            spot.key("url").http_url(&self.url)?;
        }
        spot.exclusive(&[
            ("body", self.body.is_some()),
            ("body-file", self.body_file.is_some()),
            ("json", self.json.is_some()),
            ("form", !self.form.is_empty()),
        ])?;
        if !self.url.starts_with("https:") && !self.url.starts_with("{target}") {
            for (key, given) in [
                ("ca-file", self.ca_file.is_some()),
                ("client-certificate", self.client_certificate.is_some()),
                ("server-name", self.server_name.is_some()),
                ("min-days", self.min_days.is_some()),
            ] {
                if given && self.max_redirects == 0 {
                    return spot.refuse(key, format!("`{key}` is for an `https://` URL"));
                }
            }
        }
        if !self.resolve.is_empty() && self.proxy.as_ref().is_some_and(|it| it.url().is_some()) {
            let message = "`resolve` and `proxy` exclude each other: the proxy connects";
            return spot.refuse("resolve", message);
        }
        let Some(release) = &self.release else {
            return Ok(());
        };
        if release.header.is_some() && release.jq.is_some() {
            return spot.refuse("release", "`header` and `jq` exclude each other");
        }
        match &release.url {
            Some(url) if !self.is_group() => spot.key("release").key("url").http_url(url),
            _ => Ok(()),
        }
    }
}

//! What a Prometheus server is asked, and how it is reached.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use crate::spot::KeyPosition;

/// How a Prometheus server, or what stands before it, lets us in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PrometheusAccess {
    /// Whom to log in as, by basic authentication.
    pub username: Option<String>,
    /// The environment variable that holds the user's password.
    pub password_env: Option<String>,
    /// The environment variable that holds a bearer token.
    pub token_env: Option<String>,
    /// The tenant whose data is queried, sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// The certificates (PEM) that sign the server's, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, where the server requires one.
    pub client_certificate: Option<ClientCertificate>,
}

/// What shows a server who we are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClientCertificate {
    /// A file of PEM certificates, our own first.
    pub certificate_file: PathBuf,
    /// A file with its private key, PEM.
    pub key_file: PathBuf,
}

/// What the metrics are called that objectives are counted from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SloMetrics {
    /// The counter of requests. Default `http_requests_total`.
    pub requests: String,
    /// Its label that holds a request's status. Default `status`.
    pub status_label: String,
    /// The regular expression of the statuses that are failures. Default `5..`.
    pub errors: String,
    /// The histogram of answer times, without `_bucket`. Default `http_request_duration_seconds`.
    pub duration: String,
    /// What it counts: `s`, or `ms` as Micrometer's or OpenTelemetry's older names end. Default `s`.
    pub duration_unit: TimeUnit,
    /// The gauge that is 1 where a target could be scraped. Default `up`.
    pub up: String,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TimeUnit {
    #[default]
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
}

impl Default for SloMetrics {
    fn default() -> Self {
        SloMetrics {
            requests: "http_requests_total".to_owned(),
            status_label: "status".to_owned(),
            errors: "5..".to_owned(),
            duration: "http_request_duration_seconds".to_owned(),
            duration_unit: TimeUnit::Seconds,
            up: "up".to_owned(),
        }
    }
}

impl PrometheusAccess {
    pub fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if self.username.is_some() && self.token_env.is_some() {
            return spot.refuse("username", "`username` and `token-env` exclude each other");
        }
        if self.password_env.is_some() && self.username.is_none() {
            return spot.refuse("password-env", "`password-env` needs `username`");
        }
        Ok(())
    }
}

impl SloMetrics {
    /// They become part of a query.
    pub fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        for (key, name) in [
            ("requests", &self.requests),
            ("duration", &self.duration),
            ("up", &self.up),
            ("status-label", &self.status_label),
        ] {
            if !is_metric(name) {
                return spot.refuse(key, format!("`{name}` is not a metric name"));
            }
        }
        Ok(())
    }
}

/// Whether it is a name of a metric or a label.
pub fn is_metric(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.chars().all(good) && name.starts_with(|c: char| !c.is_ascii_digit())
}

//! What a bad release served.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use crate::{PrometheusAccess, Spot};

/// How many requests a release served, and how many of them failed, by counters of a Prometheus server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exposure {
    /// The server, such as `http://127.0.0.1:9090`.
    pub server: String,
    /// A selector of the counters of all its requests, such as `http_requests_total{release="{release}"}`;
    /// `{release}` is the bad release.
    pub total: String,
    /// A selector of the counters of those that failed: `http_requests_total{release="{release}",status=~"5.."}`.
    pub failed: String,
    /// How the server lets us in.
    pub access: Option<PrometheusAccess>,
}

impl Exposure {
    pub(super) fn check(&self, spot: Spot<'_>) -> Result<(), Fault> {
        spot.key("server").http_url(&self.server)?;
        spot.key("total").some_text(&self.total)?;
        spot.key("failed").some_text(&self.failed)
    }
}

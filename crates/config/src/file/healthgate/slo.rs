//! Service level objectives, read from Prometheus.

use std::collections::BTreeMap;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::PolicyOverlay;
use crate::value::{Quantity, Span};
use sections::{KeyPosition, PrometheusAccess, SloMetrics, is_metric};

/// Objectives that the service must meet over a window, each a probe: `slo/error-rate`, `slo/p95`,
/// `slo/availability`. Without traffic they are inconclusive.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Slo {
    /// The Prometheus server's base URL. Default: that of the first probe under `prometheus:`, with
    /// its `access`.
    pub server: Option<String>,
    /// How to log in to the server. Default: no login.
    pub access: Option<PrometheusAccess>,
    /// The greatest share of requests that may fail, such as `5%`.
    pub error_rate: Option<Quantity>,
    /// In which time 95 of 100 requests are answered, such as `3s`.
    pub p95: Option<Quantity>,
    /// The least share of the targets' scrapes that must succeed, such as `95%`.
    pub availability: Option<Quantity>,
    /// Over which time it is counted. Default 5m.
    #[serde(default = "window")]
    pub window: Span,
    /// Labels that the service's series have, such as `{ job: shop, deployment: canary }`.
    /// Default: none, so that everything counts that the server scrapes.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What the metrics are called.
    #[serde(default)]
    pub metrics: SloMetrics,
    /// The objectives fail once they were missed for this long without a success between; takes the
    /// place of their policy's `failing-for`.
    pub failing_for: Option<Span>,
    /// How old the newest sample of each metric may be. One series of each must be fresh: those of
    /// an instance that the deployment took away are old. Default 2m.
    #[serde(default = "max_age")]
    pub max_age: Span,
    /// What they do otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows them, but they cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

fn window() -> Span {
    Span::from_secs(300)
}

fn max_age() -> Span {
    Span::from_secs(120)
}

impl Slo {
    /// `is_alone`: there is no `prometheus:` probe whose server it could ask.
    pub(crate) fn check(&self, is_alone: bool, spot: KeyPosition<'_>) -> Result<(), Fault> {
        match &self.server {
            Some(server) => spot.key("server").http_url(server)?,
            None if is_alone => {
                return Err(spot
                    .fault("no `server` is given")
                    .hint("add `server: http://prometheus.internal:9090`"));
            }
            None if self.access.is_some() => {
                return spot.refuse("access", "`access` needs `server`");
            }
            None => {}
        }
        if let Some(access) = &self.access {
            access.check(spot.key("access"))?;
        }
        if self.error_rate.is_none() && self.p95.is_none() && self.availability.is_none() {
            return Err(spot
                .fault("no objective is given")
                .hint("add `error-rate: 5%`, `p95: 3s` or `availability: 95%`"));
        }
        if self.window.get().is_zero() {
            return spot.refuse("window", "must be more than zero");
        }
        for (key, share) in [
            ("error-rate", self.error_rate),
            ("availability", self.availability),
        ] {
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share.get())) {
                return spot.refuse(key, "a share is from 0% to 100%");
            }
        }
        self.metrics.check(spot.key("metrics"))?;
        if let Some(name) = self.labels.keys().find(|name| !is_metric(name)) {
            let message = format!("`{name}` is not a label name");
            return spot.refuse("labels", message);
        }
        Ok(())
    }
}

//! One metric of the comparison.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::KayentaMetric;
use crate::prometheus::SloMetrics;
use values::Quantity;

/// What both sides are compared by.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CanaryMetric {
    /// The metric's name: its outcome is `canary/NAME`, and recorded data has it by this name.
    pub name: String,
    /// What it counts.
    pub kind: CanaryKind,
    /// Of a ratio: the counter of the requests that failed. Default: the preset's.
    pub failed: Option<String>,
    /// Of a ratio or a count: the counter of all requests. Default: the preset's for a ratio, none for
    /// a count.
    pub total: Option<String>,
    /// Of a histogram: its buckets. Default: the preset's.
    pub buckets: Option<String>,
    /// Of a gauge or a count: its series.
    pub query: Option<String>,
    /// How many times stable's value the canary's may be: `1.5`, or `50%` more. 1.01 means that any
    /// increase is harm. Of a gauge also an amount more, such as `64MiB`. Default 1.5, for a gauge 20%.
    pub tolerance: Option<Quantity>,
    /// The share of the canary's requests that may fail, or be slow, whatever stable's is, such as
    /// `0.1%`: harm is more than this and more than the tolerance. Default: the tolerance alone decides;
    /// of a histogram 0.25%.
    pub at_most: Option<Quantity>,
    /// For `judge: threshold`: the greatest value. Of a ratio the share that failed, of a histogram the
    /// `quantile`.
    pub max: Option<Quantity>,
    /// For `judge: threshold`: the least value. Of a ratio the share that did not fail.
    pub min: Option<Quantity>,
    /// For `judge: threshold`: how much more than stable's the value may be, such as `5%` (points) or
    /// `3s`.
    pub max_increase: Option<Quantity>,
    /// For `judge: threshold` and `judge: kayenta`: which value of a histogram is compared. Default 95%.
    pub quantile: Option<Quantity>,
    /// For `judge: kayenta`.
    #[serde(default)]
    pub kayenta: KayentaMetric,
    /// `advisory` shows the metric, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CanaryKind {
    /// Failures of requests, from two counters.
    Ratio,
    /// Durations, from the buckets of a histogram: the share above each bound is compared.
    Histogram,
    /// A value of each instance at each scrape, such as its memory.
    Gauge,
    /// Events: of all requests where there is a `total`, else of both sides' instances.
    Count,
}

/// How many times stable's value is harm in a ratio or a histogram.
pub(super) const TOLERANCE: f64 = 1.5;

impl CanaryMetric {
    pub const QUERIES: [&str; 4] = ["failed", "total", "buckets", "query"];

    pub fn new(name: &str, kind: CanaryKind) -> CanaryMetric {
        CanaryMetric {
            name: name.to_owned(),
            kind,
            failed: None,
            total: None,
            buckets: None,
            query: None,
            tolerance: None,
            at_most: None,
            max: None,
            min: None,
            max_increase: None,
            quantile: None,
            kayenta: KayentaMetric::default(),
            severity: Severity::default(),
        }
    }

    /// How many times stable's value is harm.
    pub fn tolerance(&self) -> f64 {
        match (self.tolerance, self.kind) {
            (Some(tolerance), _) if tolerance.unit() == values::Unit::Percent => {
                1.0 + tolerance.get()
            }
            (Some(tolerance), _) => tolerance.get(),
            (None, CanaryKind::Gauge) => 1.2,
            (None, _) => TOLERANCE,
        }
    }

    pub fn quantile(&self) -> f64 {
        self.quantile.map_or(0.95, Quantity::get)
    }

    /// With the queries that most services need.
    pub(super) fn with_queries(mut self, names: &SloMetrics) -> CanaryMetric {
        let SloMetrics {
            requests,
            status_label,
            errors,
            duration,
            ..
        } = names;
        match self.kind {
            CanaryKind::Ratio if self.failed.is_none() && self.total.is_none() => {
                self.failed = Some(format!("{requests}{{{{side}},{status_label}=~{errors:?}}}"));
                self.total = Some(format!("{requests}{{{{side}}}}"));
            }
            CanaryKind::Histogram => {
                let buckets = || format!("{duration}_bucket{{{{side}}}}");
                self.buckets.get_or_insert_with(buckets);
            }
            CanaryKind::Ratio | CanaryKind::Gauge | CanaryKind::Count => {}
        }
        self
    }
}

pub(super) fn of_requests() -> Vec<CanaryMetric> {
    let mut errors = CanaryMetric::new("errors", CanaryKind::Ratio);
    // Of a service that has hardly any errors, no traffic shows a ratio.
    errors.at_most = Some(Quantity::percent(0.1));
    vec![errors, CanaryMetric::new("latency", CanaryKind::Histogram)]
}

/// The runbook's three, with what each of them may be.
pub(super) fn of_runbook_003() -> Vec<CanaryMetric> {
    let errors = CanaryMetric::new("error-rate", CanaryKind::Ratio);
    let mut availability = CanaryMetric::new("availability", CanaryKind::Ratio);
    // Less than the runbook's 95 %, unless stable has as little.
    availability.at_most = Some(Quantity::percent(5.0));
    availability.tolerance = Some(Quantity::percent(1.0));
    vec![
        errors,
        CanaryMetric::new("p95", CanaryKind::Histogram),
        availability,
    ]
}

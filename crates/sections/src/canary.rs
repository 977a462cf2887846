//! `healthgate.canary`: the release under test against the one before it, while both serve.

mod kayenta;
mod metric;
mod rules;
mod source;
mod threshold;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use kayenta::{KayentaDirection, KayentaMetric, KayentaScore};
pub use metric::{CanaryKind, CanaryMetric};
pub use source::{AccessLog, CanaryCommand, LogFormat, LogSide};
pub use threshold::CanaryThresholds;

use crate::prometheus::{PrometheusAccess, SloMetrics};
use values::{Quantity, Span};

/// Is the release under test no worse than the one before it, while both serve? Each metric is an
/// outcome, `canary/NAME`. `healthgate judge` gives the same verdict on recorded data.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Canary {
    /// How the sides are compared. Default: sequential.
    #[serde(default)]
    pub judge: Judge,
    /// From one comparison to the next. Default 30s.
    #[serde(default = "interval")]
    pub interval: Span,
    /// By when each metric must have decided; else it is inconclusive. Default 30m.
    #[serde(default = "deadline")]
    pub deadline: Span,
    /// The chance of failing a release that is not worse than the tolerance, over the whole watch: all
    /// comparisons and all metrics together. For `judge: sequential`. Default 1%.
    #[serde(default = "alpha")]
    pub alpha: Quantity,
    /// The chance of passing a release that is worse than the tolerance. For `judge: sequential`.
    /// Default 5%.
    #[serde(default = "beta")]
    pub beta: Quantity,
    /// How long a new instance is left out of the comparison after its start. Default 0s.
    #[serde(default)]
    pub warm_up: Span,
    /// The base URL of the Prometheus server that knows both sides. Default: that of the first probe
    /// under `prometheus:`, with its `access`, unless there is another source.
    pub server: Option<String>,
    /// How to log in to the server. Default: no login.
    pub access: Option<PrometheusAccess>,
    /// What stands for `{side}` in the queries.
    pub sides: Option<CanarySides>,
    /// The label that holds the release: short for `sides` of `LABEL="${RELEASE}"` and
    /// `LABEL="${LAST_KNOWN_GOOD}"`.
    pub label: Option<String>,
    /// Further labels of both sides' series, such as `{ job: shop }`. Default: none.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// An access log as the source, instead of a server.
    pub access_log: Option<AccessLog>,
    /// A command as the source, instead of a server.
    pub command: Option<CanaryCommand>,
    /// Which metrics are compared where `metrics` lists none. Default: requests; with `judge:
    /// threshold` runbook-003.
    pub preset: Option<CanaryPreset>,
    /// What the metrics of the preset are called.
    #[serde(default)]
    pub metric_names: SloMetrics,
    /// What is compared. Default: the metrics of `preset`.
    #[serde(default)]
    pub metrics: Vec<CanaryMetric>,
    /// For `judge: threshold`.
    #[serde(default)]
    pub thresholds: CanaryThresholds,
    /// For `judge: kayenta`.
    #[serde(default)]
    pub kayenta: KayentaScore,
}

impl Default for Canary {
    fn default() -> Canary {
        Canary {
            judge: Judge::default(),
            interval: interval(),
            deadline: deadline(),
            alpha: alpha(),
            beta: beta(),
            warm_up: Span::ZERO,
            server: None,
            access: None,
            sides: None,
            label: None,
            labels: BTreeMap::new(),
            access_log: None,
            command: None,
            preset: None,
            metric_names: SloMetrics::default(),
            metrics: Vec::new(),
            thresholds: CanaryThresholds::default(),
            kayenta: KayentaScore::default(),
        }
    }
}

/// How the sides are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Judge {
    /// Each interval by itself, with error bounds that hold over all looks together.
    #[default]
    Sequential,
    /// As Kayenta compares: the points since the start, by a rank test; a score over all metrics. Its
    /// error bound is that of one look.
    Kayenta,
    /// Numbers against fixed limits, without error bounds.
    Threshold,
}

/// Metrics that most services have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CanaryPreset {
    /// `errors`, the share of requests that fail, with `at-most: 0.1%`, and `latency`.
    Requests,
    /// `error-rate`, `p95` (latency) and `availability`.
    #[serde(rename = "runbook-003")]
    Runbook003,
}

/// What selects the series of each side, such as `release="v2"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CanarySides {
    /// Of the release under test.
    pub canary: String,
    /// Of the release before it. `${LAST_KNOWN_GOOD}` is the variable of that name, or else what the
    /// state of `rollback` has.
    pub stable: String,
}

fn interval() -> Span {
    Span::from_secs(30)
}

fn deadline() -> Span {
    Span::from_secs(30 * 60)
}

fn alpha() -> Quantity {
    Quantity::percent(1.0)
}

fn beta() -> Quantity {
    Quantity::percent(5.0)
}

impl Canary {
    /// The keys that tell where data comes from.
    pub const OF_SOURCES: [&str; 7] = [
        "server",
        "access",
        "sides",
        "label",
        "labels",
        "access-log",
        "command",
    ];

    /// Those that only a rollout knows.
    pub const OF_SIDES: [&str; 4] = ["sides", "label", "access-log", "command"];

    /// What is compared, with every query that Prometheus is asked: the list, or the preset.
    pub fn compared(&self) -> Vec<CanaryMetric> {
        let listed = !self.metrics.is_empty();
        let runbook = self.judge == Judge::Threshold;
        let metrics = match self.preset {
            _ if listed => self.metrics.clone(),
            Some(CanaryPreset::Runbook003) => metric::of_runbook_003(),
            None if runbook => metric::of_runbook_003(),
            Some(CanaryPreset::Requests) | None => metric::of_requests(),
        };
        let asked = metrics.into_iter();
        asked
            .map(|metric| metric.with_queries(&self.metric_names))
            .collect()
    }

    /// What stands for `{side}` when the release under test is compared with the one before it.
    pub fn sides_of(&self, release: &str, before: &str) -> Option<CanarySides> {
        let sides = match (&self.sides, &self.label) {
            (Some(sides), _) => CanarySides {
                canary: sides.canary.replace(LAST_KNOWN_GOOD, before),
                stable: sides.stable.replace(LAST_KNOWN_GOOD, before),
            },
            (None, Some(label)) => CanarySides {
                canary: matcher(label, release),
                stable: matcher(label, before),
            },
            (None, None) => return None,
        };
        let labels = self.labels.iter();
        let more = labels.fold(String::new(), |all, (label, value)| {
            all + "," + &matcher(label, value)
        });
        Some(CanarySides {
            canary: sides.canary + &more,
            stable: sides.stable + &more,
        })
    }

    /// Whether a side is known only with the release before the one under test.
    pub fn needs_last_known_good(&self) -> bool {
        let is_late = |text: &String| text.contains(LAST_KNOWN_GOOD);
        match &self.sides {
            Some(sides) => is_late(&sides.canary) || is_late(&sides.stable),
            None => self.label.is_some(),
        }
    }
}

/// What is left for the stage, which can read the state.
const LAST_KNOWN_GOOD: &str = "${LAST_KNOWN_GOOD}";

/// A label with its value, as a selector of PromQL has it.
fn matcher(label: &str, value: &str) -> String {
    format!("{label}={value:?}")
}

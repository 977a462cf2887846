//! Prometheus queries.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{PolicyOverlay, ProbeConfig};
use crate::value::HTTP_URL;
use crate::value::{Quantity, Span};
use sections::{KeyPosition, PrometheusAccess};

/// A Prometheus instant query and the range its value must be in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrometheusProbe {
    /// The probe's name.
    pub name: String,
    /// The server's base URL, with its path prefix where it has one:
    /// `https://mimir.internal/prometheus`.
    #[schemars(regex(pattern = HTTP_URL))]
    pub server: String,
    /// How to log in to the server. Default: no login.
    pub access: Option<PrometheusAccess>,
    /// A query that gives one number; with `reduce`, several.
    pub query: String,
    /// The least value that passes: a number, `95%`, `250ms`.
    pub min: Option<Quantity>,
    /// The greatest value that passes: a number, `5%`, `3s`.
    pub max: Option<Quantity>,
    /// How several series become one number. Default: they do not, and `on-many-series` decides.
    pub reduce: Option<Reduce>,
    /// What an empty result means. Default: inconclusive.
    #[serde(default)]
    pub on_no_data: Undecided,
    /// The verdict for a result that is not a number: NaN, a histogram, or an infinite value that the
    /// bounds do not forbid. Default: inconclusive.
    #[serde(default)]
    pub on_nan: Undecided,
    /// What several series mean where one is expected. Default: inconclusive.
    #[serde(default)]
    pub on_many_series: Undecided,
    /// What a warning of the server means, such as a part of the data that it could not read
    /// (`isPartial` of VictoriaMetrics too); `pass` lets the value decide. Default: inconclusive.
    #[serde(default)]
    pub on_warning: Undecided,
    /// What a remark of the server about the query means (its `infos`, such as a counter whose
    /// name does not end in `_total`); `pass` lets the value decide. Default: pass.
    #[serde(default = "passes")]
    pub on_info: Undecided,
    /// What samples older than `max-age` mean, or of an unknown age; `pass` lets the
    /// value decide. Default: inconclusive.
    #[serde(default)]
    pub on_stale: Undecided,
    /// How old the newest sample of each series that the query names may be. Default 2m.
    #[serde(default = "max_age")]
    pub max_age: Span,
    /// The time between two scrapes of these series: a window shorter than four of it is warned
    /// about. Default: what the server reports of its targets.
    pub scrape_interval: Option<Span>,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

/// How several series become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reduce {
    /// The greatest.
    Max,
    /// The least.
    Min,
    /// All of them together.
    Sum,
    /// Their mean.
    Avg,
    /// The one that is farthest beyond a bound, or nearest to one.
    Worst,
}

/// What an answer means that decides nothing by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Undecided {
    #[default]
    Inconclusive,
    Pass,
    Fail,
    Error,
}

fn passes() -> Undecided {
    Undecided::Pass
}

fn max_age() -> Span {
    Span::from_secs(120)
}

impl ProbeConfig for PrometheusProbe {
    common_fields!();

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("server").http_url(&self.server)?;
        if self.min.is_none() && self.max.is_none() {
            return Err(spot.fault("neither `min` nor `max` is given"));
        }
        if let (Some(min), Some(max)) = (self.min, self.max)
            && min.get() > max.get()
        {
            return spot.refuse("min", "`min` is more than `max`: no value passes");
        }
        match &self.access {
            Some(access) => access.check(spot.key("access")),
            None => Ok(()),
        }
    }
}

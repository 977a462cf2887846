//! `healthgate:` — is what we deployed healthy, and is it the release we deployed?

use std::collections::BTreeMap;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::value::{Filter, Pattern, Size, Span};

/// Is what we deployed healthy, and is it the release we deployed?
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Healthgate {
    /// When a probe passes, fails, or is given up.
    #[serde(default)]
    pub policy: Policy,
    /// Whether somebody must prove that `--release` is what answered. Default: required.
    #[serde(default)]
    pub release_identity: Identity,
    /// HTTP endpoints.
    #[serde(default)]
    pub http: Vec<HttpProbe>,
    /// Prometheus queries.
    #[serde(default)]
    pub prometheus: Vec<PrometheusProbe>,
}

/// Whether a gate that was given a release may pass without anybody saying which one answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// No probe that names the release is inconclusive.
    #[default]
    Required,
    /// A wrong release fails, silence is accepted.
    Optional,
}

/// When a probe passes, fails, or is given up.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Wait this long before the first measurement. Default 0s.
    pub initial_delay: Span,
    /// From the start of one measurement to the start of the next. Default 2s.
    pub interval: Span,
    /// How long one measurement may take. Default 5s.
    pub timeout: Span,
    /// Successes in a row that pass. Default 3.
    #[schemars(range(min = 1))]
    pub success_threshold: u32,
    /// The probe fails as soon as its failures in all exceed this. Unset: only the deadline ends
    /// the wait.
    pub failure_limit: Option<u32>,
    /// Failures before the first success and within this time count for nothing. Default 0s.
    pub startup: Span,
    /// Errors in a row above which the probe ends as error. Default 4.
    pub error_limit: u32,
    /// Inconclusive measurements in a row above which the probe ends so. Default 4.
    pub inconclusive_limit: u32,
    /// Do not pass before this many measurements. Default 0.
    pub min_samples: u32,
    /// From the stage's start; a probe that has not passed by then has not passed. Default 2m.
    pub deadline: Span,
    /// After passing, keep measuring this long. Default 0s.
    pub soak: Span,
    /// Failures during the soak above which the probe fails. Default 0.
    pub soak_failure_limit: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            initial_delay: Span::ZERO,
            interval: Span::from_secs(2),
            timeout: Span::from_secs(5),
            success_threshold: 3,
            failure_limit: None,
            startup: Span::ZERO,
            error_limit: 4,
            inconclusive_limit: 4,
            min_samples: 0,
            deadline: Span::from_secs(120),
            soak: Span::ZERO,
            soak_failure_limit: 0,
        }
    }
}

/// An HTTP endpoint and what its answer must be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpProbe {
    /// The probe's name.
    pub name: String,
    /// `http://` or `https://`.
    pub url: String,
    /// Statuses that pass. Default: any from 200 to 299.
    #[serde(default)]
    pub status: Vec<u16>,
    /// Headers to send. A value may use `${NAME}`; such a value is a secret.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Answer headers and the regular expression that each must match.
    #[serde(default)]
    pub expect_headers: BTreeMap<String, Pattern>,
    /// A regular expression that the body must match.
    pub body_regex: Option<Pattern>,
    /// A jq filter over the JSON body whose first result must be true.
    pub jq: Option<Filter>,
    /// The slowest answer, body included, that passes.
    pub max_latency: Option<Span>,
    /// The largest body that passes, such as `64KiB`. Default 1MiB.
    #[serde(default = "max_body")]
    pub max_body: Size,
    /// Where the answering release's name stands. Default: looked for in the probe's own answer.
    pub release: Option<ReleaseSource>,
    /// Which of the resolved addresses must pass. Default: all.
    #[serde(default)]
    pub addresses: Addresses,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

/// Where the name of the answering release stands. One of `header` and `jq`, or neither: then
/// it is looked for in the answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReleaseSource {
    /// Ask here. Default: the probe's own URL, and its own answer.
    pub url: Option<String>,
    /// The answer header that holds it.
    pub header: Option<String>,
    /// A jq filter over the JSON body that gives it.
    pub jq: Option<Filter>,
    /// How it must match `--release`. Default: exact.
    #[serde(default)]
    pub r#match: Match,
}

/// How the answering release must match the expected one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    /// The same text.
    #[default]
    Exact,
    /// The answer begins with the expected release, or the other way round with at least seven
    /// characters, as a short commit id does.
    Prefix,
    /// The expected release, as a regular expression, matches the whole answer.
    Regex,
}

/// Which of the resolved addresses of a name must pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Addresses {
    /// Every one. For the name `localhost`, every one that accepts a connection.
    #[default]
    All,
    /// One that answers.
    Any,
}

/// A Prometheus instant query and the range its value must be in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrometheusProbe {
    /// The probe's name.
    pub name: String,
    /// The server's base URL.
    pub server: String,
    /// A query that gives one number.
    pub query: String,
    /// The least value that passes.
    pub min: Option<f64>,
    /// The greatest value that passes.
    pub max: Option<f64>,
    /// What an empty result means. Default: inconclusive.
    #[serde(default)]
    pub on_no_data: OnNoData,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

/// What an empty result means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnNoData {
    #[default]
    Inconclusive,
    Pass,
    Fail,
    Error,
}

fn max_body() -> Size {
    Size::from_bytes(1 << 20)
}

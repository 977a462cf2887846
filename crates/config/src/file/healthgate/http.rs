//! HTTP endpoints.

use std::collections::BTreeMap;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::PolicyOverlay;
use crate::value::{Filter, Pattern, Size, Span};

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
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
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
    /// One is enough.
    One,
}

fn max_body() -> Size {
    Size::from_bytes(1 << 20)
}

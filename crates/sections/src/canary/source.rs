//! Where the numbers come from, besides Prometheus.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::prometheus::TimeUnit;
use values::{ShellText, Span};

/// The access log of a router that has both sides behind it. Requests whose status `metric-names.errors`
/// matches are failures.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccessLog {
    /// The file. It is read from its end on, and again from its start after it was rotated.
    pub file: PathBuf,
    /// A name under `hosts:` where it is. Default: the machine that runs us.
    pub host: Option<String>,
    /// How a line is written. Default: combined.
    #[serde(default)]
    pub format: LogFormat,
    /// What names the side of a request.
    pub side: LogSide,
    /// The key of the status, for `format: json`. Default: `status`.
    pub status: Option<String>,
    /// Where the time is that an answer took: a key, for `format: combined` the number of the field.
    /// Default: `request_time`; for `format: combined` latency is not known.
    pub duration: Option<String>,
    /// What it counts. Default: s.
    #[serde(default)]
    pub duration_unit: TimeUnit,
}

/// How a line of an access log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// The combined format of nginx and Apache, with further fields at its end.
    #[default]
    Combined,
    /// A JSON object.
    Json,
}

/// What names the side of a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogSide {
    /// A key of the object, such as `upstream_addr`; for `format: combined` the number of the field in
    /// the line, from 1. What is quoted or in brackets is one field: the first that is not of the
    /// combined format is 10.
    pub field: String,
    /// The values of the canary's requests, such as `10.0.0.7:*`.
    pub canary: String,
    /// The values of stable's requests.
    pub stable: String,
}

/// A command that prints what one interval brought, as a line of recorded data:
/// `{"at": …, "metrics": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CanaryCommand {
    /// What `sh -c` runs at the end of each interval, with the variables of the stage; on a host, its
    /// login shell, with those of the stage that it names as `${NAME}`. `$CANARY` and `$STABLE` are the
    /// sides, `$RELEASE` is `--release`.
    pub run: ShellText,
    /// A name under `hosts:` where it runs. Default: the machine that runs us.
    pub host: Option<String>,
    /// How long it may take. Default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn timeout() -> Span {
    Span::from_secs(10)
}

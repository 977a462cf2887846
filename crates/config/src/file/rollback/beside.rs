//! What runs beside a rollback, and who is asked before one.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::file::ReleaseSource;
use crate::value::Span;

/// A way in to the service, which `rollback decide` asks for the release that answers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WayIn {
    /// The way's name, such as `proxy` or `new-instance`.
    pub name: String,
    /// The URL, and where the release stands in its answer.
    pub release: ReleaseSource,
    /// Whether users come this way. What another way answers is shown and decides nothing.
    #[serde(default)]
    pub traffic: bool,
    /// The host under `hosts:` to ask from, over SSH: `localhost` is that host. Default: from here.
    pub via: Option<String>,
}

/// A command of yours beside a rollback, run by `sh -c`. It cannot change the verdict.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hook {
    /// The hook's name.
    pub name: String,
    /// The command. Its environment has `RELEASE` (the destination), `PREVIOUS_RELEASE`, `SERVICE`,
    /// `ENVIRONMENT` and `EVIDENCE` (the folder with what was captured); hooks under `after` also
    /// `VERDICT`, `REASON` and `REPORT` (a file with the JSON report); those under `capture` run
    /// once for each host, with `HOST` set to its address.
    pub run: String,
    /// How long it may take. Default 1m.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn timeout() -> Span {
    Span::from_secs(60)
}

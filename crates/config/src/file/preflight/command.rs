//! Commands whose exit status and output decide.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{CheckConfig, hosts::named_hosts};
use crate::value::{Pattern, ShellText, Span, Weight};
use sections::KeyPosition;

/// A command that must end with an expected status and print what is expected.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommandCheck {
    /// The check's name.
    pub name: String,
    /// What `sh -c` runs, in the folder and with the variables of the stage; on a host, what its
    /// login shell (`sh`, `bash`, `zsh` and the like) runs, with that user's, and with those of the stage
    /// that it names as `${NAME}`. `$RELEASE` is `--release`.
    pub run: ShellText,
    /// Where it runs: a name under `hosts:`, a pattern such as `web-*`, or `all`.
    /// Default: on the machine that runs us.
    pub host: Option<String>,
    /// Exit statuses that are good. Default: 0.
    #[serde(default = "zero")]
    pub status: Vec<u8>,
    /// A text that must stand in its standard output.
    pub contains: Option<String>,
    /// A regular expression that its standard output must match; `(?m)` lets `^` and `$` stand
    /// for lines.
    pub matches: Option<Pattern>,
    /// How long it may take, with the login where it runs on a host. Default: `preflight.timeout`.
    pub timeout: Option<Span>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

fn zero() -> Vec<u8> {
    vec![0]
}

impl CheckConfig for CommandCheck {
    const KEYS: &[&str] = &["name"];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if let Some(host) = &self.host {
            named_hosts(spot.key("host"), host)?;
        }
        if self.status.is_empty() {
            return spot.refuse("status", "no exit status would be good");
        }
        spot.key("timeout").some_time(self.timeout)
    }
}

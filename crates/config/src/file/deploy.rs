//! `deploy:` — how `deploy-guard run` deploys.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::file::Hook;
use crate::value::{ShellText, Span};

/// How `deploy-guard run` deploys.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Deploy {
    /// Deploys `$RELEASE`; run by `sh -c`. With `traffic:` it deploys to `$SIDE`, `blue` or `green`, which has
    /// no requests, and leaves the other side alone.
    pub command: ShellText,
    /// How long it may take. Default 15m.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// What to do when the gate cannot decide. Default: halt.
    #[serde(default)]
    pub on_inconclusive: OnUndecided,
    /// What to do when the gate could not measure. Default: halt.
    #[serde(default)]
    pub on_error: OnUndecided,
    /// Commands that notify others, side by side, when `deploy-guard run` is over: whether it passed,
    /// went back, was refused, or was cancelled (then they have what is left of 8.5 seconds since
    /// the signal). One that fails or hangs is shown and changes neither verdict nor exit code.
    #[serde(default)]
    pub after: Vec<Hook>,
}

/// What follows a gate that neither passed nor failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnUndecided {
    /// Leave the new release where it is, report it, and exit with the gate's code.
    #[default]
    Halt,
    /// Roll back as if the gate had failed.
    Rollback,
}

fn timeout() -> Span {
    Span::from_secs(15 * 60)
}

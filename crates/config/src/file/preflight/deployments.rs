//! What GitHub's deployments must say.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::CheckConfig;
use crate::value::{Age, Weight};

/// The same commit must have been deployed with success to another environment before.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StagingCheck {
    /// The other environment, which is also the check's name.
    pub environment: String,
    /// How long ago that may have been at most, such as `24h` or `7d`. Default 7d.
    #[serde(default = "a_week")]
    pub max_age: Age,
    /// The commit, a tag or a branch. Default: as `preflight.commit` has it.
    pub commit: Option<String>,
    /// `owner/name`. Default: the repository of the workflow run.
    pub repository: Option<String>,
    /// The environment variable that holds a token for this check. Default: as under `github:`.
    pub token_env: Option<String>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

/// No other deployment to an environment may be in progress. The one that GitHub made for this
/// very workflow run does not count, nor one that waits for an approval.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeploymentsCheck {
    /// The environment, which is also the check's name.
    pub environment: String,
    /// Deployments that were made longer ago than this are taken for forgotten and do not count.
    /// Default: all count, of the newest hundred.
    pub stale_after: Option<Age>,
    /// `owner/name`. Default: the repository of the workflow run.
    pub repository: Option<String>,
    /// The environment variable that holds a token for this check. Default: as under `github:`.
    pub token_env: Option<String>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

fn a_week() -> Age {
    Age::from(std::time::Duration::from_hours(7 * 24))
}

impl CheckConfig for StagingCheck {
    const KEYS: &[&str] = &["environment"];
}

impl CheckConfig for DeploymentsCheck {
    const KEYS: &[&str] = &["environment"];
}

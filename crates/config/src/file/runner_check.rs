//! `runner-check:` — will a runner take the job, and which labels should it ask for?

use std::num::NonZero;

use schemars::JsonSchema;
use serde::Deserialize;

/// Pools of runners, in the order in which they are preferred.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunnerCheck {
    /// `owner/name`. Default: the repository of the workflow run.
    pub repository: Option<String>,
    /// Ask the organisation's runners instead of a repository's.
    pub organization: Option<String>,
    /// The environment variable that holds a token which may list runners. Default: GITHUB_TOKEN.
    pub token_env: Option<String>,
    /// The first pool that can take the job wins.
    #[serde(default)]
    pub pools: Vec<Pool>,
}

/// Runners that share labels.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pool {
    /// Such as `primary` or `emergency`.
    pub name: String,
    /// Labels that a runner must all have; case does not matter. They become `runs-on`.
    pub labels: Vec<String>,
    /// How many must be online. Default 1.
    #[serde(default = "one")]
    pub min_online: NonZero<u32>,
    /// Ask this organisation's runners for this pool.
    pub organization: Option<String>,
}

fn one() -> NonZero<u32> {
    NonZero::<u32>::MIN
}

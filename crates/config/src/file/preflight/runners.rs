//! Runners that must take the job.

use std::num::NonZero;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::CheckConfig;
use crate::value::{Span, Weight};
use sections::KeyPosition;
use sections::runner_check::{Members, Owner, RunnerMetric};

/// Runners that must take the job: online, or started for it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunnersCheck {
    /// The check's name.
    pub name: String,
    /// Labels that a runner must all have; case does not matter.
    pub labels: Vec<String>,
    /// `owner/name`. Default: the repository of the workflow run.
    pub repository: Option<String>,
    /// Use the organisation's runners instead of a repository's.
    pub organization: Option<String>,
    /// Use the enterprise's runners instead of a repository's.
    pub enterprise: Option<String>,
    /// Use the runners of this group of the organisation or enterprise: a name or an id.
    pub group: Option<String>,
    /// The repositories whose jobs show an organisation's or enterprise's runners: GitHub lists
    /// jobs by repository alone. At most 20. Default: the repository of the workflow run.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// Its runners, by their names under `runners:`: their machines are checked over SSH, and they
    /// are known also where GitHub's list may not be read.
    #[serde(default)]
    pub runners: Vec<String>,
    /// What Prometheus knows of its runners.
    pub prometheus: Option<RunnerMetric>,
    /// The environment variable that holds a token which may list runners. Default: GITHUB_TOKEN.
    pub token_env: Option<String>,
    /// How many must be online. Default 1.
    #[serde(default = "default_min_online")]
    pub min_online: NonZero<u32>,
    /// The pool has no runner while there is no work, and starts one for a job: a scale set of the
    /// Actions Runner Controller, or another autoscaler. Then it is not a failure that none is online; a
    /// job that waited longer than `max-start-time` makes the pool undecided. Default false.
    #[serde(default)]
    pub scales_from_zero: bool,
    /// The labels are of GitHub's own machines, larger runners too: no list shows them. GitHub's
    /// standard labels, such as `ubuntu-latest`, are known without this. Default false.
    #[serde(default)]
    pub github_hosted: bool,
    /// How long a job may wait until a machine is started for it, with `scales-from-zero` and
    /// `github-hosted`. Default 5m.
    pub max_start_time: Option<Span>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

fn default_min_online() -> NonZero<u32> {
    NonZero::<u32>::MIN
}

impl CheckConfig for RunnersCheck {
    const KEYS: &[&str] = &["name"];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let owner = Owner {
            repository: self.repository.as_deref(),
            organization: self.organization.as_deref(),
            enterprise: self.enterprise.as_deref(),
            group: self.group.as_deref(),
            repositories: &self.repositories,
        };
        owner.check(None, spot)?;
        let members = Members {
            labels: &self.labels,
            runners: &self.runners,
            metric_server: self.prometheus.as_ref().map(|it| it.server.as_str()),
            min_online: self.min_online.get(),
            scales_from_zero: self.scales_from_zero,
            github_hosted: self.github_hosted,
            max_start_time: self.max_start_time,
        };
        members.check(spot)
    }
}

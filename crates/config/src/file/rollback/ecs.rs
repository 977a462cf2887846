//! A service of Amazon ECS.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{TargetConfig, pause};
use crate::value::Span;
use sections::KeyPosition;

/// A service of Amazon ECS runs the task definition that the state recorded for the release:
/// `rollback record` queries ECS for it, or takes `--task-definition shop:42`. The deployment that
/// this makes is followed until it is rolled out or has failed; that a circuit breaker went back by
/// itself is a failure.
///
/// Who we are is found as by the AWS tools; allowed must be `ecs:UpdateService`,
/// `ecs:DescribeServices`, `ecs:DescribeTaskDefinition`, `ecs:ListTasks` and `ecs:DescribeTasks`, and
/// `iam:PassRole` for the task's roles.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EcsTarget {
    /// The cluster's name or ARN. Default: `default`.
    #[serde(default = "cluster")]
    pub cluster: String,
    /// The service's name or ARN.
    pub service: String,
    /// Default: `$AWS_REGION`, or that of the profile.
    pub region: Option<String>,
    /// Between two looks at the deployment. Default 5s.
    #[serde(default = "interval")]
    pub interval: Span,
    /// How long the rollout may take; see also `rollback.deadline`. Default 10m.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn cluster() -> String {
    "default".to_owned()
}

fn interval() -> Span {
    Span::from_secs(5)
}

fn timeout() -> Span {
    Span::from_secs(10 * 60)
}

impl TargetConfig for EcsTarget {
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("cluster").a_word(&self.cluster)?;
        spot.key("service").a_word(&self.service)?;
        pause(spot, self.interval, self.timeout)
    }
}

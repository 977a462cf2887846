//! Services of Amazon ECS.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{Match, PolicyOverlay, ProbeConfig};
use sections::KeyPosition;

/// A service of Amazon ECS: its PRIMARY deployment is ours, rolled out, with healthy tasks.
///
/// What makes it ours is `task-definition`, `deployment-id`, or `--release`, which is
/// compared with an image's tag. Who we are is found as by the AWS tools; allowed must be
/// `ecs:DescribeServices`, `ecs:DescribeTaskDefinition`, `ecs:ListTasks` and `ecs:DescribeTasks`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EcsProbe {
    /// The probe's name.
    pub name: String,
    /// The cluster's name or ARN. Default: `default`.
    #[serde(default = "cluster")]
    pub cluster: String,
    /// The service's name or ARN.
    pub service: String,
    /// Default: `$AWS_REGION`, or that of the profile.
    pub region: Option<String>,
    /// What the PRIMARY deployment must run: `family:revision`, an ARN, or a family alone. A family
    /// does not show which deployment is ours, after a rollback it is the same: it needs
    /// `deployment-id` or `--release` beside it.
    pub task_definition: Option<String>,
    /// The PRIMARY deployment's id, `ecs-svc/…`, as `update-service` answered it.
    pub deployment_id: Option<String>,
    /// The container whose image's tag (or digest) names the release. Default: the only one, or the
    /// one that is called as the service; it is looked at where neither `task-definition` nor
    /// `deployment-id` names the deployment that is ours.
    pub container: Option<String>,
    /// How the image's tag must match `--release`. Default: exact.
    #[serde(default)]
    pub r#match: Match,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

fn cluster() -> String {
    "default".to_owned()
}

impl ProbeConfig for EcsProbe {
    common_fields!();

    fn release_rule(&self) -> Option<Match> {
        Some(self.r#match)
    }

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        for (key, text) in [("cluster", &self.cluster), ("service", &self.service)] {
            if text.trim().is_empty() {
                return spot.refuse(key, "must not be empty");
            }
        }
        if let Some(id) = &self.deployment_id
            && !id.starts_with("ecs-svc/")
        {
            let fault = spot.key("deployment-id");
            let fault = fault.fault(format!("`{id}` is not a deployment's id"));
            return Err(fault
                .hint("it looks like `ecs-svc/1234567890123456789`; `update-service` answers it"));
        }
        Ok(())
    }
}

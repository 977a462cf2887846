//! A deployment of ECS that waits for an answer: ECS shifts the traffic itself, and a lifecycle hook of
//! the kind `PAUSE` asks from time to time whether it shall go on.

use aws::Renewing;
use aws::ecs::Hook;
use model::{Env, Redactor};
use place::Error;
use serde_json::{Value, json};

/// Deployments of one service that are under way at the same time; ECS starts no second one.
const MAX_DEPLOYMENTS: usize = 20;

/// The pauses of one service.
pub struct Hooks {
    cluster: String,
    service: String,
    client: Renewing,
}

/// What a deployment that waits is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Continue,
    RollBack,
}

impl Hooks {
    /// `cluster` and `service` by name or ARN; `region` where it is not that of the environment.
    pub fn new(
        (cluster, service): (&str, &str),
        region: Option<&str>,
        env: &Env,
        redactor: &Redactor,
    ) -> Hooks {
        Hooks {
            cluster: cluster.to_owned(),
            service: service.to_owned(),
            client: Renewing::new(env, region, redactor),
        }
    }

    /// The pauses at which the service's deployment waits now; empty where it does not.
    pub async fn paused(&self) -> Result<Vec<Hook>, Error> {
        let question = json!({
            "cluster": self.cluster,
            "service": self.service,
            "status": ["PENDING", "IN_PROGRESS"],
            "maxResults": MAX_DEPLOYMENTS,
        });
        let listed = self.call_api("ListServiceDeployments", &question).await?;
        let listed = listed["serviceDeployments"].as_array();
        let arns: Vec<&Value> = listed
            .into_iter()
            .flatten()
            .map(|one| &one["serviceDeploymentArn"])
            .take(MAX_DEPLOYMENTS)
            .collect();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let question = json!({"serviceDeploymentArns": arns});
        let described = self
            .call_api("DescribeServiceDeployments", &question)
            .await?;
        let all = described["serviceDeployments"].as_array();
        Ok(all.into_iter().flatten().flat_map(Hook::paused).collect())
    }

    /// Answers a pause. One that was answered already, or has run out, is an error.
    pub async fn answer(&self, hook: &Hook, decision: Decision) -> Result<(), Error> {
        let question = json!({
            "serviceDeploymentArn": hook.deployment,
            "hookId": hook.id,
            "action": match decision {
                Decision::Continue => "CONTINUE",
                Decision::RollBack => "ROLLBACK",
            },
        });
        let answered = self.call_api("ContinueServiceDeployment", &question).await;
        answered.map(drop)
    }

    async fn call_api(&self, action: &str, question: &Value) -> Result<Value, Error> {
        let answer = self.client.ecs(action, question).await;
        answer.map_err(|cause| Error::Aws {
            service: "ecs",
            action: action.to_owned(),
            cause,
        })
    }
}

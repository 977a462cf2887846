//! ECS: what runs as a service, according to `DescribeServices`, and where its deployment waits for an
//! answer.

mod json;
mod task;

use reqwest::Method;
use serde_json::Value;

use crate::Error;
use crate::answer::read_success;
use crate::client::{self, Client, Request};

use json::{list, text};
pub use task::{Container, Definition, TASKS_PER_PAGE, Task};

impl Client {
    /// One question, such as `DescribeServices`; the permission for it is `ecs:DescribeServices`.
    pub async fn ecs(&self, action: &str, question: &Value) -> Result<Value, Error> {
        let (mut url, _) = self.base(client::Service::Ecs)?;
        url.set_path("/");
        let target = format!("AmazonEC2ContainerServiceV20141113.{action}");
        let request = Request {
            service: client::Service::Ecs,
            method: Method::POST,
            url,
            headers: &[
                ("content-type", "application/x-amz-json-1.1".to_owned()),
                ("x-amz-target", target),
            ],
            body: question.to_string().into_bytes(),
        };
        let text = read_success("ECS", self.send(&request).await?).await?;
        serde_json::from_str(&text).map_err(|_| Error::Malformed {
            service: "ECS",
            reason: "it is not JSON".to_owned(),
        })
    }
}

/// A service and its deployments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    pub status: String,
    /// `ECS`, unless something else deploys it.
    pub controller: String,
    /// How many tasks are wanted.
    pub desired: u64,
    pub deployments: Vec<Deployment>,
    /// The newest first.
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deployment {
    pub id: String,
    pub status: String,
    /// Its ARN.
    pub task_definition: String,
    pub rollout: String,
    pub rollout_reason: String,
    pub desired: u64,
    pub running: u64,
    pub pending: u64,
    /// Failures in a row, while no task has come up yet.
    pub failed: u64,
    pub created: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// Seconds since 1970.
    pub at: f64,
    pub message: String,
}

/// A pause in a service's deployment that waits for an answer from outside: a lifecycle hook of the kind
/// `PAUSE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// The ARN of the service deployment.
    pub deployment: String,
    pub id: String,
    /// Such as `POST_TEST_TRAFFIC_SHIFT`.
    pub stage: String,
    /// When ECS answers itself, in seconds since 1970.
    pub expires: Option<f64>,
    /// What it then does: `CONTINUE` or `ROLLBACK`; empty where it does not say.
    pub on_expiry: String,
}

impl Hook {
    /// Those of one of the `serviceDeployments` of `DescribeServiceDeployments`.
    pub fn paused(deployment: &Value) -> Vec<Hook> {
        let waits =
            |one: &&Value| one["targetType"] == "PAUSE" && one["status"] == "AWAITING_ACTION";
        let hook = |one: &Value| Hook {
            deployment: text(&deployment["serviceDeploymentArn"]),
            id: text(&one["hookId"]),
            stage: text(&deployment["lifecycleStage"]),
            expires: (!one["expiresAt"].is_null()).then(|| time(&one["expiresAt"])),
            on_expiry: text(&one["timeoutAction"]),
        };
        let all = list(&deployment["lifecycleHookDetails"]);
        all.filter(waits).map(hook).collect()
    }
}

/// Seconds since 1970, or the text of a time.
fn time(value: &Value) -> f64 {
    let parsed = || value.as_str()?.parse::<jiff::Timestamp>().ok();
    value
        .as_f64()
        .or_else(|| parsed().map(|at| at.as_duration().as_secs_f64()))
        .unwrap_or(0.0)
}

impl Service {
    /// One of an answer's `services`; `None` if ECS does not know the service.
    pub fn read(service: &Value) -> Option<Service> {
        if !service.is_object() {
            return None;
        }
        let deployment = |one: &Value| Deployment {
            id: text(&one["id"]),
            status: text(&one["status"]),
            task_definition: text(&one["taskDefinition"]),
            rollout: text(&one["rolloutState"]),
            rollout_reason: text(&one["rolloutStateReason"]),
            desired: one["desiredCount"].as_u64().unwrap_or(0),
            running: one["runningCount"].as_u64().unwrap_or(0),
            pending: one["pendingCount"].as_u64().unwrap_or(0),
            failed: one["failedTasks"].as_u64().unwrap_or(0),
            created: time(&one["createdAt"]),
        };
        let event = |one: &Value| Event {
            at: time(&one["createdAt"]),
            message: text(&one["message"]),
        };
        Some(Service {
            status: text(&service["status"]),
            desired: service["desiredCount"].as_u64().unwrap_or(0),
            controller: service["deploymentController"]["type"]
                .as_str()
                .unwrap_or("ECS")
                .to_owned(),
            deployments: list(&service["deployments"]).map(deployment).collect(),
            events: list(&service["events"]).map(event).collect(),
        })
    }

    pub fn primary(&self) -> Option<&Deployment> {
        let mut all = self.deployments.iter();
        all.find(|deployment| deployment.status == "PRIMARY")
    }

    /// What ECS complains about since a deployment began: the newest two.
    pub fn complaints(&self, since: &Deployment) -> Vec<&str> {
        const WORDS: [&str; 4] = ["unable", "fail", "unhealthy", "roll"];
        let bad = |event: &&Event| {
            event.at >= since.created && WORDS.iter().any(|word| event.message.contains(word))
        };
        let bad = self.events.iter().filter(bad);
        bad.take(2).map(|event| event.message.as_str()).collect()
    }
}

//! What ECS answers, as far as a judgement needs it.

use std::collections::BTreeMap;

use serde_json::Value;

/// Tasks that one question may name.
pub(super) const PAGE: usize = 100;
/// Pages of tasks that are looked at.
pub(super) const PAGES: usize = 10;

/// A service and its deployments.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Service {
    pub(super) status: String,
    /// `ECS`, unless somebody else deploys it.
    pub(super) controller: String,
    pub(super) deployments: Vec<Deployment>,
    /// The newest first.
    pub(super) events: Vec<Event>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) status: String,
    /// Its ARN.
    pub(super) task_definition: String,
    pub(super) rollout: String,
    pub(super) rollout_reason: String,
    pub(super) desired: u64,
    pub(super) running: u64,
    pub(super) pending: u64,
    /// Failures in a row, while no task has come up yet.
    pub(super) failed: u64,
    pub(super) created: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Event {
    at: f64,
    pub(super) message: String,
}

/// What a task definition says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Definition {
    /// Each container's image.
    pub(super) images: BTreeMap<String, String>,
    /// Whether a container has a health check.
    pub(super) checked: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Task {
    pub(super) arn: String,
    /// The deployment's id.
    pub(super) started_by: String,
    pub(super) definition: String,
    pub(super) status: String,
    pub(super) health: String,
    pub(super) stop_code: String,
    pub(super) stopped_reason: String,
    pub(super) containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) exit_code: Option<i64>,
    pub(super) reason: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
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
    /// `None` where ECS knows no such service.
    pub(super) fn of(answer: &Value) -> Option<Service> {
        let service = &answer["services"][0];
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
            controller: service["deploymentController"]["type"]
                .as_str()
                .unwrap_or("ECS")
                .to_owned(),
            deployments: list(&service["deployments"]).map(deployment).collect(),
            events: list(&service["events"]).map(event).collect(),
        })
    }

    pub(super) fn primary(&self) -> Option<&Deployment> {
        let mut all = self.deployments.iter();
        all.find(|deployment| deployment.status == "PRIMARY")
    }

    /// What ECS complains about since a deployment began: the newest two.
    pub(super) fn complaints(&self, since: &Deployment) -> Vec<&str> {
        const WORDS: [&str; 4] = ["unable", "fail", "unhealthy", "roll"];
        let bad = |event: &&Event| {
            event.at >= since.created && WORDS.iter().any(|word| event.message.contains(word))
        };
        let bad = self.events.iter().filter(bad);
        bad.take(2).map(|event| event.message.as_str()).collect()
    }
}

impl Definition {
    pub(super) fn of(answer: &Value) -> Definition {
        let containers = || list(&answer["taskDefinition"]["containerDefinitions"]);
        Definition {
            images: containers()
                .map(|one| (text(&one["name"]), text(&one["image"])))
                .collect(),
            checked: containers().any(|one| one["healthCheck"].is_object()),
        }
    }
}

impl Task {
    pub(super) fn all(answer: &Value) -> impl Iterator<Item = Task> {
        list(&answer["tasks"]).map(|one| Task {
            arn: text(&one["taskArn"]),
            started_by: text(&one["startedBy"]),
            definition: text(&one["taskDefinitionArn"]),
            status: text(&one["lastStatus"]),
            health: text(&one["healthStatus"]),
            stop_code: text(&one["stopCode"]),
            stopped_reason: text(&one["stoppedReason"]),
            containers: list(&one["containers"])
                .map(|one| Container {
                    name: text(&one["name"]),
                    exit_code: one["exitCode"].as_i64(),
                    reason: text(&one["reason"]),
                })
                .collect(),
        })
    }

    /// It stopped by itself: not because somebody scaled, deployed or took its machine away.
    pub(super) fn crashed(&self) -> bool {
        match self.stop_code.as_str() {
            "EssentialContainerExited" | "TaskFailedToStart" => true,
            _ => ["fail", "Essential container"]
                .iter()
                .any(|word| self.stopped_reason.contains(word)),
        }
    }

    /// Why it stopped, with what each container says of it.
    pub(super) fn why(&self) -> String {
        let mut parts = Vec::new();
        if !self.stopped_reason.is_empty() {
            parts.push(self.stopped_reason.clone());
        }
        for container in &self.containers {
            let Container {
                name,
                exit_code,
                reason,
            } = container;
            let code = exit_code.filter(|code| *code != 0);
            let code = code.map(|code| format!("exit code {code}"));
            let told: Vec<String> = code
                .into_iter()
                .chain((!reason.is_empty()).then(|| reason.clone()))
                .collect();
            if !told.is_empty() {
                parts.push(format!("container `{name}`: {}", told.join(", ")));
            }
        }
        if parts.is_empty() {
            parts.push(self.stop_code.clone());
        }
        parts.join("; ")
    }
}

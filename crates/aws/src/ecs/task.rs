//! Tasks of ECS and their definitions, as `DescribeTasks` and `DescribeTaskDefinition` answer them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::{list, text};

/// Tasks that one question may name.
pub const TASKS_PER_PAGE: usize = 100;

/// What a task definition says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definition {
    /// Each container's image.
    pub images: BTreeMap<String, String>,
    /// Whether a container has a health check.
    pub checked: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    pub arn: String,
    /// The deployment's id.
    pub started_by: String,
    pub definition: String,
    pub status: String,
    pub health: String,
    pub stop_code: String,
    pub stopped_reason: String,
    pub containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    pub name: String,
    pub exit_code: Option<i64>,
    pub reason: String,
}

impl Definition {
    pub fn of(answer: &Value) -> Definition {
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
    pub fn read_all(answer: &Value) -> impl Iterator<Item = Task> {
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

    /// It stopped by itself: not because of scaling, a deployment or the loss of its machine.
    pub fn crashed(&self) -> bool {
        match self.stop_code.as_str() {
            "EssentialContainerExited" | "TaskFailedToStart" => true,
            _ => ["fail", "Essential container"]
                .iter()
                .any(|word| self.stopped_reason.contains(word)),
        }
    }

    /// Why it stopped, with each container's reason.
    pub fn stop_reason(&self) -> String {
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

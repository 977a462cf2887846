//! What ECS answers, as far as a judgement needs it.

use std::collections::BTreeMap;

use serde_json::Value;

/// Tasks that one question may name.
pub(super) const PAGE: usize = 100;
/// Pages of tasks that are looked at.
pub(super) const PAGES: usize = 10;

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
    pub(super) fn read_all(answer: &Value) -> impl Iterator<Item = Task> {
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
    pub(super) fn crashed(&self) -> bool {
        match self.stop_code.as_str() {
            "EssentialContainerExited" | "TaskFailedToStart" => true,
            _ => ["fail", "Essential container"]
                .iter()
                .any(|word| self.stopped_reason.contains(word)),
        }
    }

    /// Why it stopped, with each container's reason.
    pub(super) fn stop_reason(&self) -> String {
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

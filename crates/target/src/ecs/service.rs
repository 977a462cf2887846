//! What ECS says of a service and of its deployments.

use serde_json::Value;

/// What ECS says of a service.
pub(super) struct Service {
    pub(super) desired: u64,
    pub(super) deployments: Vec<Deployment>,
}

pub(super) struct Deployment {
    pub(super) id: String,
    status: String,
    pub(super) definition: String,
    pub(super) rollout: String,
    pub(super) running: u64,
}

impl Service {
    pub(super) fn of(service: &Value) -> Result<Service, String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match service["status"].as_str() {
            None => return Err("there is no such service".to_owned()),
            Some("ACTIVE") => {}
            Some(status) => return Err(format!("the service is {status}")),
        }
        let controller = service["deploymentController"]["type"].as_str();
        if let Some(other) = controller.filter(|name| *name != "ECS") {
            return Err(format!("{other} deploys this service, not ECS"));
        }
        let deployments = service["deployments"].as_array().into_iter().flatten();
        let deployment = |one: &Value| Deployment {
            id: text(&one["id"]),
            status: text(&one["status"]),
            definition: text(&one["taskDefinition"]),
            rollout: text(&one["rolloutState"]),
            running: one["runningCount"].as_u64().unwrap_or(0),
        };
        Ok(Service {
            desired: service["desiredCount"].as_u64().unwrap_or(0),
            deployments: deployments.map(deployment).collect(),
        })
    }

    pub(super) fn primary(&self) -> Result<&Deployment, String> {
        let mut all = self.deployments.iter();
        let primary = all.find(|one| one.status == "PRIMARY");
        primary.ok_or_else(|| "ECS shows no PRIMARY deployment".to_owned())
    }

    /// The only deployment that runs, rolled out: while there are two, nobody can say which of them
    /// an answer came from.
    pub(super) fn settled(&self) -> Result<&Deployment, String> {
        let primary = self.primary()?;
        let definition = short(&primary.definition);
        if primary.rollout != "COMPLETED" {
            return Err(format!(
                "{} of {definition} is {}",
                primary.id, primary.rollout
            ));
        }
        if primary.running == 0 {
            return Err(format!("no task of {definition} runs"));
        }
        let mut others = self.deployments.iter().filter(|one| one.running > 0);
        let other = others.find(|one| one.definition != primary.definition);
        other.map_or(Ok(primary), |other| {
            Err(format!(
                "tasks of {} still run beside {definition}",
                short(&other.definition)
            ))
        })
    }
}

/// `family:revision` of an ARN.
pub(super) fn short(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Whether an ARN is of this ARN or `family:revision`.
pub(super) fn is(name: &str, arn: &str) -> bool {
    if name.starts_with("arn:") {
        name == arn
    } else {
        name == short(arn)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_definition_is_meant_by_its_arn_or_its_revision() {
        let arn = "arn:aws:ecs:eu-west-1:1:task-definition/api:42";
        assert!(is(arn, arn) && is("api:42", arn));
        for other in [
            "api",
            "api:4",
            "arn:aws:ecs:eu-west-1:2:task-definition/api:42",
        ] {
            assert!(!is(other, arn), "{other}");
        }
    }

    #[test]
    fn what_is_no_service_of_ecs_is_an_error() {
        for service in [
            json!(null),
            json!({"status": "DRAINING"}),
            json!({"status": "ACTIVE", "deploymentController": {"type": "CODE_DEPLOY"}}),
        ] {
            assert!(Service::of(&service).is_err(), "{service}");
        }
        let none = Service::of(&json!({"status": "ACTIVE"})).unwrap();
        assert!(none.primary().is_err());
    }
}

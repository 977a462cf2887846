//! What a service of ECS must be before its task definition is set, or recorded.

use aws::ecs::{Deployment, Service};
use place::Error;
use serde_json::Value;

/// The service of an answer, where it is one that ECS itself deploys.
pub(super) fn active(service: &Value) -> Result<Service, Error> {
    let service = Service::read(service).filter(|service| !service.status.is_empty());
    let service = service.ok_or_else(|| Error::Missing("there is no such service".to_owned()))?;
    if service.status != "ACTIVE" {
        return Err(Error::Unfit(format!("the service is {}", service.status)));
    }
    match service.controller.as_str() {
        "ECS" => Ok(service),
        other => Err(Error::Unfit(format!(
            "{other} deploys this service, not ECS"
        ))),
    }
}

pub(super) fn primary(service: &Service) -> Result<&Deployment, Error> {
    let primary = service.primary();
    primary.ok_or_else(|| Error::Missing("ECS shows no PRIMARY deployment".to_owned()))
}

/// The only running deployment, rolled out: while there are two, an answer could come from either.
pub(super) fn settled_deployment(service: &Service) -> Result<&Deployment, Error> {
    let primary = primary(service)?;
    let definition = short(&primary.task_definition);
    if primary.rollout != "COMPLETED" {
        return Err(Error::Contradicts(format!(
            "{} of {definition} is {}",
            primary.id, primary.rollout
        )));
    }
    if primary.running == 0 {
        return Err(Error::Down(format!("no task of {definition} runs")));
    }
    let mut others = service.deployments.iter().filter(|one| one.running > 0);
    let other = others.find(|one| one.task_definition != primary.task_definition);
    other.map_or(Ok(primary), |other| {
        Err(Error::Contradicts(format!(
            "tasks of {} still run beside {definition}",
            short(&other.task_definition)
        )))
    })
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
            assert!(active(&service).is_err(), "{service}");
        }
        let none = active(&json!({"status": "ACTIVE"})).unwrap();
        assert!(primary(&none).is_err());
    }
}

//! A service of Amazon ECS: the task definition that the state recorded, and the deployment that
//! sets it.
//!
//! A service that is stable proves nothing: after a circuit breaker has gone back, what was left is
//! stable. So it is one deployment that is followed, by its id.

mod service;

use std::time::Duration;

use aws::Renewing;
use aws::ecs::Service;
use config::file::{EcsProbe, EcsTarget, Match};
use model::Severity;
use probe::ProbeContext;
use probe::settle::{self, Settling};
use serde_json::{Value, json};
use state::Entry;

use self::service::{is, primary, settled_deployment, short};
use crate::kinds::Kind;
use crate::target::{
    Applied, Capabilities, Observe, Proving, ReleaseFacts, Switch, Target, Transition,
};
use place::{Context, Error, Place, Step, StepFuture};

/// Maximum number of stopped tasks whose reason is kept.
const TASKS: usize = 20;

pub(crate) struct Ecs<'a> {
    config: &'a EcsTarget,
    /// The gate's own probe of this service, which knows the container whose image names the release.
    gate: Option<&'a EcsProbe>,
    around: ProbeContext,
    /// How an image names a release where the gate has no probe of this service.
    rule: Match,
    /// What the state contains about each release.
    known: Vec<Entry>,
    client: Renewing,
}

impl<'a> Ecs<'a> {
    pub(crate) fn new(config: &'a EcsTarget, context: &Context<'a>) -> Self {
        let gate = context.config.healthgate_of_any().ok().flatten();
        let mut probes = gate.into_iter().flat_map(|gate| &gate.ecs);
        let same = |one: &&EcsProbe| {
            short(&one.cluster) == short(&config.cluster)
                && short(&one.service) == short(&config.service)
        };
        Ecs {
            config,
            gate: probes.find(same),
            around: context.surroundings(),
            rule: context.config.release_rule(),
            known: context.known.clone(),
            client: Renewing::new(context.env, config.region.as_deref(), context.redactor),
        }
    }

    async fn call_api(&self, action: &str, question: &Value) -> Result<Value, Error> {
        let answer = self.client.ecs(action, question).await;
        answer.map_err(|cause| Error::Aws {
            service: "ecs",
            action: action.to_owned(),
            cause,
        })
    }

    async fn service(&self) -> Result<Service, Error> {
        let EcsTarget {
            cluster, service, ..
        } = self.config;
        let question = json!({"cluster": cluster, "services": [service]});
        let answer = self.call_api("DescribeServices", &question).await?;
        service::active(&answer["services"][0])
            .map_err(|error| error.at(format!("{cluster}/{service}")))
    }

    /// The task definition that the state recorded for a release.
    fn recorded(&self, release: &str) -> Result<&str, Error> {
        let entry = self.known.iter().find(|entry| entry.release == release);
        let name = entry.and_then(|entry| entry.task_definition.as_deref());
        let name = name.ok_or_else(|| {
            Error::Missing(format!(
                "the state has no task definition for {release}: `rollback record --release {release} --task-definition FAMILY:REVISION`"
            ))
        })?;
        // What a family's newest is, is another release tomorrow.
        let revision = short(name).rsplit_once(':').map(|(_, revision)| revision);
        if revision.is_none_or(|revision| revision.parse::<u32>().is_err()) {
            return Err(Error::Unfit(format!(
                "the task definition `{name}` of {release} names no revision"
            )));
        }
        Ok(name)
    }

    /// The release that was recorded with this task definition; `likely` where it is one of them.
    fn release_of(&self, arn: &str, likely: &str) -> Result<String, Error> {
        let named = |entry: &&Entry| {
            let name = entry.task_definition.as_deref();
            name.is_some_and(|name| is(name, arn))
        };
        let mut all: Vec<&Entry> = self.known.iter().filter(named).collect();
        all.sort_by_key(|entry| entry.release != likely);
        all.first()
            .map(|entry| entry.release.clone())
            .ok_or_else(|| {
                let runs = short(arn);
                Error::Contradicts(format!("{runs} runs, which was recorded for no release"))
            })
    }

    /// The release whose tasks run, and no other's.
    async fn running(&self, likely: &str) -> Result<String, Error> {
        let service = self.service().await?;
        let primary = primary(&service)?;
        let release = self.release_of(&primary.task_definition, likely)?;
        if release != likely {
            return Ok(release);
        }
        for other in service.deployments.iter().filter(|one| one.running > 0) {
            if other.task_definition != primary.task_definition {
                return self.release_of(&other.task_definition, likely);
            }
        }
        if primary.rollout != "COMPLETED" {
            return Err(Error::Contradicts(format!(
                "{} of {} is {}",
                primary.id,
                short(&primary.task_definition),
                primary.rollout
            )));
        }
        Ok(release)
    }

    async fn check(&self, release: &str) -> Result<(), Error> {
        let name = self.recorded(release)?;
        let question = json!({"taskDefinition": name});
        let answer = self.call_api("DescribeTaskDefinition", &question).await?;
        let status = answer["taskDefinition"]["status"].as_str();
        if status != Some("ACTIVE") {
            return Err(Error::Unfit(format!(
                "the task definition {name} is {}: no service may be set to it",
                status.unwrap_or("of no status")
            )));
        }
        let service = self.service().await?;
        primary(&service)?;
        if service.desired == 0 {
            return Err(Error::Unfit(
                "the service is scaled to 0 tasks: nothing would show that it works".to_owned(),
            ));
        }
        Ok(())
    }

    /// Sets the task definition and follows the deployment; safe to do twice. One that is set
    /// already is not set again, unless its rollout has failed.
    async fn switch(&self, definition: &str) -> Result<String, Error> {
        let service = self.service().await?;
        let primary = primary(&service)?;
        let set = is(definition, &primary.task_definition);
        let id = if set && primary.rollout != "FAILED" {
            primary.id.clone()
        } else {
            self.set(definition, set).await?
        };
        self.follow(&id).await
    }

    /// The id of the deployment that this makes.
    async fn set(&self, definition: &str, anew: bool) -> Result<String, Error> {
        let EcsTarget {
            cluster, service, ..
        } = self.config;
        let mut question =
            json!({"cluster": cluster, "service": service, "taskDefinition": definition});
        if anew {
            question["forceNewDeployment"] = true.into();
        }
        let answer = self.call_api("UpdateService", &question).await?;
        let service = service::active(&answer["service"])?;
        let primary = primary(&service)?;
        if !is(definition, &primary.task_definition) {
            return Err(Error::Contradicts(format!(
                "UpdateService: PRIMARY is still {} of {}",
                primary.id,
                short(&primary.task_definition)
            )));
        }
        Ok(primary.id.clone())
    }

    /// What ECS reports about the deployments, and about recent events.
    async fn describe_service_state(&self) -> Result<String, Error> {
        let EcsTarget {
            cluster, service, ..
        } = self.config;
        let question = json!({"cluster": cluster, "services": [service]});
        let answer = self.call_api("DescribeServices", &question).await?;
        let service = &answer["services"][0];
        let kept = json!({"deployments": service["deployments"], "events": service["events"]});
        Ok(format!("{kept:#}\n"))
    }

    /// Why tasks stopped; ECS forgets them within the hour.
    async fn describe_stopped_tasks(&self) -> Result<String, Error> {
        let EcsTarget {
            cluster, service, ..
        } = self.config;
        let question =
            json!({"cluster": cluster, "serviceName": service, "desiredStatus": "STOPPED"});
        let answer = self.call_api("ListTasks", &question).await?;
        let mut tasks = answer["taskArns"].as_array().cloned().unwrap_or_default();
        tasks.truncate(TASKS);
        if tasks.is_empty() {
            return Ok("no task has stopped lately\n".to_owned());
        }
        let question = json!({"cluster": cluster, "tasks": tasks});
        let answer = self.call_api("DescribeTasks", &question).await?;
        let tasks = answer["tasks"].as_array().into_iter().flatten();
        // Nothing else of them: what a task is started with may hold secrets.
        let of = |value: &Value, names: &[&str]| -> Value {
            let all = names.iter();
            let all = all.map(|name| ((*name).to_owned(), value[*name].clone()));
            Value::Object(all.collect())
        };
        let kept: Vec<Value> = tasks
            .map(|task| {
                let mut kept = of(
                    task,
                    &[
                        "taskArn",
                        "taskDefinitionArn",
                        "startedBy",
                        "stoppedAt",
                        "stopCode",
                        "stoppedReason",
                    ],
                );
                let containers = task["containers"].as_array().into_iter().flatten();
                let containers = containers.map(|one| of(one, &["name", "exitCode", "reason"]));
                kept["containers"] = containers.collect();
                kept
            })
            .collect();
        Ok(format!("{:#}\n", Value::from(kept)))
    }

    /// A probe of the service.
    fn probe(&self, id: Option<&str>) -> EcsProbe {
        let EcsTarget {
            cluster,
            service,
            region,
            interval: _,
            timeout: _,
        } = self.config;
        EcsProbe {
            name: "rollout".to_owned(),
            cluster: cluster.clone(),
            service: service.clone(),
            region: region.clone(),
            task_definition: None,
            deployment_id: id.map(str::to_owned),
            container: None,
            r#match: self.rule,
            policy: None,
            severity: Severity::Required,
        }
    }

    async fn follow(&self, id: &str) -> Result<String, Error> {
        let settling = Settling {
            within: self.config.timeout.get(),
            stays: Duration::ZERO,
        };
        let probe = self.probe(Some(id));
        let settled = settle::ecs(probe, &self.around, settling, self.config.interval.get());
        Ok(settled.await?)
    }

    /// Whether the images of a task definition name this release, by the gate's own rule.
    async fn names(&self, definition: &str, release: &str) -> Result<bool, Error> {
        let question = json!({"taskDefinition": definition});
        let answer = self.call_api("DescribeTaskDefinition", &question).await?;
        let own = self.probe(None);
        Ok(probe::ecs::names(
            self.gate.unwrap_or(&own),
            &answer,
            release,
        ))
    }
}

impl Kind for EcsTarget {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
        Ok(Box::new(Ecs::new(self, context)))
    }
}

impl Observe for Ecs<'_> {
    fn current<'a>(&'a self, _step: &'a Step, likely: &'a str) -> StepFuture<'a, Option<String>> {
        Box::pin(async move { self.running(likely).await.map(Some) })
    }

    fn facts<'a>(&'a self, release: &'a str) -> StepFuture<'a, Option<ReleaseFacts>> {
        Box::pin(async move {
            let service = self.service().await?;
            let definition = &settled_deployment(&service)?.task_definition;
            let others = self.known.iter().filter(|entry| entry.release != release);
            let mut recorded = others.filter_map(|entry| entry.task_definition.as_deref());
            let named = !recorded.any(|name| is(name, definition))
                && self.names(definition, release).await?;
            Ok(Some(ReleaseFacts {
                task_definition: definition.clone(),
                named,
            }))
        })
    }

    fn diagnostics<'a>(&'a self, _step: &'a Step) -> Vec<(&'static str, StepFuture<'a, String>)> {
        vec![
            ("service", Box::pin(self.describe_service_state())),
            ("stopped-tasks", Box::pin(self.describe_stopped_tasks())),
        ]
    }

    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a> {
        Box::pin(async move {
            let runs = self.running(destination).await.ok()?;
            (runs == destination).then(|| {
                let definition = self.recorded(destination).map_or("", short);
                format!("the PRIMARY deployment of {definition} is COMPLETED")
            })
        })
    }
}

impl Switch for Ecs<'_> {
    fn steps(&self, transition: Transition<'_>) -> Vec<Step> {
        let EcsTarget {
            cluster, service, ..
        } = self.config;
        let definition = self.recorded(transition.to);
        let definition = definition.map_or("the task definition", short);
        vec![Step {
            name: format!("ecs/{}", short(service)),
            does: format!(
                "set {cluster}/{} to {definition} of {} and follow the deployment",
                short(service),
                transition.to
            ),
            place: Place::Here,
        }]
    }

    fn plan<'a>(&'a self, step: &'a Step, transition: Transition<'a>) -> StepFuture<'a, String> {
        Box::pin(async move {
            self.check(transition.to).await?;
            Ok(step.does.clone())
        })
    }

    /// The task definition that is set.
    fn snapshot<'a>(
        &'a self,
        _step: &'a Step,
        _transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>> {
        Box::pin(async move {
            let service = self.service().await?;
            Ok(Some(primary(&service)?.task_definition.clone()))
        })
    }

    fn apply<'a>(
        &'a self,
        _step: &'a Step,
        transition: Transition<'a>,
        _snapshot: Option<&'a str>,
    ) -> StepFuture<'a, Applied> {
        Box::pin(async move {
            let made = self.switch(self.recorded(transition.to)?).await?;
            Ok(made.into())
        })
    }

    fn revert<'a>(
        &'a self,
        _step: &'a Step,
        _transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> StepFuture<'a, String> {
        Box::pin(async move {
            let before = before.ok_or(Error::Unnoted(
                "which task definition was set before was not noted",
            ))?;
            self.switch(before).await
        })
    }
}

impl Target for Ecs<'_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            proves_retention: true,
            ..Capabilities::default()
        }
    }
}

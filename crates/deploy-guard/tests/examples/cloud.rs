//! Amazon ECS with one service of one task. moto takes every call of AWS's own command line and of
//! ours; what it does not do is run a task, which a real engine does here.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Moto;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::examples::world::Containers;

/// A task must run for so long until it counts as one that is up.
const UP: Duration = Duration::from_secs(1);

/// ECS with one service of one task: moto, and what becomes of the service's deployments.
pub(crate) struct Cloud {
    pub(crate) moto: Moto,
    pub(crate) containers: Containers,
    deployment: Mutex<Deployment>,
}

/// The PRIMARY deployment; whatever was before it is gone at once.
#[derive(Default)]
struct Deployment {
    made: u32,
    definition: String,
    started: Option<Instant>,
    rollout: &'static str,
}

/// The server outlives its test; the engine must not.
struct Ecs(Weak<Cloud>);

impl Respond for Ecs {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let header = |name: &str| {
            let value = request.headers.get(name);
            value.map_or("", |value| value.to_str().unwrap())
        };
        let names = ["authorization", "content-type", "x-amz-target"];
        let headers = names.map(|name| (name, header(name)));
        let cloud = self.0.upgrade().unwrap();
        let url = cloud.moto.url();
        let answer = testkit::request("POST", &url, &headers, &request.body).unwrap();
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
        let action = header("x-amz-target").rsplit('.').next();
        if answer.status == 200 {
            match action {
                Some("UpdateService") => {
                    cloud.set(&serde_json::from_slice(&request.body).unwrap());
                    body["service"]["deployments"] = cloud.deployments();
                }
                Some("DescribeServices") => {
                    body["services"][0]["deployments"] = cloud.deployments();
                }
                _ => {}
            }
        }
        ResponseTemplate::new(answer.status).set_body_json(body)
    }
}

/// The address that the calls of ECS go to.
pub(crate) fn serve(cloud: &Arc<Cloud>) -> MockServer {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let server = MockServer::start().await;
        let all = Mock::given(any()).respond_with(Ecs(Arc::downgrade(cloud)));
        all.mount(&server).await;
        server
    })
}

impl Cloud {
    pub(crate) fn new(moto: Moto, containers: Containers) -> Arc<Cloud> {
        Arc::new(Cloud {
            moto,
            containers,
            deployment: Mutex::default(),
        })
    }

    /// The task definition that the service is set to.
    pub(crate) fn definition(&self) -> String {
        self.deployment.lock().unwrap().definition.clone()
    }

    /// Stops the task and starts one of the definition that is asked for, if it is another.
    fn set(&self, question: &Value) {
        let Some(name) = question["taskDefinition"].as_str() else {
            return;
        };
        let question = json!({"taskDefinition": name});
        let definition = &self.moto.ecs("DescribeTaskDefinition", &question)["taskDefinition"];
        let arn = definition["taskDefinitionArn"].as_str().unwrap();
        let mut deployment = self.deployment.lock().unwrap();
        if deployment.definition == arn {
            return;
        }
        *deployment = Deployment {
            made: deployment.made + 1,
            definition: arn.to_owned(),
            started: Some(Instant::now()),
            rollout: "IN_PROGRESS",
        };
        let container = &definition["containerDefinitions"][0];
        let docker = &self.containers.docker;
        docker.run(&["rm", "-f", "task"]);
        let mut words = vec!["run", "-d", "--name", "task", "--network", "host"];
        let all = container["environment"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let set = all.map(|one| format!("{}={}", text(&one["name"]), text(&one["value"])));
        let set: Vec<_> = set.collect();
        words.extend(set.iter().flat_map(|one| ["-e", one]));
        words.push(container["image"].as_str().unwrap());
        // An image that cannot be pulled is a rollout that fails.
        if !docker.run(&words).status.success() {
            deployment.rollout = "FAILED";
        }
    }

    fn deployments(&self) -> Value {
        let mut deployment = self.deployment.lock().unwrap();
        let Some(started) = deployment.started else {
            return json!([]);
        };
        if deployment.rollout == "IN_PROGRESS" && started.elapsed() > UP {
            let docker = &self.containers.docker;
            let runs = docker.must(&["inspect", "-f", "{{.State.Running}}", "task"]);
            deployment.rollout = if runs == "true" {
                "COMPLETED"
            } else {
                "FAILED"
            };
        }
        let runs = u32::from(deployment.rollout == "COMPLETED");
        let pending = u32::from(deployment.rollout == "IN_PROGRESS");
        json!([{
            "id": format!("ecs-svc/{}", deployment.made), "status": "PRIMARY",
            "taskDefinition": deployment.definition, "rolloutState": deployment.rollout,
            "rolloutStateReason": "", "desiredCount": 1, "runningCount": runs,
            "pendingCount": pending, "failedTasks": 0, "createdAt": 1.0,
        }])
    }
}

//! ECS as a test wants it: tasks that run, stop and are sick, which moto never shows.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::gating::Gate;

pub(crate) const PRIMARY: &str = "PRIMARY";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";
const DEFINITION: &str = "arn:aws:ecs:us-east-1:1:task-definition/api:42";

/// What it answers. At the start: service `api`, whose deployment `ecs-svc/7` of `api:42` is
/// rolled out, with two healthy tasks.
pub(crate) struct Aws {
    pub(crate) status: &'static str,
    pub(crate) controller: &'static str,
    pub(crate) deployments: Value,
    pub(crate) events: Value,
    pub(crate) definition: Value,
    pub(crate) running: Vec<Value>,
    pub(crate) stopped: Vec<Value>,
    /// An action, and the error that it gets.
    pub(crate) refuses: Option<(&'static str, &'static str)>,
    /// An action whose answer has no list, as from something in the place of ECS.
    pub(crate) empties: Option<&'static str>,
    asked: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Cloud {
    server: Arc<MockServer>,
    aws: Arc<Mutex<Aws>>,
}

impl Cloud {
    pub(crate) async fn start() -> Cloud {
        let aws = Arc::new(Mutex::new(Aws {
            status: "ACTIVE",
            controller: "ECS",
            deployments: json!([deployment(PRIMARY, "COMPLETED", 2, 2)]),
            events: json!([]),
            definition: definition(&[("api", "repo/api:v42")]),
            running: vec![task("a", "HEALTHY"), task("b", "HEALTHY")],
            stopped: Vec::new(),
            refuses: None,
            empties: None,
            asked: Vec::new(),
        }));
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(Answers(Arc::clone(&aws)))
            .mount(&server)
            .await;
        Cloud {
            server: Arc::new(server),
            aws,
        }
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Aws)) {
        change(&mut self.aws.lock().unwrap());
    }

    /// How often an action was requested.
    pub(crate) fn asked(&self, action: &str) -> usize {
        let aws = self.aws.lock().unwrap();
        aws.asked.iter().filter(|asked| *asked == action).count()
    }

    pub(crate) fn env(&self, gate: Gate) -> Gate {
        gate.env("AWS_ENDPOINT_URL", &self.server.uri())
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_REGION", "us-east-1")
    }
}

struct Answers(Arc<Mutex<Aws>>);

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut aws = self.0.lock().unwrap();
        let header = |name: &str| {
            let value = request.headers.get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let action = header("x-amz-target")
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_owned();
        aws.asked.push(action.clone());
        if !header("authorization").contains("/us-east-1/ecs/aws4_request") {
            return ResponseTemplate::new(400)
                .set_body_json(json!({"__type": "IncompleteSignatureException"}));
        }
        if let Some((refused, error)) = aws.refuses
            && refused == action
        {
            let message = format!("User: arn:aws:iam::1:user/gate: ecs:{action}");
            return ResponseTemplate::new(400)
                .set_body_json(json!({"__type": error, "message": message}));
        }
        if aws.empties == Some(action.as_str()) {
            return ResponseTemplate::new(200).set_body_json(json!({}));
        }
        let question: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let names = |tasks: &[Value]| json!({"taskArns": tasks.iter().map(|task| task["taskArn"].clone()).collect::<Vec<_>>()});
        let answer = match action.as_str() {
            "DescribeServices" => json!({"failures": [], "services": [{
                "serviceName": "api", "status": aws.status, "deploymentController": {"type": aws.controller},
                "deployments": aws.deployments, "events": aws.events}]}),
            "DescribeTaskDefinition" => json!({"taskDefinition": aws.definition}),
            "ListTasks" if question["desiredStatus"] == "STOPPED" => names(&aws.stopped),
            "ListTasks" => names(&aws.running),
            "DescribeTasks" => {
                let asked = |task: &&Value| {
                    question["tasks"]
                        .as_array()
                        .unwrap()
                        .contains(&task["taskArn"])
                };
                let all: Vec<_> = aws
                    .running
                    .iter()
                    .chain(&aws.stopped)
                    .filter(asked)
                    .collect();
                json!({"tasks": all})
            }
            _ => {
                return ResponseTemplate::new(400)
                    .set_body_json(json!({"__type": "UnknownOperationException"}));
            }
        };
        ResponseTemplate::new(200).set_body_json(answer)
    }
}

pub(crate) fn deployment(status: &str, rollout: &str, running: u64, desired: u64) -> Value {
    json!({"id": "ecs-svc/7", "status": status, "taskDefinition": DEFINITION, "rolloutState": rollout,
        "desiredCount": desired, "runningCount": running, "pendingCount": 0, "failedTasks": 0,
        "createdAt": 1_794_999_000.0})
}

/// With a health check in the first container.
pub(crate) fn definition(containers: &[(&str, &str)]) -> Value {
    let container = |(name, image): &(&str, &str)| json!({"name": name, "image": image});
    let mut all: Vec<_> = containers.iter().map(container).collect();
    all[0]["healthCheck"] = json!({"command": ["CMD", "curl", "-f", "http://localhost/"]});
    json!({"containerDefinitions": all})
}

pub(crate) fn task(name: &str, health: &str) -> Value {
    json!({"taskArn": format!("arn:aws:ecs:us-east-1:1:task/prod/{name}"), "startedBy": "ecs-svc/7",
        "taskDefinitionArn": DEFINITION, "lastStatus": "RUNNING", "healthStatus": health,
        "containers": [{"name": "api", "healthStatus": health}]})
}

pub(crate) fn stopped(name: &str, code: &str, reason: &str, exit: i64, container: &str) -> Value {
    let mut task = task(name, "UNKNOWN");
    task["lastStatus"] = json!("STOPPED");
    task["stopCode"] = json!(code);
    task["stoppedReason"] = json!(reason);
    task["containers"] = json!([{"name": "api", "exitCode": exit, "reason": container}]);
    task
}

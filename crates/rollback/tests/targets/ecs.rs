//! ECS: the recorded task definition, and the deployment that sets it. moto for the calls as AWS's own
//! tools describe them; a played ECS for rollouts that end, fail, or are taken back by a circuit
//! breaker, which moto never shows.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::Moto;
use wiremock::{MockServer, Request, Respond, ResponseTemplate};

use crate::targets::bed::{Bed, mock, points};

const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";
const TARGET: &str = "  ecs: { cluster: prod, service: shop, interval: 40ms, timeout: 5s }\n";

fn arn(revision: u32) -> String {
    format!("arn:aws:ecs:us-east-1:1:task-definition/shop:{revision}")
}

/// The fate of the next deployment.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    RollsOut,
    /// The circuit breaker reports the failure and rolls back.
    BreaksOff,
    /// It fails, and ECS does not roll back.
    Fails,
    Hangs,
}

struct Aws {
    deployments: Vec<Value>,
    fate: Fate,
    /// Looks until a rollout moves on.
    looks: usize,
    desired: u64,
    made: u32,
    updates: Vec<Value>,
    inactive: bool,
    denied: Option<&'static str>,
}

impl Aws {
    fn deployment(&mut self, revision: u32, rollout: &str) {
        let id = format!("ecs-svc/{}", 100 + self.made);
        self.made += 1;
        for one in &mut self.deployments {
            one["status"] = "ACTIVE".into();
        }
        let running = if rollout == "COMPLETED" {
            self.desired
        } else {
            0
        };
        self.deployments.insert(0, json!({"id": id, "status": "PRIMARY", "taskDefinition": arn(revision),
            "rolloutState": rollout, "rolloutStateReason": "", "desiredCount": self.desired,
            "runningCount": running, "pendingCount": self.desired - running, "failedTasks": 0, "createdAt": 1.0}));
    }

    fn service(&self) -> Value {
        json!({"serviceName": "shop", "status": "ACTIVE", "desiredCount": self.desired,
            "deployments": self.deployments, "events": []})
    }

    fn move_on(&mut self) {
        if self.deployments[0]["rolloutState"] != "IN_PROGRESS" || self.fate == Fate::Hangs {
            return;
        }
        if self.looks > 0 {
            self.looks -= 1;
            return;
        }
        match self.fate {
            Fate::RollsOut => {
                let primary = &mut self.deployments[0];
                primary["rolloutState"] = "COMPLETED".into();
                primary["runningCount"] = self.desired.into();
                primary["pendingCount"] = 0.into();
                self.deployments.truncate(1);
            }
            Fate::BreaksOff | Fate::Fails => {
                let failed = &mut self.deployments[0];
                failed["rolloutState"] = "FAILED".into();
                failed["rolloutStateReason"] =
                    "ECS deployment circuit breaker: tasks failed to start.".into();
                failed["failedTasks"] = 2.into();
                if self.fate == Fate::BreaksOff {
                    let id = failed["id"].as_str().unwrap().to_owned();
                    let old = self.deployments[1]["taskDefinition"].as_str().unwrap();
                    let revision = old.rsplit(':').next().unwrap().parse().unwrap();
                    self.deployments.remove(1);
                    self.deployment(revision, "COMPLETED");
                    self.deployments[0]["rolloutStateReason"] = format!(
                        "ECS deployment circuit breaker: rolling back to deploymentId {id}."
                    )
                    .into();
                }
            }
            Fate::Hangs => {}
        }
    }

    fn answer(&mut self, action: &str, question: &Value) -> Result<Value, (&'static str, String)> {
        if self.denied == Some(action) {
            let message =
                format!("User: arn:aws:iam::1:user/x is not authorized to perform: ecs:{action}");
            return Err(("AccessDeniedException", message));
        }
        Ok(match action {
            "DescribeServices" => {
                self.move_on();
                json!({"failures": [], "services": [self.service()]})
            }
            "DescribeTaskDefinition" => {
                let name = question["taskDefinition"].as_str().unwrap();
                let status = if self.inactive { "INACTIVE" } else { "ACTIVE" };
                // shop:3 is of v3.
                let revision = name.rsplit(':').next().unwrap();
                json!({"taskDefinition": {"taskDefinitionArn": name, "status": status,
                    "containerDefinitions": [{"name": "log", "image": "repo/log:v8"},
                        {"name": "shop", "image": format!("repo/shop:v{revision}")}]}})
            }
            "UpdateService" => {
                self.updates.push(question.clone());
                let name = question["taskDefinition"].as_str().unwrap();
                let revision = name.rsplit(':').next().unwrap().parse().unwrap();
                let same = self.deployments[0]["taskDefinition"] == arn(revision);
                if !same || question["forceNewDeployment"] == true {
                    self.deployment(revision, "IN_PROGRESS");
                }
                json!({"service": self.service()})
            }
            "ListTasks" if question["desiredStatus"] == "STOPPED" => {
                json!({"taskArns": ["task/1"]})
            }
            "ListTasks" => json!({"taskArns": []}),
            "DescribeTasks" => {
                let failed = self
                    .deployments
                    .iter()
                    .find(|one| one["rolloutState"] == "FAILED");
                let id = failed.map_or(json!("ecs-svc/0"), |one| one["id"].clone());
                json!({"tasks": [{"taskArn": "task/1", "startedBy": id, "lastStatus": "STOPPED",
                    "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
                    "overrides": {"containerOverrides": [{"environment": [{"name": "PASSWORD", "value": "x"}]}]},
                    "containers": [{"name": "shop", "exitCode": 3, "reason": "no database"}]}]})
            }
            other => panic!("the mock does not implement {other}"),
        })
    }
}

struct Answers(Arc<Mutex<Aws>>);

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let header = |name: &str| {
            request
                .headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
                .to_owned()
        };
        assert!(header("authorization").contains("/us-east-1/ecs/aws4_request"));
        let target = header("x-amz-target");
        let question: Value = serde_json::from_slice(&request.body).unwrap();
        let action = target.rsplit('.').next().unwrap();
        match self.0.lock().unwrap().answer(action, &question) {
            Ok(answer) => ResponseTemplate::new(200).set_body_json(answer),
            Err((code, message)) => ResponseTemplate::new(400)
                .set_body_json(json!({"__type": code, "message": message})),
        }
    }
}

struct World {
    bed: Bed,
    aws: Arc<Mutex<Aws>>,
    _server: MockServer,
}

impl World {
    /// v1 was recorded good with shop:1; shop:2 of v2 runs.
    fn new() -> World {
        let mut aws = Aws {
            deployments: Vec::new(),
            fate: Fate::RollsOut,
            looks: 2,
            desired: 2,
            made: 0,
            updates: Vec::new(),
            inactive: false,
            denied: None,
        };
        aws.deployment(1, "COMPLETED");
        let aws = Arc::new(Mutex::new(aws));
        let server = mock(Answers(Arc::clone(&aws)));
        let bed = Bed::new()
            .env("AWS_ENDPOINT_URL", &server.uri())
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_REGION", "us-east-1");
        bed.configure("", TARGET, "");
        // The target itself reports that v1 runs, by its current data.
        let v1 = ["record", "--release", "v1", "--task-definition", "shop:1"];
        bed.rollback(&v1)
            .is(0, &["v1 runs (the target reports it)"]);
        let v2 = [
            "record",
            "--pending",
            "--release",
            "v2",
            "--task-definition",
            &arn(2),
        ];
        bed.rollback(&v2).is(0, &[]);
        let world = World {
            bed,
            aws,
            _server: server,
        };
        world.v2_runs();
        world
    }

    fn aws(&self) -> MutexGuard<'_, Aws> {
        self.aws.lock().unwrap()
    }

    fn v2_runs(&self) {
        let mut aws = self.aws();
        aws.deployments.clear();
        aws.deployment(2, "COMPLETED");
        (aws.fate, aws.looks) = (Fate::RollsOut, 2);
        aws.updates.clear();
    }

    #[track_caller]
    fn primary(&self, revision: u32) {
        assert_eq!(self.aws().deployments[0]["taskDefinition"], arn(revision));
    }
}

#[test]
fn runbook_002_automated_rollback_sets_the_recorded_task_definition() {
    let world = World::new();
    world
        .bed
        .rollback(&["plan"])
        .is(0, &["from v2", "set prod/shop to shop:1 of v1"]);
    assert!(world.aws().updates.is_empty());
    let end = world.bed.rollback(&["run"]).is(
        0,
        &[
            "rolled back from v2 to v1",
            "shop:1 COMPLETED, 2 of 2 tasks run",
        ],
    );
    assert!(!end.text.contains(SECRET), "{}", end.text);
    world.primary(1);
    let update = json!({"cluster": "prod", "service": "shop", "taskDefinition": "shop:1"});
    assert_eq!(world.aws().updates, [update]);
    let service = world.bed.evidence("localhost.service.txt");
    assert!(service.contains(&arn(2)), "{service}");
    let stopped = world.bed.evidence("localhost.stopped-tasks.txt");
    assert!(stopped.contains("\"reason\": \"no database\""), "{stopped}");
    assert!(!stopped.contains("override"), "{stopped}");
    world
        .bed
        .rollback(&["run"])
        .is(5, &["v1 is what runs already"]);
}

/// "Manual rollback steps" 1 to 4: the last stable version, its task definition, the update, and a
/// wait that is not content with any stable service.
#[test]
fn runbook_002_manual_rollback_steps() {
    let world = World::new();
    world
        .bed
        .rollback(&["history"])
        .is(0, &["history/v1", "history/v2"]);
    world
        .bed
        .rollback(&["plan", "--to", "v1"])
        .is(0, &["set prod/shop to shop:1 of v1"]);
    world
        .bed
        .rollback(&["run", "--to", "v1"])
        .is(0, &["shop:1 COMPLETED, 2 of 2 tasks run"]);
    world.primary(1);
    assert_eq!(world.bed.state()["last_known_good"], "v1");
    assert_eq!(world.aws().updates.len(), 1);
}

#[test]
fn a_circuit_breaker_that_goes_back_is_a_failure_with_its_reasons() {
    let world = World::new();
    world.aws().fate = Fate::BreaksOff;
    world.bed.rollback(&["run"]).is(
        1,
        &[
            "another deployment: PRIMARY is ecs-svc/",
            "of shop:2, expected ecs-svc/",
            "ours is FAILED",
            "circuit breaker: rolling back",
            "Essential container in task exited",
            "container `shop`: exit code 3, no database",
        ],
    );
    world.primary(2);
    world.aws().fate = Fate::RollsOut;
    world.bed.resume_converges("v1", "the task was fixed");
    world.primary(1);
}

#[test]
fn a_rollout_that_fails_ends_the_step_and_resume_sets_it_anew() {
    let world = World::new();
    world.aws().fate = Fate::Fails;
    world
        .bed
        .rollback(&["run"])
        .is(1, &["FAILED: 0 of 2 run", "exit code 3, no database"]);
    world.aws().fate = Fate::RollsOut;
    world.bed.resume_converges("v1", "the task was fixed");
    let aws = world.aws();
    assert_eq!(aws.updates.len(), 2);
    assert_eq!(aws.updates[1]["forceNewDeployment"], true);
}

#[test]
fn a_rollout_that_hangs_is_followed_again_and_abort_goes_back() {
    let world = World::new();
    world.aws().fate = Fate::Hangs;
    world.bed.configure("", &TARGET.replace("5s", "400ms"), "");
    world
        .bed
        .rollback(&["run"])
        .is(1, &["it is not up: IN_PROGRESS: 0 of 2 run, 2 pending"]);
    assert_eq!(world.aws().updates.len(), 1);
    world.aws().fate = Fate::RollsOut;
    world.bed.rollback(&["abort"]).is(0, &["v2 is back"]);
    world.primary(2);
}

#[test]
fn what_cannot_be_set_is_refused_before_anything_changes() {
    type Change = fn(&World);
    let cases: [(Change, &str); 4] = [
        (|world| world.aws().inactive = true, "is INACTIVE"),
        (|world| world.aws().desired = 0, "scaled to 0 tasks"),
        (
            |world| world.aws().denied = Some("DescribeTaskDefinition"),
            "allow `ecs:DescribeTaskDefinition`",
        ),
        (
            |world| {
                let state = world.bed.keep().replace("\"shop:1\"", "null");
                world.bed.write("state.json", &state);
            },
            "the state has no task definition for v1",
        ),
    ];
    for (change, reason) in cases {
        let world = World::new();
        change(&world);
        world
            .bed
            .rollback(&["run"])
            .is(5, &[reason, "nothing was changed"]);
        assert!(world.aws().updates.is_empty());
        world.primary(2);
    }
}

#[test]
fn what_runs_is_asked_before_it_is_recorded() {
    let world = World::new();
    world
        .bed
        .rollback(&["record", "--release", "v3", "--task-definition", "shop:3"])
        .is(5, &["v2 runs, not v3"]);
    world.aws().deployment(7, "COMPLETED");
    world
        .bed
        .rollback(&["record", "--release", "v3"])
        .is(4, &["shop:7 runs, which was recorded for no release"]);
}

#[test]
fn the_task_definition_that_runs_is_asked_and_recorded() {
    let world = World::new();
    let record = |release: &str| world.bed.rollback(&["record", "--release", release]);
    let known = |release: &str| {
        let state: Value = serde_json::from_str(&world.bed.read("state.json")).unwrap();
        let mut history = state["history"].as_array().unwrap().iter();
        let entry = history.find(|entry| entry["release"] == release);
        entry.map_or(Value::Null, |entry| entry["task_definition"].clone())
    };
    // That of another release is not taken for this one's.
    record("v3").is(5, &["v2 runs, not v3"]);
    // While the old tasks still run it is unknown which of them answered.
    world.aws().fate = Fate::Hangs;
    world.aws().deployment(3, "IN_PROGRESS");
    record("v3").is(
        4,
        &[
            "ECS could not be queried for the task definition that runs",
            "of shop:3 is IN_PROGRESS",
        ],
    );
    world.aws().deployments[0]["rolloutState"] = "COMPLETED".into();
    record("v3").is(4, &["no task of shop:3 runs"]);
    world.aws().deployments[0]["runningCount"] = 2.into();
    record("v3").is(4, &["tasks of shop:2 still run beside shop:3"]);
    assert_eq!(known("v3"), Value::Null);
    // Its image names the release, and it alone runs.
    world.aws().deployments.truncate(1);
    record("v3").is(
        0,
        &[
            "v3 runs (the target reports it)",
            "it runs as arn:aws:ecs:us-east-1:1:task-definition/shop:3",
        ],
    );
    assert_eq!(known("v3"), arn(3));
    // Another container's image is not the service's.
    world.aws().deployments.clear();
    world.aws().deployment(4, "COMPLETED");
    record("v8").is(4, &["shop:4 runs, which was recorded for no release"]);
    assert_eq!(known("v8"), Value::Null);
    // And it is where a rollback goes.
    world.aws().fate = Fate::RollsOut;
    world
        .bed
        .rollback(&["run"])
        .is(0, &["v3", "shop:3 COMPLETED, 2 of 2 tasks run"]);
    world.primary(3);
    // Deployed again as a new revision, which is the one to go back to from then on.
    world.aws().deployments.clear();
    world.aws().deployment(3, "COMPLETED");
    let told = ["record", "--release", "v3", "--task-definition", "shop:3"];
    world.bed.rollback(&told).is(0, &[]);
    assert_eq!(known("v3"), "shop:3");
    record("v3").is(0, &["it runs as"]);
    assert_eq!(known("v3"), arn(3));
}

/// Images are not named like releases: the service itself reports what runs.
#[test]
fn where_no_image_says_it_the_service_does() {
    let world = World::new();
    let shop = testkit::Shop::start("2026-11");
    let gate = format!(
        "healthgate:\n  http: [{{ name: ready, url: \"{}\", release: {{ jq: .version }} }}]\n",
        shop.url("/api/v1/version")
    );
    world.bed.configure("", TARGET, &gate);
    world.aws().deployments.clear();
    world.aws().deployment(5, "COMPLETED");
    let record = ["record", "--release", "2026-11"];
    world.bed.rollback(&record).is(
        0,
        &[
            "2026-11 runs (the service reports it)",
            "it runs as arn:aws:ecs:us-east-1:1:task-definition/shop:5",
        ],
    );
    let state: Value = serde_json::from_str(&world.bed.read("state.json")).unwrap();
    assert_eq!(state["history"][0]["task_definition"], arn(5));
    // During a rollout it is unknown which of the two answered.
    world.aws().deployment(6, "IN_PROGRESS");
    world.aws().fate = Fate::Hangs;
    world
        .bed
        .rollback(&record)
        .is(4, &["of shop:6 is IN_PROGRESS"]);
    let insists = [
        "record",
        "--force=not-running",
        "--reason=test",
        "--release",
        "2026-11",
    ];
    world
        .bed
        .rollback(&insists)
        .is(0, &["lifted by ", "because: test: "]);
}

#[test]
fn killed_at_every_line_of_the_journal_and_in_the_middle_of_a_step() {
    let world = World::new();
    let state = world.bed.keep();
    for (lines, then) in points(4, Duration::from_millis(300), 6) {
        world.bed.put_back(&state);
        world.v2_runs();
        world.bed.killed(lines, then);
        let story = format!("{lines} lines and {then:?}");
        world.bed.resume_converges("v1", &story);
        world.primary(1);
        assert_eq!(world.aws().updates.len(), 1, "{story}: set once");
    }
}

/// moto takes every call as AWS's own tools make it, but its deployments stay as they were: which is
/// what is noticed then.
#[test]
fn moto_takes_every_call_and_a_deployment_that_does_not_come_is_noticed() {
    let moto = Moto::start_with(&[("MOTO_ECS_SERVICE_RUNNING", "2")]);
    moto.ecs("CreateCluster", &json!({"clusterName": "prod"}));
    for tag in ["v1", "v2"] {
        let definition = json!({"family": "shop", "containerDefinitions":
            [{"name": "shop", "image": format!("repo/shop:{tag}"), "memory": 64, "essential": true}]});
        moto.ecs("RegisterTaskDefinition", &definition);
    }
    let service = json!({"cluster": "prod", "serviceName": "shop", "taskDefinition": "shop:2", "desiredCount": 2});
    moto.ecs("CreateService", &service);
    let mut bed = Bed::new();
    for (name, value) in moto.variables() {
        bed = bed.env(name, &value);
    }
    bed.configure("", TARGET, "");
    let record = |release: &str, definition: &str, code: i32, says: &str| {
        let words = [
            "record",
            "--release",
            release,
            "--task-definition",
            definition,
        ];
        bed.rollback(&words).is(code, &[says]);
    };
    record(
        "v1",
        "shop:1",
        4,
        "shop:2 runs, which was recorded for no release",
    );
    let forced = [
        "record",
        "--force=not-running",
        "--reason=test",
        "--release",
        "v1",
        "--task-definition",
        "shop:1",
    ];
    bed.rollback(&forced).is(0, &[]);
    record("v2", "shop:2", 0, "v2 runs (the target reports it)");
    let to_v1 = ["run", "--to", "v1"];
    bed.rollback(&to_v1).is(1, &["PRIMARY is still ecs-svc/"]);
    let question = json!({"cluster": "prod", "services": ["shop"]});
    let service = &moto.ecs("DescribeServices", &question)["services"][0];
    assert!(
        service["taskDefinition"]
            .as_str()
            .unwrap()
            .ends_with("shop:1")
    );
    // The old deployment is still PRIMARY, and rolled out.
    bed.rollback(&["abort"]).is(0, &["v2 is back"]);
    moto.ecs(
        "DeregisterTaskDefinition",
        &json!({"taskDefinition": "shop:1"}),
    );
    bed.rollback(&to_v1).is(5, &["shop:1 is INACTIVE"]);
}

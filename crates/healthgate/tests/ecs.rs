//! A service of ECS: moto for the flow, and a mock for what moto never shows (tasks that run, stop
//! and are sick, a circuit breaker, refusals).

use crate::cloud;
use crate::cloud::{Cloud, PRIMARY, definition, deployment, stopped, task};
use crate::gating::{gate, gate_with};
use serde_json::json;
use testkit::Moto;

const ID: &str = "ecs/api";

fn section(more: &str) -> String {
    format!("  ecs: [{{ name: api, cluster: prod, service: api, {more} }}]\n")
}

#[test]
fn the_primary_deployment_must_be_ours_and_rolled_out() {
    let moto = Moto::start();
    let image = |tag: &str| {
        json!({"family": "api", "containerDefinitions":
        [{"name": "api", "image": format!("repo/api:{tag}"), "memory": 64, "essential": true}]})
    };
    moto.ecs("RegisterTaskDefinition", &image("v1"));
    moto.ecs("RegisterTaskDefinition", &image("v2"));
    moto.ecs("CreateCluster", &json!({"clusterName": "prod"}));
    let service = json!({"cluster": "prod", "serviceName": "api", "taskDefinition": "api:1", "desiredCount": 2});
    let service = &moto.ecs("CreateService", &service)["service"];
    let ask = |more: &str, args: &[&str]| {
        let mut gate = gate(&section(more)).args(args);
        for (name, value) in moto.variables() {
            gate = gate.env(name, &value);
        }
        gate.run()
    };
    // It is ours, and not there yet.
    let ours = ask("task-definition: 'api:1'", &[]).code(1);
    ours.ends(ID, "fail", "IN_PROGRESS: 0 of 2 run, 2 pending, 0 failed");
    assert!(
        ours.outcome(ID)["hint"]
            .as_str()
            .unwrap()
            .contains("aws ecs describe-services --cluster prod")
    );
    // Another one is not.
    let other = ask("task-definition: 'api:2'", &[]).code(1);
    other.ends(ID, "fail", "another deployment: PRIMARY is ecs-svc/");
    other.ends(ID, "fail", "of api:1, expected api:2");
    // By its release: the image's tag.
    let old = ask("", &["--release", "v2"]).code(1);
    old.ends(ID, "fail", "another release: v1 runs (repo/api:v1");
    ask("", &["--release", "v1"])
        .code(1)
        .ends(ID, "fail", "IN_PROGRESS");
    // A family alone is also that of the release before.
    let old = ask("task-definition: api", &["--release", "v2"]).code(1);
    old.ends(ID, "fail", "another release: v1 runs");
    ask("task-definition: api", &[]).code(3).ends(
        ID,
        "inconclusive",
        "which deployment is ours is not configured",
    );
    // Nothing tells which deployment is ours.
    ask("", &[]).code(3).ends(
        ID,
        "inconclusive",
        "which deployment is ours is not configured",
    );
    // By its id, as the deploying step has it.
    let old = service["deployments"][0]["id"].as_str().unwrap();
    let update = json!({"cluster": "prod", "service": "api", "forceNewDeployment": true});
    let updated = moto.ecs("UpdateService", &update);
    let deployments = updated["service"]["deployments"].as_array().unwrap();
    let primary = deployments
        .iter()
        .find(|one| one["status"] == "PRIMARY")
        .unwrap();
    let id = primary["id"].as_str().unwrap();
    ask(&format!("deployment-id: {id}"), &[])
        .code(1)
        .ends(ID, "fail", "IN_PROGRESS");
    let before = ask(&format!("deployment-id: {old}"), &[]).code(1);
    before.ends(
        ID,
        "fail",
        &format!("PRIMARY is {id} of api:1, expected {old}"),
    );
    ask("deployment-id: 1", &[])
        .code(2)
        .says("not a deployment's id");
}

#[test]
fn a_service_whose_tasks_run_passes() {
    let moto = Moto::start_with(&[("MOTO_ECS_SERVICE_RUNNING", "2")]);
    let definition = json!({"family": "api", "containerDefinitions":
        [{"name": "api", "image": "repo/api:v1", "memory": 64, "essential": true}]});
    moto.ecs("RegisterTaskDefinition", &definition);
    moto.ecs("CreateCluster", &json!({"clusterName": "prod"}));
    let service = json!({"cluster": "prod", "serviceName": "api", "taskDefinition": "api:1", "desiredCount": 2});
    moto.ecs("CreateService", &service);
    let mut gate = gate(&section("")).args(&["--release", "v1"]);
    for (name, value) in moto.variables() {
        gate = gate.env(name, &value);
    }
    let ran = gate.run().code(0);
    ran.ends(ID, "pass", "of api:1 COMPLETED, 2 of 2 tasks run");
    assert_eq!(ran.ids(), [ID]);
}

#[test]
fn what_is_not_there_or_not_allowed_says_so() {
    let moto = Moto::start();
    moto.ecs("CreateCluster", &json!({"clusterName": "prod"}));
    let ask = |section: &str| {
        let mut gate = gate(section);
        for (name, value) in moto.variables() {
            gate = gate.env(name, &value);
        }
        gate.run()
    };
    let missing = ask(&section("task-definition: api")).code(1);
    missing.ends(ID, "fail", "there is no service `api` in cluster `prod`");
    let elsewhere = ask("  ecs: [{ name: api, cluster: nowhere, service: api }]\n").code(4);
    let outcome = elsewhere.ends(ID, "error", "ClusterNotFoundException");
    assert!(
        outcome["hint"]
            .as_str()
            .unwrap()
            .contains("aws ecs list-clusters")
    );
    let nobody = gate(&section("task-definition: api"))
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .run()
        .code(4);
    nobody.ends(ID, "error", "find AWS credentials");
    ask("  ecs: [{ name: api, service: '' }]\n")
        .code(2)
        .says("must not be empty");
}

#[tokio::test]
async fn a_deployment_that_is_rolled_out_with_healthy_tasks_passes() {
    let cloud = Cloud::start().await;
    let passes = |more: &str, args: &[&str]| {
        let ran = cloud.env(gate(&section(more)).args(args)).run().code(0);
        ran.ends(
            ID,
            "pass",
            "ecs-svc/7 of api:42 COMPLETED, 2 of 2 tasks run",
        );
    };
    passes("task-definition: 'api:42'", &[]);
    passes("task-definition: api, deployment-id: ecs-svc/7", &[]);
    passes("", &["--release", "v42"]);
    passes("match: regex", &["--release", "v4[0-9]"]);
    passes(
        "container: api, task-definition: 'api:42'",
        &["--release", "v42"],
    );
    // A healthy task may name the release; no other source has to.
    let ran = cloud
        .env(gate(&section("")).args(&["--release", "v42"]))
        .run();
    assert_eq!(ran.ids(), [ID]);
    // Two containers: the service's own names the release, unless another is meant.
    cloud.set(|aws| {
        aws.definition = definition(&[("api", "repo/api:v42"), ("proxy", "nginx:1.27")]);
    });
    passes("", &["--release", "v42"]);
    let ran = cloud
        .env(gate(&section("container: proxy")).args(&["--release", "v42"]))
        .run()
        .code(1);
    ran.ends(ID, "fail", "1.27 runs");
    let ran = cloud
        .env(gate(&section("container: nobody")).args(&["--release", "v42"]))
        .run()
        .code(3);
    ran.ends(ID, "inconclusive", "no container `nobody`");
}

#[tokio::test]
async fn a_deployment_that_only_looks_stable_does_not_pass() {
    let cloud = Cloud::start().await;
    let ask = || cloud.env(gate(&section("task-definition: 'api:42'"))).run();
    // The circuit breaker has given it up.
    cloud.set(|aws| {
        aws.deployments = json!([deployment(PRIMARY, "FAILED", 0, 2)]);
        aws.deployments[0]["rolloutStateReason"] =
            json!("ECS deployment circuit breaker: tasks failed to start.");
        aws.deployments[0]["failedTasks"] = json!(3);
    });
    ask().code(1).ends(ID, "fail", "FAILED: 0 of 2 run, 0 pending, 3 failed; ECS deployment circuit breaker: tasks failed to start.");
    // It has rolled back: the old one is PRIMARY and stable.
    cloud.set(|aws| {
        let mut old = deployment(PRIMARY, "COMPLETED", 2, 2);
        old["id"] = json!("ecs-svc/8");
        old["taskDefinition"] = json!("arn:aws:ecs:us-east-1:1:task-definition/api:41");
        let mut ours = deployment("INACTIVE", "FAILED", 0, 2);
        ours["rolloutStateReason"] = json!("circuit breaker");
        aws.deployments = json!([old, ours]);
        aws.events = json!([{"createdAt": 1_795_000_000.5, "message": "(service api) rolling back to deployment ecs-svc/8."}]);
    });
    let ran = ask().code(1);
    for why in [
        "another deployment: PRIMARY is ecs-svc/8 of api:41, expected api:42",
        "ours is FAILED: 0 of 2 run, 0 pending, 0 failed; circuit breaker",
        "ECS reports: (service api) rolling back to deployment ecs-svc/8.",
    ] {
        ran.ends(ID, "fail", why);
    }
    // The old one still runs beside it; it runs fewer than wanted; it is scaled to nothing.
    cloud.set(|aws| {
        let mut old = deployment("ACTIVE", "COMPLETED", 1, 0);
        old["id"] = json!("ecs-svc/6");
        aws.deployments = json!([deployment(PRIMARY, "COMPLETED", 2, 2), old]);
        aws.events = json!([]);
    });
    ask()
        .code(1)
        .ends(ID, "fail", "1 tasks of older deployments still run");
    cloud.set(|aws| aws.deployments = json!([deployment(PRIMARY, "COMPLETED", 1, 2)]));
    ask().code(1).ends(ID, "fail", "1 of 2 run");
    cloud.set(|aws| aws.deployments = json!([deployment(PRIMARY, "COMPLETED", 0, 0)]));
    ask().code(3).ends(ID, "inconclusive", "scaled to 0 tasks");
    cloud.set(|aws| aws.deployments = json!([]));
    ask()
        .code(3)
        .ends(ID, "inconclusive", "no PRIMARY deployment");
    cloud.set(|aws| aws.status = "DRAINING");
    ask()
        .code(1)
        .ends(ID, "fail", "DRAINING: the service does not run");
    cloud.set(|aws| {
        aws.status = "ACTIVE";
        aws.controller = "CODE_DEPLOY";
    });
    ask()
        .code(4)
        .ends(ID, "error", "CODE_DEPLOY: something other than ECS deploys");
}

#[tokio::test]
async fn a_rollout_that_was_given_up_ends_the_gate_at_once() {
    let cloud = Cloud::start().await;
    let patient = "{ interval: 100ms, timeout: 10s, deadline: 10m }";
    let ask = || {
        let gate = gate_with(patient, &section("task-definition: 'api:42'"));
        let ran = cloud.env(gate).run().code(1);
        assert!(ran.json["duration_ms"].as_u64().unwrap() < 120_000);
        ran
    };
    cloud.set(|aws| aws.deployments = json!([deployment(PRIMARY, "FAILED", 0, 2)]));
    ask().ends(ID, "fail", "can no longer pass: FAILED: 0 of 2 run");
    cloud.set(|aws| {
        let mut old = deployment(PRIMARY, "COMPLETED", 2, 2);
        old["id"] = json!("ecs-svc/8");
        old["taskDefinition"] = json!("arn:aws:ecs:us-east-1:1:task-definition/api:41");
        aws.deployments = json!([old, deployment("INACTIVE", "FAILED", 0, 2)]);
    });
    ask().ends(ID, "fail", "can no longer pass: another deployment");
}

#[tokio::test]
async fn a_task_that_crashes_after_the_deployment_was_healthy_fails_the_gate() {
    let cloud = Cloud::start().await;
    // One had stopped before: that is history.
    cloud.set(|aws| {
        aws.stopped = vec![stopped(
            "old",
            "EssentialContainerExited",
            "Essential container in task exited",
            1,
            "",
        )];
    });
    let policy =
        "{ interval: 100ms, timeout: 10s, success-threshold: 2, deadline: 60s, soak: 20s }";
    let gate = cloud.env(gate_with(policy, &section("task-definition: 'api:42'")));
    let running = std::thread::spawn(move || gate.run());
    let asked = testkit::wait_until(std::time::Duration::from_mins(1), || {
        cloud.asked("ListTasks") >= 10
    });
    assert!(asked);
    // ECS has started another in its place: the counts are as before.
    cloud.set(|aws| {
        aws.stopped.push(stopped(
            "new",
            "EssentialContainerExited",
            "Essential container in task exited",
            139,
            "",
        ));
    });
    let ran = running.join().unwrap().code(1);
    ran.ends(ID, "fail", "1 tasks stopped since the deployment was healthy; 1 × stopped: Essential container in task exited; container `api`: exit code 139");
    ran.ends(ID, "fail", "soak");
}

#[tokio::test]
async fn a_refusal_names_the_permission_that_is_missing() {
    let cloud = Cloud::start().await;
    let ask = || {
        cloud
            .env(gate(&section("task-definition: 'api:42'")))
            .run()
            .code(4)
    };
    for action in [
        "DescribeServices",
        "DescribeTaskDefinition",
        "ListTasks",
        "DescribeTasks",
    ] {
        cloud.set(|aws| aws.refuses = Some((action, "AccessDeniedException")));
        let ran = ask();
        let outcome = ran.ends(
            ID,
            "error",
            &format!("{action}: query ECS: not allowed (AccessDeniedException)"),
        );
        assert!(
            outcome["hint"]
                .as_str()
                .unwrap()
                .contains(&format!("allow `ecs:{action}`"))
        );
    }
    cloud.set(|aws| aws.refuses = Some(("ListTasks", "ThrottlingException")));
    let ran = ask();
    let outcome = ran.ends(ID, "error", "ThrottlingException");
    assert!(outcome["hint"].as_str().unwrap().contains("less often"));
    assert!(!ran.json.to_string().contains(cloud::SECRET));
}

#[tokio::test]
async fn an_answer_without_its_list_is_an_error_and_not_that_there_is_none() {
    let cloud = Cloud::start().await;
    let policy =
        "{ interval: 10ms, timeout: 10s, failure-limit: 0, error-limit: 0, deadline: 60s }";
    for (action, list) in [
        ("DescribeServices", "services"),
        ("ListTasks", "taskArns"),
        ("DescribeTasks", "tasks"),
    ] {
        cloud.set(|aws| aws.empties = Some(action));
        let section = section("task-definition: 'api:42'");
        let ran = cloud.env(gate_with(policy, &section)).run().code(4);
        let why = format!("the answer has no list of results (`{list}`)");
        let outcome = ran.ends(ID, "error", &why);
        let hint = outcome["hint"].as_str().unwrap();
        assert!(hint.contains("in the place of ECS"), "{hint}");
    }
}

#[tokio::test]
async fn tasks_without_a_health_check_need_not_be_healthy_and_those_with_one_do() {
    let cloud = Cloud::start().await;
    let ask = || cloud.env(gate(&section("task-definition: 'api:42'"))).run();
    cloud.set(|aws| aws.running = vec![task("a", "UNKNOWN"), task("b", "UNKNOWN")]);
    ask()
        .code(1)
        .ends(ID, "fail", "0 of 2 tasks are HEALTHY: a is UNKNOWN");
    cloud.set(|aws| {
        aws.definition =
            json!({"containerDefinitions": [{"name": "api", "image": "repo/api:v42"}]});
    });
    ask().code(0);
}

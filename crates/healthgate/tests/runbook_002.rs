//! Runbook 002, common failure scenarios on ECS: what a person used to read out of `aws ecs
//! describe-services`, `list-tasks` and `describe-tasks`.

use crate::cloud::{Cloud, PRIMARY, deployment, stopped, task};
use crate::gating;
use crate::gating::gate;
use serde_json::json;

const ID: &str = "ecs/finance-hub-api";

fn ask(cloud: &Cloud) -> gating::Ran {
    let section = "  ecs: [{ name: finance-hub-api, cluster: finance-hub-production, service: finance-hub-api, task-definition: 'api:42' }]\n";
    cloud.env(gate(section)).run()
}

/// "Tasks keep stopping": an application error on startup, or an image that cannot be pulled.
#[tokio::test]
async fn runbook_002_scenario_1_container_wont_start() {
    let cloud = Cloud::start().await;
    cloud.set(|aws| {
        aws.deployments = json!([deployment(PRIMARY, "IN_PROGRESS", 0, 2)]);
        aws.deployments[0]["failedTasks"] = json!(3);
        aws.running = Vec::new();
        let exit = |name| stopped(name, "EssentialContainerExited", "Essential container in task exited", 1, "");
        let pull = "CannotPullContainerError: pull image manifest has been retried 1 time(s): repo/api:v42: not found";
        aws.stopped = vec![exit("a"), exit("b"), stopped("c", "TaskFailedToStart", pull, 0, "")];
        aws.events = json!([{"createdAt": 1_795_000_000.0, "message": "(service finance-hub-api) has failed to start tasks: 3."}]);
    });
    let ran = ask(&cloud).code(1);
    for why in [
        "IN_PROGRESS: 0 of 2 run, 0 pending, 3 failed",
        "2 × stopped: Essential container in task exited; container `api`: exit code 1",
        "1 × stopped: CannotPullContainerError: pull image manifest",
        "ECS reports: (service finance-hub-api) has failed to start tasks: 3.",
    ] {
        ran.ends(ID, "fail", why);
    }
    assert!(
        ran.outcome(ID)["hint"]
            .as_str()
            .unwrap()
            .contains("aws ecs describe-services --cluster finance-hub-production")
    );
}

/// "Tasks marked unhealthy": the health endpoint returns 500.
#[tokio::test]
async fn runbook_002_scenario_2_health_check_fails() {
    let cloud = Cloud::start().await;
    // ECS still counts it as running, and calls the rollout complete.
    cloud.set(|aws| {
        aws.running = vec![task("a", "HEALTHY"), task("b", "UNHEALTHY")];
        let code = "ServiceSchedulerInitiated";
        let reason = "Task failed container health checks";
        // A service that was stopped on purpose is not a failure.
        let scaled = "Scaling activity initiated by (deployment ecs-svc/7)";
        aws.stopped = vec![
            stopped("c", code, reason, 143, ""),
            stopped("d", code, scaled, 0, ""),
        ];
    });
    let ran = ask(&cloud).code(1);
    ran.ends(ID, "fail", "1 of 2 tasks are HEALTHY: b is UNHEALTHY");
    ran.ends(
        ID,
        "fail",
        "1 × stopped: Task failed container health checks; container `api`: exit code 143",
    );
    assert!(!ran.text.contains("Scaling activity"), "{}", ran.text);
}

/// "Container OOMKilled": a leak, or too little memory.
#[tokio::test]
async fn runbook_002_scenario_4_out_of_memory() {
    let cloud = Cloud::start().await;
    cloud.set(|aws| {
        aws.deployments = json!([deployment(PRIMARY, "IN_PROGRESS", 1, 2)]);
        let killed = "OutOfMemoryError: Container killed due to high memory usage";
        aws.stopped = vec![stopped(
            "c",
            "EssentialContainerExited",
            "Essential container in task exited",
            137,
            killed,
        )];
    });
    let ran = ask(&cloud).code(1);
    ran.ends(ID, "fail", "IN_PROGRESS: 1 of 2 run");
    ran.ends(
        ID,
        "fail",
        "exit code 137, OutOfMemoryError: Container killed due to high memory usage",
    );
}

//! A service of Amazon ECS: its calls, the state in a bucket, and the credentials of the job.

use std::sync::Arc;

use serde_json::{Value, json};
use testkit::{Moto, free_port};
use wiremock::MockServer;

use crate::examples::cloud::{Cloud, serve};
use crate::examples::world::{Containers, Example, answers, state, version};
use crate::job::act::Repository;

struct World {
    cloud: Arc<Cloud>,
    ecs: MockServer,
    port: u16,
}

impl World {
    fn new(releases: &[(&str, &str)]) -> World {
        let moto = std::thread::spawn(Moto::start);
        let containers = Containers::new(releases);
        let moto = moto.join().unwrap();
        moto.make_bucket("shop-state");
        moto.ecs("CreateCluster", &json!({"clusterName": "production"}));
        // The service was made by hand, with an image whose name does not tell the release.
        let definition = json!({"family": "shop", "containerDefinitions":
            [{"name": "shop", "image": "shop:none", "memory": 64, "essential": true}]});
        moto.ecs("RegisterTaskDefinition", &definition);
        let service = json!({"cluster": "production", "serviceName": "shop",
            "taskDefinition": "shop:1", "desiredCount": 1});
        moto.ecs("CreateService", &service);
        let cloud = Cloud::new(moto, containers);
        let ecs = serve(&cloud);
        World {
            cloud,
            ecs,
            port: free_port(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The same with AWS played here, and its command line.
    fn reached_by(&self, example: Example) -> Example {
        example
            .action(LOG_IN.0, LOG_IN.1)
            .variable("AWS_REGION", "us-east-1")
            .variable("STATE_BUCKET", "shop-state")
            .env("AWS_ENDPOINT_URL", &self.cloud.moto.url())
            .env("AWS_ENDPOINT_URL_ECS", &self.ecs.uri())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("PATH", &path())
    }

    fn state(&self, of: &str) -> Vec<u8> {
        let state = self.cloud.moto.object("shop-state", of);
        state.expect("a state in the bucket")
    }

    /// The service is set to this revision, which was recorded with this release.
    #[track_caller]
    fn runs(&self, revision: u32, release: &str, of: &str) {
        let arn = format!("task-definition/shop:{revision}");
        let set = self.cloud.definition();
        assert!(set.ends_with(&arn), "{set}");
        let state: Value = serde_json::from_slice(&self.state(of)).unwrap();
        let mut history = state["history"].as_array().unwrap().iter();
        let entry = history.find(|entry| entry["release"] == release).unwrap();
        let recorded = entry["task_definition"].as_str().unwrap_or_default();
        assert!(recorded.ends_with(&arn), "{state}");
    }
}

/// Programs, AWS's command line among them.
fn path() -> String {
    let aws = testkit::tool("aws");
    let path = std::env::var("PATH").unwrap();
    format!("{}:{path}", aws.parent().unwrap().display())
}

/// In place of `aws-actions/configure-aws-credentials`, which no machine without the internet has:
/// the job's identity is exchanged for credentials that the steps after it use.
const LOG_IN: (&str, &str) = (
    "aws-actions/configure-aws-credentials@8df5847569e6427dd6c4fb1cf565c83acfa8afa7",
    r#"name: log in
inputs: { role-to-assume: {}, aws-region: {}, role-duration-seconds: { default: "3600" } }
runs:
  using: composite
  steps:
    - shell: bash
      env: { ROLE: "${{ inputs.role-to-assume }}", SECONDS_LONG: "${{ inputs.role-duration-seconds }}", REGION: "${{ inputs.aws-region }}" }
      run: |
        set -eu
        aws sts assume-role-with-web-identity --role-arn "$ROLE" --role-session-name GitHubActions \
          --web-identity-token a-job-of-acme-shop --duration-seconds "$SECONDS_LONG" --query Credentials |
          jq -r '"AWS_ACCESS_KEY_ID=\(.AccessKeyId)", "AWS_SECRET_ACCESS_KEY=\(.SecretAccessKey)", "AWS_SESSION_TOKEN=\(.SessionToken)"' \
          >>"$GITHUB_ENV"
        printf '%s\n' "AWS_REGION=$REGION" "AWS_DEFAULT_REGION=$REGION" >>"$GITHUB_ENV"
"#,
);

#[test]
fn ecs_from_a_good_release_through_a_bad_one_and_back() {
    // v2 starts, answers with 200, and reports that it is not healthy.
    let world = World::new(&[("v1", "healthy"), ("v2", "degraded"), ("v3", "healthy")]);
    let example = Example::copy("ecs")
        .fill("\"8080\"", &format!("\"{}\"", world.port))
        .fill("startup: 5m", "startup: 3s")
        .fill("interval: 5s, timeout: 5s", "interval: 200ms, timeout: 5s")
        .fill("interval: 5s, timeout: 15m", "interval: 200ms, timeout: 1m")
        .variable("DEPLOY_ROLE", "arn:aws:iam::123456789012:role/deploy")
        .variable("CLUSTER", "production")
        .variable("REPOSITORY", &world.cloud.containers.image())
        .variable("SHOP_URL", &world.url(""));
    let example = world.reached_by(example);
    let deploy = |release: &str| {
        let inputs = [("release", release), ("environment", "production")];
        example.dispatch("deploy.yml", &inputs)
    };
    let of = "shop/production.json";
    let url = world.url("/api/v1/version");

    deploy("v1").passes().skipped("Roll back");
    answers(&url, &version("v1"));
    world.runs(2, "v1", of);

    let run = deploy("v2").fails().succeeded("Deploy");
    run.failed("Gate")
        .says("http/ready")
        .skipped("Record as good")
        .succeeded("Roll back")
        .says("shop:2 COMPLETED");
    answers(&url, &version("v1"));
    world.runs(2, "v1", of);
    state(&world.state(of), "v1", &[("v1", "good"), ("v2", "bad")]);

    // It is not deployed again.
    let run = deploy("v2").fails().failed("Preflight");
    run.says("known bad").skipped("Begin").skipped("Roll back");
    // The same in one step, as a person may do it who has credentials.
    testkit::bin("deploy-guard")
        .current_dir(example.repository.path(""))
        .envs(world.cloud.moto.variables())
        .env("AWS_ENDPOINT_URL_ECS", world.ecs.uri())
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("PATH", path())
        .env("CLUSTER", "production")
        .env("REPOSITORY", world.cloud.containers.image())
        .env("SHOP_URL", world.url(""))
        .env("STATE_BUCKET", "shop-state")
        .args(["run", "--release", "v3", "--environment", "production"])
        .assert()
        .code(0);
    answers(&url, &version("v3"));
    world.runs(4, "v3", of);
}

const TASK: &str = r#"{"family": "shop", "containerDefinitions": [
  {"name": "shop", "image": "IMAGE:v0", "memory": 64, "essential": true,
   "environment": [{"name": "PORT", "value": "8080"}]}]}"#;
/// What `init` writes for a task definition: no manual step from the first release on.
#[test]
fn a_task_definition_and_init_guard_a_deployment_with_nothing_by_hand() {
    // The image of v2 was not pushed: its tasks do not start, and only ECS reports that.
    let world = World::new(&[("v1", "healthy")]);
    let repository = Repository::new();
    let task = TASK.replace("IMAGE", &world.cloud.containers.image());
    let task = task.replace("8080", &world.port.to_string());
    repository.write(".aws/task-definition.json", &task);
    let mut init = testkit::bin("deploy-guard");
    init.current_dir(repository.path("")).args([
        "init",
        "--kind",
        "ecs",
        "--environment",
        "production",
    ]);
    init.assert().code(0);
    let example = world
        .reached_by(Example::of(repository))
        .variable("ECS_CLUSTER", "production")
        .variable("ECS_SERVICE", "shop")
        .variable("AWS_DEPLOY_ROLE", "arn:aws:iam::123456789012:role/deploy");
    let deploy = |release| example.dispatch("deploy-guard.yml", &[("release", release)]);
    let of = "shop/production.json";
    let url = world.url("/api/v1/version");

    deploy("v1").passes();
    answers(&url, &version("v1"));
    world.runs(2, "v1", of);

    deploy("v2").fails().says("rolled back from v2 to v1");
    answers(&url, &version("v1"));
    world.runs(2, "v1", of);
    state(&world.state(of), "v1", &[("v1", "good"), ("v2", "bad")]);
}

const DEPLOYS: &str = r#"name: Ship

on:
  workflow_dispatch:
    inputs:
      release: { type: string, required: true }

permissions: {}

concurrency: ship

env:
  IMAGE: REPOSITORY:${{ inputs.release }}

jobs:
  deploy:
    runs-on: ubuntu-latest
    environment: production
    permissions:
      contents: read
      id-token: write
    steps:
      - uses: actions/checkout@8e8c483db84b4bee98b60c0593521ed34d9990e8 # v6.0.1
        with: { persist-credentials: false }

      - uses: LOG_IN
        with:
          role-to-assume: ${{ vars.DEPLOY_ROLE }}
          aws-region: us-east-1

      # Pushed already.
      - name: Image
        if: github.event_name == 'push'
        run: |
          docker build -t "$IMAGE" .
          docker push "$IMAGE"

      - name: Start it
        run: |
          definition=$(jq --arg image "$IMAGE" '.containerDefinitions[0].image = $image' .aws/task-definition.json)
          arn=$(aws ecs register-task-definition --cli-input-json "$definition" --query taskDefinition.taskDefinitionArn --output text)
          aws ecs update-service --cluster production --service shop --task-definition "$arn"
"#;

/// A workflow that deploys by AWS's command line, and the steps that `init --patch` adds to it.
#[test]
fn a_workflow_that_init_patched_goes_live_and_goes_back() {
    let world = World::new(&[("v1", "healthy"), ("v3", "healthy")]);
    let repository = Repository::new();
    let image = world.cloud.containers.image();
    let task = TASK.replace("IMAGE", &image);
    let task = task.replace("8080", &world.port.to_string());
    repository.write(".aws/task-definition.json", &task);
    let workflow = DEPLOYS
        .replace("LOG_IN", LOG_IN.0)
        .replace("REPOSITORY", &image);
    repository.write(".github/workflows/ship.yml", &workflow);
    let mut init = testkit::bin("deploy-guard");
    init.current_dir(repository.path(""));
    let printed = init.args(["init", "--yes", "--patch"]).assert().code(0);
    printed.stdout(predicates::str::contains("gh variable set STATE_BUCKET"));
    crate::init::lint(&repository.path(".github/workflows/ship.yml"));
    let example = world
        .reached_by(Example::of(repository))
        .variable("DEPLOY_ROLE", "arn:aws:iam::123456789012:role/deploy");
    let ship = |release| example.dispatch("ship.yml", &[("release", release)]);
    let of = "shop/production.json";
    let url = world.url("/api/v1/version");

    ship("v1").passes().succeeded("Gate the release");
    answers(&url, &version("v1"));
    world.runs(2, "v1", of);

    // The image of v2 was not pushed: its tasks do not start.
    let run = ship("v2").fails().failed("Gate the release");
    run.succeeded("Put the last good release back");
    answers(&url, &version("v1"));
    world.runs(2, "v1", of);
    // ECS tells no release of a definition that was never recorded: the step names it, and it is known from then on.
    state(&world.state(of), "v1", &[("v1", "good"), ("v2", "bad")]);
    let run = ship("v2").fails().failed("Check before the deployment");
    run.says("known bad").skipped("Start it");
    ship("v3").passes();
    answers(&url, &version("v3"));
}

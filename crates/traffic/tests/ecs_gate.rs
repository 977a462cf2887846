//! The answer to a paused deployment of ECS, scripted by the shapes of its API: moto does not know them.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::{End, Shop};
use tokio::runtime::{Builder, Runtime};
use wiremock::matchers::header;
use wiremock::{Mock, MockServer, ResponseTemplate};

const DEPLOYMENT: &str = "arn:aws:ecs:eu-west-1:1:service-deployment/shop/web/8fGk";

struct Ecs {
    runtime: Runtime,
    server: MockServer,
    shop: Shop,
    folder: tempfile::TempDir,
}

impl Ecs {
    /// A deployment that waits, where `waits`.
    fn new(waits: bool) -> Ecs {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let server = runtime.block_on(async {
            let server = MockServer::start().await;
            let hooks = if waits {
                json!([{"hookId": "h-2", "targetType": "PAUSE", "status": "AWAITING_ACTION", "timeoutAction": "ROLLBACK"}])
            } else {
                json!([])
            };
            let described = json!({"serviceDeployments": [{
                "serviceDeploymentArn": DEPLOYMENT, "status": "IN_PROGRESS",
                "lifecycleStage": "POST_TEST_TRAFFIC_SHIFT", "lifecycleHookDetails": hooks,
            }], "failures": []});
            let listed = json!({"serviceDeployments": [{"serviceDeploymentArn": DEPLOYMENT, "status": "IN_PROGRESS"}]});
            for (action, answer) in [
                ("ListServiceDeployments", listed),
                ("DescribeServiceDeployments", described),
                ("ContinueServiceDeployment", json!({})),
            ] {
                let target = format!("AmazonEC2ContainerServiceV20141113.{action}");
                Mock::given(header("x-amz-target", target.as_str()))
                    .respond_with(ResponseTemplate::new(200).set_body_json(answer))
                    .mount(&server)
                    .await;
            }
            server
        });
        let shop = Shop::start("v2");
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "version: 1\nhealthgate:\n  policy: {{ interval: 50ms, deadline: 3s, failure-limit: 2 }}\n  http: [{{ name: ready, url: '{}' }}]\n",
            shop.url("/health/ready")
        );
        std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
        Ecs {
            runtime,
            server,
            shop,
            folder,
        }
    }

    fn gate(&self) -> End {
        let mut command = Command::new(testkit::bin_path("traffic"));
        testkit::clear_environment(&mut command)
            .current_dir(self.folder.path())
            .args(["gate", "--cluster", "shop", "--service", "web"])
            .args(["--region", "eu-west-1"])
            .env("AWS_ENDPOINT_URL_ECS", self.server.uri())
            .env("AWS_ACCESS_KEY_ID", "testkit")
            .env("AWS_SECRET_ACCESS_KEY", "testkit-secret-key")
            .stdin(Stdio::null());
        End::from(command.output().unwrap())
    }

    /// What the deployment was told.
    fn told(&self) -> Vec<Value> {
        let requests = self.runtime.block_on(self.server.received_requests());
        let bodies = requests.unwrap().into_iter();
        bodies
            .filter_map(|request| request.body_json::<Value>().ok())
            .filter(|body| body["action"].is_string())
            .collect()
    }
}

#[test]
fn a_paused_deployment_goes_on_where_the_gate_passes() {
    let ecs = Ecs::new(true);
    ecs.gate().is(0, &["continue"]);
    let told = ecs.told();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["action"], &told[0]["hookId"]),
        (&json!("CONTINUE"), &json!("h-2"))
    );
}

#[test]
fn it_rolls_back_where_the_gate_fails() {
    let ecs = Ecs::new(true);
    ecs.shop.set_health("unhealthy", 503);
    ecs.gate().is(1, &["roll back"]);
    assert_eq!(ecs.told()[0]["action"], "ROLLBACK");
}

#[test]
fn nothing_is_answered_where_nothing_waits() {
    let ecs = Ecs::new(false);
    ecs.gate().is(3, &["no deployment of web waits at a pause"]);
    assert!(ecs.told().is_empty());
}

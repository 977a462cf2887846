//! What moto does not know of ECS, scripted by the shapes of its API.

use model::{Env, Redactor};
use router::ecs_hook::{Decision, Hooks};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, header};
use wiremock::{Mock, MockServer, ResponseTemplate};

const DEPLOYMENT: &str = "arn:aws:ecs:eu-west-1:1:service-deployment/shop/web/8fGk";

fn hooks(ecs: &MockServer) -> Hooks {
    let env = Env::from_iter([
        ("AWS_ENDPOINT_URL_ECS", ecs.uri()),
        ("AWS_ACCESS_KEY_ID", "testkit".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "testkit-secret-key".to_owned()),
    ]);
    Hooks::new(
        ("shop", "web"),
        Some("eu-west-1"),
        &env,
        &Redactor::default(),
    )
}

async fn script(ecs: &MockServer, action: &str, question: Value, answer: ResponseTemplate) {
    let target = format!("AmazonEC2ContainerServiceV20141113.{action}");
    Mock::given(header("x-amz-target", target.as_str()))
        .and(body_json(question))
        .respond_with(answer)
        .expect(1)
        .mount(ecs)
        .await;
}

fn under_way() -> Value {
    json!({
        "cluster": "shop", "service": "web", "status": ["PENDING", "IN_PROGRESS"], "maxResults": 20,
    })
}

#[tokio::test]
async fn a_deployment_that_waits_is_found_and_answered() {
    let ecs = MockServer::start().await;
    let listed = json!({"serviceDeployments": [{"serviceDeploymentArn": DEPLOYMENT, "status": "IN_PROGRESS"}]});
    let listed = ResponseTemplate::new(200).set_body_json(listed);
    script(&ecs, "ListServiceDeployments", under_way(), listed).await;
    let described = json!({"serviceDeployments": [{
        "serviceDeploymentArn": DEPLOYMENT,
        "status": "IN_PROGRESS",
        "lifecycleStage": "POST_TEST_TRAFFIC_SHIFT",
        "lifecycleHookDetails": [
            {"hookId": "h-0", "targetType": "PAUSE", "status": "SUCCEEDED"},
            {"hookId": "h-1", "targetType": "AWS_LAMBDA", "status": "IN_PROGRESS", "targetArn": "arn:x"},
            {"hookId": "h-2", "targetType": "PAUSE", "status": "AWAITING_ACTION",
             "expiresAt": 1_795_936_529.5, "timeoutAction": "ROLLBACK"},
        ],
    }], "failures": []});
    let question = json!({"serviceDeploymentArns": [DEPLOYMENT]});
    let described = ResponseTemplate::new(200).set_body_json(described);
    script(&ecs, "DescribeServiceDeployments", question, described).await;
    let hooks = hooks(&ecs);
    let paused = hooks.paused().await.unwrap();
    let [hook] = paused.as_slice() else {
        panic!("{paused:?}")
    };
    assert_eq!(
        (
            hook.deployment.as_str(),
            hook.id.as_str(),
            hook.stage.as_str()
        ),
        (DEPLOYMENT, "h-2", "POST_TEST_TRAFFIC_SHIFT")
    );
    assert_eq!(
        (hook.expires, hook.on_expiry.as_str()),
        (Some(1_795_936_529.5), "ROLLBACK")
    );
    for (decision, word) in [
        (Decision::Continue, "CONTINUE"),
        (Decision::RollBack, "ROLLBACK"),
    ] {
        let question = json!({"serviceDeploymentArn": DEPLOYMENT, "hookId": "h-2", "action": word});
        let done =
            ResponseTemplate::new(200).set_body_json(json!({"serviceDeploymentArn": DEPLOYMENT}));
        script(&ecs, "ContinueServiceDeployment", question, done).await;
        hooks.answer(hook, decision).await.unwrap();
    }
}

#[tokio::test]
async fn a_service_that_waits_for_nothing_has_no_pauses() {
    let ecs = MockServer::start().await;
    let listed = ResponseTemplate::new(200).set_body_json(json!({"serviceDeployments": []}));
    script(&ecs, "ListServiceDeployments", under_way(), listed).await;
    assert_eq!(hooks(&ecs).paused().await.unwrap(), []);
}

#[tokio::test]
async fn who_may_not_is_told_the_permission() {
    let ecs = MockServer::start().await;
    let denied = json!({"__type": "AccessDeniedException", "message": "no"});
    let denied = ResponseTemplate::new(400).set_body_json(denied);
    script(&ecs, "ListServiceDeployments", under_way(), denied).await;
    let error = hooks(&ecs).paused().await.unwrap_err();
    insta::assert_snapshot!(error, @"ListServiceDeployments: query ECS: not allowed (AccessDeniedException): no; allow `ecs:ListServiceDeployments`; `aws sts get-caller-identity` shows to whom");
}

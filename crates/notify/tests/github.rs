//! GitHub: an issue per incident, and the statuses of a deployment, against a GitHub that keeps what it is sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use notify::{Notice, Phase, PreviousDelivery, Reference};
use sections::incident::EventKind;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

use crate::bed::{CANARY, deliver, deliver_within, deployed, notice, resolved, told};

const ISSUE: &str = "github-issue: [{ name: issue, labels: [incident] }]";
const DEPLOYMENT: &str = "github-deployment: [{ name: deployment }]";

#[derive(Clone, Default)]
struct Hub(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    issues: Vec<Value>,
    comments: Vec<Value>,
    deployments: Vec<Value>,
    statuses: Vec<Value>,
    asked: Vec<String>,
    /// Keep what the next change is, and answer as a gateway does.
    loses_answers: usize,
    refuses: Option<u16>,
}

impl Respond for Hub {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        let (method, path) = (request.method.as_str(), request.url.path());
        state.asked.push(format!("{method} {path}"));
        assert_eq!(
            request.headers["authorization"],
            format!("Bearer {CANARY}").as_str()
        );
        if let Some(status) = state.refuses {
            return ResponseTemplate::new(status).set_body_json(json!({"message": "no"}));
        }
        let mut body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let kind = path.trim_start_matches("/repos/acme/shop/");
        let list = match kind {
            "issues" => &mut state.issues,
            "issues/1/comments" => &mut state.comments,
            "deployments" => &mut state.deployments,
            "deployments/1/statuses" => &mut state.statuses,
            "issues/1" => {
                assert_eq!(method, "PATCH");
                state.issues[0]["state"] = body["state"].clone();
                return ResponseTemplate::new(200).set_body_json(&state.issues[0]);
            }
            other => panic!("{method} {other}"),
        };
        if method == "GET" {
            let query: std::collections::HashMap<_, _> = request.url.query_pairs().collect();
            let number = |name: &str, usual: usize| {
                query.get(name).map_or(usual, |text| text.parse().unwrap())
            };
            let (page, size) = (number("page", 1), number("per_page", 30));
            let newest: Vec<&Value> = list
                .iter()
                .rev()
                .skip((page - 1) * size)
                .take(size)
                .collect();
            return ResponseTemplate::new(200).set_body_json(newest);
        }
        let number = list.len() + 1;
        body["number"] = number.into();
        body["id"] = number.into();
        if kind == "issues" {
            body["state"] = "open".into();
            body["created_at"] = "2026-11-21T02:45:50Z".into();
        }
        list.push(body.clone());
        if state.loses_answers > 0 {
            state.loses_answers -= 1;
            return ResponseTemplate::new(502);
        }
        ResponseTemplate::new(201).set_body_json(body)
    }
}

impl Hub {
    async fn start() -> (Hub, MockServer) {
        let hub = Hub::default();
        let server = MockServer::start().await;
        Mock::given(matchers::any())
            .respond_with(hub.clone())
            .mount(&server)
            .await;
        (hub, server)
    }
}

fn env(server: &MockServer) -> Vec<(&'static str, String)> {
    vec![
        ("GITHUB_API_URL", server.uri()),
        ("GITHUB_TOKEN", CANARY.to_owned()),
    ]
}

/// The first issue of the sink.
fn issue_1() -> Reference {
    Reference::GithubIssue {
        number: 1,
        repository: Some("acme/shop".to_owned()),
    }
}

async fn send(
    server: &MockServer,
    yaml: &str,
    notice: &Notice,
    earlier: PreviousDelivery<'_>,
) -> Result<notify::Delivered, notify::DeliveryError> {
    let env = env(server);
    let env: Vec<(&str, &str)> = env
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    deliver(yaml, &env, notice, earlier).await
}

#[tokio::test]
async fn an_incident_is_one_issue_with_a_comment_per_event_and_closed_at_its_end() {
    let (hub, server) = Hub::start().await;
    let first = send(&server, ISSUE, &notice(), PreviousDelivery::default())
        .await
        .unwrap();
    assert_eq!(first.reference, Some(issue_1()));
    let update = Notice {
        id: "shop/production/42/2".into(),
        kind: EventKind::IncidentUpdated,
        phase: Phase::Monitoring,
        ..notice()
    };
    // Another runner, which knows of no issue.
    let found = send(&server, ISSUE, &update, PreviousDelivery::default())
        .await
        .unwrap();
    assert_eq!(found.reference, first.reference);
    let earlier = PreviousDelivery {
        reference: first.reference.as_ref(),
        unsure: false,
        ..PreviousDelivery::default()
    };
    send(&server, ISSUE, &resolved(), earlier).await.unwrap();
    let state = hub.0.lock().unwrap();
    assert_eq!((state.issues.len(), state.comments.len()), (1, 2));
    assert_eq!(state.issues[0]["state"], "closed");
    let body = |value: &Value| value["body"].as_str().unwrap().to_owned();
    let all: Vec<String> = state
        .issues
        .iter()
        .chain(&state.comments)
        .map(body)
        .collect();
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        state.issues[0]["title"],
        all.join("\n----\n")
    ));
}

/// Another runner knows of no issue, and the repository is a busy one.
#[tokio::test]
async fn an_issue_is_found_however_many_were_made_since_and_no_older_one_is_looked_at() {
    let (hub, server) = Hub::start().await;
    let filler = |number: u64, at: &str| json!({"number": number, "state": "open", "body": "another", "created_at": at});
    let old = (1..=450).map(|number| filler(1000 + number, "2026-11-20T00:00:00Z"));
    hub.0.lock().unwrap().issues.extend(old);
    send(&server, ISSUE, &notice(), PreviousDelivery::default())
        .await
        .unwrap();
    assert_eq!(
        hub.0.lock().unwrap().asked,
        [
            "GET /repos/acme/shop/issues",
            "POST /repos/acme/shop/issues"
        ]
    );
    // The fixture of this file numbers its issues by their place.
    hub.0.lock().unwrap().issues[450]["number"] = 1.into();
    let new = (1..=450).map(|number| filler(2000 + number, "2026-11-21T03:00:00Z"));
    hub.0.lock().unwrap().issues.extend(new);
    let next = Notice {
        id: "2".into(),
        ..notice()
    };
    let found = send(&server, ISSUE, &next, PreviousDelivery::default());
    let found = found.await.unwrap();
    assert_eq!(found.reference, Some(issue_1()));
    let state = hub.0.lock().unwrap();
    assert_eq!((state.issues.len(), state.comments.len()), (901, 1));
    assert_eq!(state.asked.len(), 2 + 5 + 1, "{:?}", state.asked);
}

#[tokio::test]
async fn what_may_have_arrived_is_looked_for_before_it_is_written_again() {
    let (hub, server) = Hub::start().await;
    hub.0.lock().unwrap().loses_answers = 1;
    let lost = send(&server, ISSUE, &notice(), PreviousDelivery::default()).await;
    assert_eq!(told(lost), "unsure: GitHub answers status 502");
    let unsure = PreviousDelivery {
        reference: None,
        unsure: true,
        ..PreviousDelivery::default()
    };
    let found = send(&server, ISSUE, &notice(), unsure).await.unwrap();
    let (issues, comments) = {
        let state = hub.0.lock().unwrap();
        (state.issues.len(), state.comments.len())
    };
    assert_eq!(
        (issues, comments),
        (1, 0),
        "the issue's own text is the first event"
    );
    let earlier = |unsure| PreviousDelivery {
        reference: found.reference.as_ref(),
        unsure,
        ..PreviousDelivery::default()
    };
    hub.0.lock().unwrap().loses_answers = 1;
    let lost = send(&server, ISSUE, &resolved(), earlier(false))
        .await
        .unwrap_err();
    assert_eq!(lost.reference, found.reference);
    send(&server, ISSUE, &resolved(), earlier(true))
        .await
        .unwrap();
    let state = hub.0.lock().unwrap();
    assert_eq!(state.comments.len(), 1);
    assert_eq!(state.issues[0]["state"], "closed");
}

#[tokio::test]
async fn a_deployment_has_its_statuses() {
    let (hub, server) = Hub::start().await;
    let started = Notice {
        id: "shop/production/41/1".into(),
        kind: EventKind::DeploymentStarted,
        phase: Phase::Deploying,
        ..deployed()
    };
    let first = send(&server, DEPLOYMENT, &started, PreviousDelivery::default())
        .await
        .unwrap();
    assert_eq!(first.reference, Some(Reference::GithubDeployment { id: 1 }));
    // Another runner finds it by its mark.
    hub.0.lock().unwrap().loses_answers = 1;
    let lost = send(
        &server,
        DEPLOYMENT,
        &deployed(),
        PreviousDelivery::default(),
    )
    .await
    .unwrap_err();
    assert_eq!(lost.reference, first.reference);
    let earlier = PreviousDelivery {
        reference: first.reference.as_ref(),
        unsure: true,
        ..PreviousDelivery::default()
    };
    send(&server, DEPLOYMENT, &deployed(), earlier)
        .await
        .unwrap();
    let state = hub.0.lock().unwrap();
    assert_eq!(state.statuses.len(), 2);
    insta::assert_snapshot!(format!(
        "{:#}\n{:#}\n{:#}",
        state.deployments[0], state.statuses[0], state.statuses[1]
    ));
}

#[tokio::test]
async fn how_a_deployment_ended_is_githubs_word() {
    let mut all = Vec::new();
    for phase in [
        Phase::Deployed,
        Phase::RolledBack,
        Phase::Failed,
        Phase::Refused,
        Phase::Cancelled,
        Phase::Unknown,
    ] {
        let (hub, server) = Hub::start().await;
        let ended = Notice {
            phase,
            ..deployed()
        };
        send(&server, DEPLOYMENT, &ended, PreviousDelivery::default())
            .await
            .unwrap();
        let state = hub.0.lock().unwrap();
        all.push(format!(
            "{phase}: {}",
            state.statuses[0]["state"].as_str().unwrap()
        ));
    }
    insta::assert_snapshot!(all.join("\n"), @r"
    deployed: success
    rolled back: failure
    failed: failure
    refused: inactive
    cancelled: inactive
    unknown: error
    ");
}

#[tokio::test]
async fn what_the_token_may_not_do_is_told() {
    let (hub, server) = Hub::start().await;
    let mut all = Vec::new();
    for (yaml, status) in [
        (ISSUE, 401),
        (ISSUE, 403),
        (ISSUE, 404),
        (DEPLOYMENT, 403),
        (ISSUE, 410),
    ] {
        hub.0.lock().unwrap().refuses = Some(status);
        all.push(format!(
            "{status} {}",
            told(send(&server, yaml, &notice(), PreviousDelivery::default()).await)
        ));
    }
    insta::assert_snapshot!(all.join("\n"));
    let time = Duration::from_millis(300);
    let env = [
        ("GITHUB_API_URL", "http://127.0.0.1:1"),
        ("GITHUB_TOKEN", CANARY),
    ];
    let down =
        told(deliver_within(ISSUE, &env, &notice(), PreviousDelivery::default(), time).await);
    assert!(
        down.starts_with("later: GitHub could not be reached")
            || down.starts_with("unsure: GitHub did not answer"),
        "{down}"
    );
}

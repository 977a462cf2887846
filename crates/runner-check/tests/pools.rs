//! Runners as GitHub lists them: pages, refusals, limits.

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn runner(id: u64, status: &str, busy: bool, labels: &[&str]) -> Value {
    let labels: Vec<Value> = labels
        .iter()
        .map(|name| json!({"id": 1, "name": name, "type": "custom"}))
        .collect();
    json!({"id": id, "name": format!("runner-{id}"), "os": "linux", "status": status, "busy": busy, "labels": labels})
}

async fn repository(server: &MockServer, answer: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path("/repos/acme/shop/actions/runners"))
        .respond_with(answer)
        .mount(server)
        .await;
}

fn listed(runners: &[Value]) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"total_count": runners.len(), "runners": runners}))
}

/// The binary's exit code and all that it wrote.
async fn check(
    server: &MockServer,
    args: &[&str],
    outputs: Option<&std::path::Path>,
) -> (i32, String) {
    let mut command = testkit::bin("runner-check");
    command
        .args(args)
        .env("GITHUB_API_URL", server.uri())
        .env("GITHUB_TOKEN", "t0ken-value");
    command.env("GITHUB_REPOSITORY", "acme/shop");
    if let Some(path) = outputs {
        command.env("GITHUB_OUTPUT", path);
    }
    // On a thread of its own: the mock server answers on this one.
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[tokio::test]
async fn every_page_is_read() {
    let server = MockServer::start().await;
    for page in 1..=3_u64 {
        let runners: Vec<Value> = (0..if page == 3 { 50 } else { 100 })
            .map(|n| runner(page * 1000 + n, "offline", false, &["self-hosted"]))
            .chain((page == 3).then(|| runner(1, "online", false, &["Self-Hosted", "GPU"])))
            .collect();
        Mock::given(method("GET"))
            .and(path("/repos/acme/shop/actions/runners"))
            .and(query_param("page", page.to_string()))
            .and(query_param("per_page", "100"))
            .and(header("authorization", "Bearer t0ken-value"))
            .respond_with(
                ResponseTemplate::new(200)
                    .set_body_json(json!({"total_count": 251, "runners": runners})),
            )
            .expect(1)
            .mount(&server)
            .await;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output");
    let (code, text) = check(&server, &["--labels", "self-hosted,gpu"], Some(&output)).await;
    assert_eq!(code, 0, "{text}");
    let output = std::fs::read_to_string(output).unwrap();
    assert!(
        output.contains("runs-on<<") && output.contains("\n[\"self-hosted\",\"gpu\"]\n"),
        "{output}"
    );
}

#[tokio::test]
async fn the_first_pool_that_can_take_the_job_wins() {
    let server = MockServer::start().await;
    let runners = [
        runner(1, "offline", false, &["self-hosted", "primary"]),
        runner(2, "online", true, &["self-hosted", "secondary"]),
        runner(3, "online", false, &["self-hosted", "emergency"]),
    ];
    repository(&server, listed(&runners)).await;
    let args = [
        "--labels",
        "primary",
        "--labels",
        "secondary",
        "--labels",
        "emergency",
    ];
    let (code, text) = check(&server, &args, None).await;
    assert_eq!(code, 0, "{text}");
    for part in [
        "pool secondary takes the job",
        "all are busy, so the job waits",
        "not needed: secondary takes the job",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn no_pool_is_a_failure_that_says_what_each_said() {
    let server = MockServer::start().await;
    repository(
        &server,
        listed(&[runner(1, "offline", false, &["primary"])]),
    )
    .await;
    let (code, text) = check(&server, &["--labels", "primary", "--labels", "gpu"], None).await;
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("0 online (0 idle, 0 busy), 1 offline") && text.contains("systemctl start"),
        "{text}"
    );
    assert!(text.contains("no runner has these labels"), "{text}");
}

#[tokio::test]
async fn without_permission_nobody_is_called_offline() {
    for (answer, why) in [
        (ResponseTemplate::new(403), "administration: read"),
        (ResponseTemplate::new(404), "administration: read"),
        (ResponseTemplate::new(401), "does not know the token"),
        (
            ResponseTemplate::new(429).insert_header("retry-after", "30"),
            "used up for 30s",
        ),
        (
            ResponseTemplate::new(403).insert_header("x-ratelimit-remaining", "0"),
            "rate limit",
        ),
        (ResponseTemplate::new(500), "status 500"),
        (
            ResponseTemplate::new(200).set_body_string("<html>"),
            "not understood",
        ),
        (
            ResponseTemplate::new(200).set_body_string("x".repeat(9 << 20)),
            "not understood",
        ),
    ] {
        let server = MockServer::start().await;
        repository(&server, answer).await;
        let (code, text) = check(&server, &["--labels", "primary"], None).await;
        assert_eq!(code, 4, "{text}");
        assert!(text.contains(why) && text.contains("hint:"), "{text}");
        assert!(
            !text.contains("0 online") && !text.contains("t0ken-value"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_organisation_has_its_own_permission_and_a_ghes_its_path() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/api/v3/orgs/acme/actions/runners"))
        .respond_with(ResponseTemplate::new(403))
        .expect(1)
        .mount(&server)
        .await;
    let mut command = testkit::bin("runner-check");
    command
        .args(["--org", "acme", "--labels", "a"])
        .env("GITHUB_TOKEN", "t");
    command.env("GITHUB_API_URL", format!("{}/api/v3", server.uri()));
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("organization_self_hosted_runners: read")
    );
}

#[test]
fn without_token_or_pool_the_next_step_is_named() {
    testkit::bin("runner-check")
        .args(["--repo", "acme/shop", "--labels", "a"])
        .assert()
        .code(4)
        .stdout(contains("no token is given").and(contains("token-env")));
    testkit::bin("runner-check")
        .assert()
        .code(2)
        .stderr(contains("--labels"));
    testkit::bin("runner-check")
        .args(["--labels", "a"])
        .assert()
        .code(2)
        .stderr(contains("--repo"));
}

/// Each of these questions is valid by GitHub's own description, or prism would refuse it and a
/// piece of evidence would say so.
fn valid(api: &str, questions: &[(&[&str], i32)]) {
    for (args, code) in questions {
        let output = testkit::bin("runner-check")
            .args(*args)
            .args(["--format", "json"])
            .env("GITHUB_API_URL", api)
            .env("GITHUB_REPOSITORY", "octo/shop")
            .env("GITHUB_TOKEN", "t")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        let evidence = report["outcomes"][0]["measurements"].as_array().unwrap();
        assert!(!evidence.is_empty(), "{args:?}: {text}");
        for one in evidence {
            assert_ne!(one["verdict"], "error", "{args:?}: {text}");
        }
    }
}

#[test]
fn requests_are_valid_by_githubs_own_description() {
    let prism = testkit::Prism::github();
    valid(
        &prism.url(),
        &[
            (&["--labels", "self-hosted"], 0),
            (&["--org", "octo", "--labels", "Self-Hosted"], 0),
            (&["--labels", "no-such-label"], 1),
            (
                &[
                    "--org",
                    "octo",
                    "--group",
                    "octo-runner-group",
                    "--labels",
                    "linux",
                ],
                0,
            ),
            (&["--org", "octo", "--group", "2", "--labels", "linux"], 0),
            (&["list"], 0),
        ],
    );
}

#[test]
fn requests_are_valid_on_an_enterprise_server() {
    let prism = testkit::Prism::ghes();
    valid(
        &prism.url(),
        &[
            (&["--labels", "self-hosted"], 0),
            (
                &[
                    "--org",
                    "octo",
                    "--group",
                    "expensive-hardware",
                    "--labels",
                    "linux",
                ],
                0,
            ),
            (&["--enterprise", "octo-corp", "--labels", "linux"], 0),
            (
                &[
                    "--enterprise",
                    "octo-corp",
                    "--group",
                    "octo-runner-group",
                    "--labels",
                    "linux",
                ],
                0,
            ),
        ],
    );
}

#[tokio::test]
async fn runners_that_github_counts_and_does_not_list_leave_it_undecided() {
    let server = MockServer::start().await;
    let count = |total: u64, runners: &[Value]| {
        ResponseTemplate::new(200).set_body_json(json!({"total_count": total, "runners": runners}))
    };
    let runners = [runner(1, "online", false, &["gpu"])];
    Mock::given(query_param("page", "1"))
        .respond_with(count(3, &runners))
        .mount(&server)
        .await;
    Mock::given(query_param("page", "2"))
        .respond_with(count(3, &runners))
        .mount(&server)
        .await;
    Mock::given(query_param("page", "3"))
        .respond_with(count(3, &[]))
        .mount(&server)
        .await;
    let (code, text) = check(&server, &["--labels", "gpu", "--min-online", "2"], None).await;
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("1 online (1 idle, 0 busy), 0 offline; GitHub counts 2 more"),
        "{text}"
    );
    assert_eq!(check(&server, &["--labels", "gpu"], None).await.0, 0);
}

#[tokio::test]
async fn a_renamed_repository_is_followed_and_another_host_is_not() {
    let server = MockServer::start().await;
    repository(
        &server,
        ResponseTemplate::new(301).insert_header("location", "/repositories/7/actions/runners"),
    )
    .await;
    Mock::given(path("/repositories/7/actions/runners"))
        .and(header("authorization", "Bearer t0ken-value"))
        .respond_with(listed(&[runner(1, "online", false, &["gpu"])]))
        .mount(&server)
        .await;
    assert_eq!(check(&server, &["--labels", "gpu"], None).await.0, 0);

    let (server, thief) = (MockServer::start().await, MockServer::start().await);
    let away = ResponseTemplate::new(301).insert_header("location", thief.uri());
    repository(&server, away).await;
    let (code, text) = check(&server, &["--labels", "gpu"], None).await;
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("a redirect to another host"), "{text}");
    assert_eq!(thief.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn the_secondary_rate_limit_is_no_missing_permission() {
    let server = MockServer::start().await;
    let message = "You have exceeded a secondary rate limit. Please wait a few minutes.";
    let limited = ResponseTemplate::new(403).set_body_json(json!({"message": message}));
    repository(&server, limited).await;
    let (code, text) = check(&server, &["--labels", "gpu"], None).await;
    assert_eq!(code, 4, "{text}");
    assert!(
        text.contains("rate limit") && !text.contains("administration"),
        "{text}"
    );
}

#[tokio::test]
async fn no_runner_at_all_is_no_wish() {
    let folder = tempfile::tempdir().unwrap();
    let pool = "version: 1\nrunner-check: { pools: [{ name: p, labels: [x], min-online: 0 }] }\n";
    std::fs::write(folder.path().join("deploy-guard.yml"), pool).unwrap();
    testkit::bin("runner-check")
        .current_dir(folder.path())
        .assert()
        .code(2)
        .stderr(contains("min-online").and(contains("2:")));
}

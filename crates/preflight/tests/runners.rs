//! Runners, with the same knowledge as `runner-check`: GitHub's list and the machine itself.

use serde_json::json;
use testkit::SystemdHost;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

const UNIT: &str = "actions.runner.acme-shop.web-01.service";
const LISTENS: &str =
    "[Service]\nExecStart=/bin/sh -c 'echo \"Listening for Jobs\"; exec sleep 1000000'\n";

#[tokio::test]
async fn a_runner_that_github_lists_is_looked_for_on_its_machine() {
    let server = MockServer::start().await;
    let listed = json!({"id": 1, "name": "web-01", "os": "linux", "status": "online", "busy": false,
        "labels": [{"name": "self-hosted"}, {"name": "Production"}]});
    Mock::given(path("/repos/acme/shop/actions/runners"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"total_count": 1, "runners": [listed]})),
        )
        .mount(&server)
        .await;
    let host = SystemdHost::start(&[(UNIT, LISTENS)]);
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "version: 1
hosts: {{ runner-01: {{ address: 127.0.0.1, port: {}, user: root, key-file: {}, known-hosts: known_hosts }} }}
runners: {{ web-01: {{ host: runner-01 }} }}
preflight: {{ runners: [{{ name: production, labels: [self-hosted, production], runners: [web-01] }}] }}
",
        host.port(),
        host.key().display()
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    std::fs::write(
        folder.path().join("known_hosts"),
        host.known_hosts_for("127.0.0.1"),
    )
    .unwrap();
    for (start, code, parts) in [
        (
            false,
            1,
            [
                "runner list reports online",
                "is inactive (dead)",
                "`runner-check restart web-01`",
            ],
        ),
        (
            true,
            0,
            [
                "1 online (1 idle, 0 busy)",
                "runners/production",
                "10.0 of 10",
            ],
        ),
    ] {
        if start {
            host.must(&["systemctl", "start", UNIT]);
        }
        let mut command = testkit::bin("preflight");
        command
            .current_dir(folder.path())
            .env("GITHUB_API_URL", server.uri())
            .env("GITHUB_REPOSITORY", "acme/shop")
            .env("GITHUB_TOKEN", "t");
        // On a thread of its own: the mock server answers on this one.
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        for part in parts {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
    }
}

#[tokio::test]
async fn a_pool_that_scales_from_zero_is_judged_by_its_jobs() {
    let ago = |minutes: i64| {
        let at = jiff::Timestamp::now().as_second() - minutes * 60;
        jiff::Timestamp::from_second(at).unwrap().to_string()
    };
    for (begun, code, says) in [
        (29, 0, "waited 1m for a machine"),
        (10, 3, "waited 20m for a machine, where 5m is expected"),
    ] {
        let server = MockServer::start().await;
        let job = json!({"id": 1, "name": "build", "status": "completed", "conclusion": "success",
            "labels": ["arc-prod"], "runner_name": "arc-prod-x7k2p", "created_at": ago(30),
            "started_at": ago(begun), "completed_at": ago(5)});
        for (at, body) in [
            ("runners", json!({"total_count": 0, "runners": []})),
            (
                "runs",
                json!({"total_count": 1, "workflow_runs": [{"id": 9}]}),
            ),
            ("runs/9/jobs", json!({"total_count": 1, "jobs": [job]})),
        ] {
            Mock::given(path(format!("/repos/acme/shop/actions/{at}")))
                .respond_with(ResponseTemplate::new(200).set_body_json(body))
                .mount(&server)
                .await;
        }
        let folder = tempfile::tempdir().unwrap();
        let config = "version: 1
preflight: { runners: [{ name: arc, labels: [arc-prod], scales-from-zero: true }] }
";
        std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
        let mut command = testkit::bin("preflight");
        command
            .current_dir(folder.path())
            .env("GITHUB_API_URL", server.uri())
            .env("GITHUB_REPOSITORY", "acme/shop")
            .env("GITHUB_TOKEN", "t");
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(says), "{text}");
    }
}

//! Which check runs count: the newest of each app and name, and not what the asking workflow did.

use crate::asking;
use crate::asking::{Ran, SHA, answer, preflight_with};
use serde_json::{Value, json};
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A check run of an app: its name, what it says (`-` while it runs), its minute, and the workflow
/// run that it belongs to.
fn check(app: &str, name: &str, says: &str, minute: u64, run: u64) -> Value {
    let runs = says == "-";
    json!({"id": run * 100 + minute, "name": name, "status": if runs { "in_progress" } else { "completed" },
        "conclusion": if runs { Value::Null } else { json!(says) },
        "started_at": format!("2026-11-28T10:{minute:02}:00Z"), "completed_at": null,
        "app": {"slug": app}, "check_suite": {"id": run}, "details_url": null,
        "html_url": format!("https://github.com/acme/shop/actions/runs/{run}/job/{minute}")})
}

const US: &str = "github-actions";

async fn serve(runs: &[Value], statuses: &[(&str, &str)]) -> MockServer {
    let server = MockServer::start().await;
    let base = format!("/repos/acme/shop/commits/{SHA}");
    let runs = json!({"total_count": runs.len(), "check_runs": runs});
    answer(&server, &format!("{base}/check-runs"), runs).await;
    let statuses: Vec<Value> = statuses
        .iter()
        .map(|(context, state)| json!({"context": context, "state": state, "target_url": null}))
        .collect();
    let statuses = json!({"total_count": statuses.len(), "statuses": statuses});
    answer(&server, &format!("{base}/status"), statuses).await;
    server
}

/// The runs of this workflow (7 and 77) for the commit; the one that asks is 77.
async fn workflow(server: &MockServer, began: &str) {
    let own = json!({"id": 77, "workflow_id": 3, "run_started_at": began, "run_attempt": 2});
    answer(server, "/repos/acme/shop/actions/runs/77", own).await;
    Mock::given(path("/repos/acme/shop/actions/workflows/3/runs"))
        .and(query_param("head_sha", SHA))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"total_count": 2, "workflow_runs": [{"id": 77}, {"id": 7}]})),
        )
        .mount(server)
        .await;
}

async fn ci(server: &MockServer, section: &str) -> Ran {
    preflight_with(server, &format!("  checks: [{section}]\n"), &[]).await
}

#[tokio::test]
async fn pf_checks_superseded_by_a_newer_one_do_not_count() {
    let cases: Vec<(Vec<Value>, i32, &str)> = vec![
        (
            vec![
                check(US, "build", "cancelled", 1, 1),
                check(US, "build", "success", 2, 2),
            ],
            0,
            "1 succeeded",
        ),
        // In whatever order they are listed.
        (
            vec![
                check(US, "build", "success", 2, 2),
                check(US, "build", "failure", 1, 1),
            ],
            0,
            "1 succeeded",
        ),
        // A newer one that failed, or still runs, does.
        (
            vec![
                check(US, "build", "success", 1, 1),
                check(US, "build", "failure", 2, 2),
            ],
            1,
            "build (failure)",
        ),
        (
            vec![
                check(US, "build", "success", 1, 1),
                check(US, "build", "-", 2, 2),
            ],
            3,
            "build (in_progress)",
        ),
        // Of another app it is another check.
        (
            vec![
                check("circleci", "build", "failure", 1, 1),
                check(US, "build", "success", 2, 2),
            ],
            1,
            "build of circleci (failure)",
        ),
    ];
    for (runs, code, says) in cases {
        let server = serve(&runs, &[]).await;
        let ran = ci(&server, "{ name: ci }").await;
        assert_eq!(ran.code, code, "{runs:?}: {}", ran.text);
        assert!(ran.text.contains(says), "{runs:?}: {}", ran.text);
    }
}

#[tokio::test]
async fn checks_superseded_yesterdays_failed_deployment_does_not_forbid_todays() {
    let runs = [
        check(US, "build", "success", 1, 5),
        check(US, "deploy", "failure", 2, 7),
        check(US, "notify", "failure", 3, 7),
        check(US, "deploy", "-", 9, 77),
    ];
    // By their names: `deploy` is ours.
    let server = serve(&[&runs[..2], &runs[3..]].concat(), &[]).await;
    assert_eq!(ci(&server, "{ name: ci }").await.code, 0);
    // `notify` has not begun yet today; its run shows that it is ours.
    let server = serve(&runs, &[]).await;
    assert_eq!(ci(&server, "{ name: ci }").await.code, 1);
    workflow(&server, "2026-11-28T10:08:00Z").await;
    let ran = ci(&server, "{ name: ci }").await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.text.contains("1 succeeded"), "{}", ran.text);
}

#[tokio::test]
async fn an_earlier_attempt_at_this_run_forbids_nothing_and_what_it_proved_stands() {
    let runs = [
        check(US, "test", "success", 1, 77),
        check(US, "smoke", "failure", 2, 77),
        check(US, "deploy", "-", 9, 77),
    ];
    let server = serve(&runs, &[]).await;
    workflow(&server, "2026-11-28T10:08:00Z").await;
    let ran = ci(&server, "{ name: ci, required: [test] }").await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert_eq!(ci(&server, "{ name: ci }").await.code, 0);
    // A failure in the present attempt counts.
    let server = serve(&runs, &[]).await;
    workflow(&server, "2026-11-28T10:00:00Z").await;
    let ran = ci(&server, "{ name: ci }").await;
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(ran.text.contains("smoke (failure)"), "{}", ran.text);
}

#[tokio::test]
async fn a_job_of_ours_does_not_supersede_another_workflows_of_the_same_name() {
    let runs = [
        check(US, "build", "failure", 1, 5),
        check(US, "build", "success", 9, 77),
    ];
    let server = serve(&runs, &[]).await;
    workflow(&server, "2026-11-28T10:08:00Z").await;
    let ran = ci(&server, "{ name: ci }").await;
    assert_eq!(ran.code, 1, "{}", ran.text);
}

#[tokio::test]
async fn an_app_has_checks_of_its_own_and_a_status_of_the_same_name_is_another_thing() {
    /// Section, statuses, exit code, expected text.
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        i32,
        &'static str,
    );

    let runs = [
        check(US, "build", "success", 1, 5),
        check("CircleCI-Checks", "build", "failure", 2, 0),
    ];
    let cases: [Case; 5] = [
        (
            "{ name: build, app: github-actions }",
            &[("build", "failure")],
            0,
            "1 succeeded",
        ),
        (
            "{ name: build, app: 'circleci-*' }",
            &[],
            1,
            "1 failed: build (failure)",
        ),
        (
            "{ name: build, app: GitHub-Actions, required: [build] }",
            &[],
            0,
            "1 succeeded",
        ),
        ("{ name: build, app: sonarcloud }", &[], 3, "no check ran"),
        (
            "{ name: build, ignored: [lint] }",
            &[("build", "pending")],
            1,
            "1 still running: status build (pending)",
        ),
    ];
    for (section, statuses, code, says) in cases {
        let server = serve(&runs, statuses).await;
        let ran = ci(&server, section).await;
        assert_eq!(ran.code, code, "{section}: {}", ran.text);
        assert!(ran.text.contains(says), "{section}: {}", ran.text);
    }
}

#[tokio::test]
async fn every_page_of_check_runs_is_read() {
    let server = MockServer::start().await;
    let base = format!("/repos/acme/shop/commits/{SHA}");
    let first: Vec<Value> = (0..100)
        .map(|n| check(US, &format!("test-{n}"), "success", 1, 5))
        .collect();
    let second = vec![check(US, "test-7", "failure", 2, 6)];
    for (page, runs) in [("1", first), ("2", second)] {
        Mock::given(path(format!("{base}/check-runs")))
            .and(query_param("page", page))
            .respond_with(
                ResponseTemplate::new(200)
                    .set_body_json(json!({"total_count": 101, "check_runs": runs})),
            )
            .mount(&server)
            .await;
    }
    answer(
        &server,
        &format!("{base}/status"),
        json!({"total_count": 0, "statuses": []}),
    )
    .await;
    let ran = ci(&server, "{ name: ci }").await;
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(
        ran.text
            .contains("99 succeeded, 1 failed: test-7 (failure)"),
        "{}",
        ran.text
    );
}

#[tokio::test]
async fn pf_checks_wait_is_waited_out_whatever_the_stages_deadline_is() {
    let server = MockServer::start().await;
    let base = format!("/repos/acme/shop/commits/{SHA}");
    let began = std::time::Instant::now();
    let takes = std::time::Duration::from_millis(3500);
    Mock::given(path(format!("{base}/check-runs")))
        .respond_with(move |_: &wiremock::Request| {
            let says = if began.elapsed() > takes {
                "success"
            } else {
                "-"
            };
            let runs = [check(US, "build", says, 1, 5)];
            ResponseTemplate::new(200).set_body_json(json!({"total_count": 1, "check_runs": runs}))
        })
        .mount(&server)
        .await;
    answer(
        &server,
        &format!("{base}/status"),
        json!({"total_count": 0, "statuses": []}),
    )
    .await;
    let config = "version: 1\npreflight:\n  deadline: 1s\n  checks: [{ name: ci, wait: 5s }]\n";
    let ran = asking::preflight_file(&server, config, &[], &[]).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(began.elapsed() >= takes);

    // To its end: the last look is then.
    let server = serve(&[check(US, "build", "-", 1, 5)], &[]).await;
    let began = std::time::Instant::now();
    let ran = asking::preflight_file(&server, &config.replace("5s", "3s"), &[], &[]).await;
    assert_eq!(ran.code, 3, "{}", ran.text);
    assert!(began.elapsed() >= std::time::Duration::from_secs(3));
    assert!(
        ran.text.contains("1 still running after wait (3s): build"),
        "{}",
        ran.text
    );
}

#[tokio::test]
async fn a_deployment_that_waits_for_approval_is_not_in_progress() {
    let page = "https://github.com/acme/shop/actions/runs/5/job/1";
    for (state, pending, code, says) in [
        ("waiting", json!([]), 0, "1 waiting for approval"),
        (
            "queued",
            json!([{"environment": {"name": "Production"}}]),
            0,
            "1 waiting for approval",
        ),
        (
            "queued",
            json!([{"environment": {"name": "staging"}}]),
            1,
            "1 in progress",
        ),
        (
            "in_progress",
            json!([{"environment": {"name": "production"}}]),
            1,
            "1 in progress",
        ),
    ] {
        let server = MockServer::start().await;
        let now = jiff::Timestamp::now().to_string();
        let listed = json!([{"id": 1, "sha": SHA, "created_at": now, "creator": {"login": "ada"}}]);
        answer(&server, "/repos/acme/shop/deployments", listed).await;
        let statuses = json!([{"id": 1, "state": state, "created_at": now, "log_url": page, "target_url": ""}]);
        answer(&server, "/repos/acme/shop/deployments/1/statuses", statuses).await;
        answer(
            &server,
            "/repos/acme/shop/actions/runs/5/pending_deployments",
            pending,
        )
        .await;
        let section = "  deployments: [{ environment: production }]\n";
        let ran = preflight_with(&server, section, &[]).await;
        assert_eq!(ran.code, code, "{state}: {}", ran.text);
        assert!(ran.text.contains(says), "{state}: {}", ran.text);
    }
}

//! Queries to GitHub before a deployment: artifacts, checks, alerts, deployments.
#![allow(clippy::too_many_lines, reason = "tables of cases")]

use crate::asking::{SHA, answer, preflight};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn artifact(id: u64, name: &str, size: u64, expired: bool) -> Value {
    json!({"id": id, "name": name, "size_in_bytes": size, "expired": expired,
        "created_at": format!("2026-11-2{id}T00:00:00Z"), "expires_at": "2026-11-30T00:00:00Z"})
}

fn artifacts(all: &[Value]) -> Value {
    json!({"total_count": all.len(), "artifacts": all})
}

#[tokio::test]
async fn an_artifact_of_this_run_is_there_whole_and_not_expired() {
    let good = artifact(1, "dist", 2048, false);
    for (all, section, code, says) in [
        (vec![good.clone()], "{ name: dist }", 0, "dist (2 KiB)"),
        (
            vec![good.clone()],
            "{ name: dist, min-size: 4KiB }",
            1,
            "dist has 2 KiB, less than min-size (4 KiB)",
        ),
        (
            vec![artifact(1, "dist", 0, false)],
            "{ name: dist }",
            1,
            "0 bytes",
        ),
        (
            vec![artifact(1, "dist", 9, true)],
            "{ name: dist }",
            1,
            "dist expired on 2026-11-30T00:00:00Z",
        ),
        (
            vec![artifact(1, "dist", 9, true), artifact(2, "dist", 9, false)],
            "{ name: dist }",
            0,
            "dist (9 bytes)",
        ),
        (
            vec![artifact(1, "docs", 9, false)],
            "{ name: dist }",
            1,
            "it has docs",
        ),
        (vec![], "{ name: dist }", 1, "no artifact at all"),
        (
            vec![good.clone(), artifact(2, "dist-arm", 0, false)],
            "{ name: a, artifact: 'dist*' }",
            1,
            "dist-arm has 0 bytes",
        ),
    ] {
        let server = MockServer::start().await;
        answer(
            &server,
            "/repos/acme/shop/actions/runs/77/artifacts",
            artifacts(&all),
        )
        .await;
        let ran = preflight(&server, &format!("  artifacts: [{section}]\n")).await;
        assert_eq!(ran.code, code, "{section}: {}", ran.text);
        assert!(ran.text.contains(says), "{section}: {}", ran.text);
        let name = if section.contains("name: a,") {
            "a"
        } else {
            "dist"
        };
        ran.outcome(&format!("artifacts/{name}"));
    }
}

#[tokio::test]
async fn another_workflows_newest_successful_run_is_found() {
    let server = MockServer::start().await;
    Mock::given(path("/repos/acme/shop/actions/workflows/build.yml/runs"))
        .and(query_param("status", "success"))
        .and(query_param("branch", "main"))
        .and(query_param("head_sha", SHA))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            json!({"total_count": 1, "workflow_runs": [{"id": 5, "run_number": 12, "head_sha": SHA}]}),
        ))
        .expect(1)
        .mount(&server)
        .await;
    answer(
        &server,
        "/repos/acme/shop/actions/runs/5/artifacts",
        artifacts(&[artifact(1, "dist", 9, false)]),
    )
    .await;
    let check =
        "  artifacts: [{ name: dist, workflow: build.yml, branch: main, same-commit: true }]\n";
    let ran = preflight(&server, check).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(
        ran.text.contains("run 12 of build.yml (12345678)"),
        "{}",
        ran.text
    );

    let server = MockServer::start().await;
    let none = json!({"total_count": 0, "workflow_runs": []});
    answer(
        &server,
        "/repos/acme/shop/actions/workflows/build.yml/runs",
        none,
    )
    .await;
    let ran = preflight(&server, check).await;
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(
        ran.text
            .contains("no run ended with success on main for the commit 12345678"),
        "{}",
        ran.text
    );
    assert!(ran.text.contains("gh run list"), "{}", ran.text);
}

/// 403 and 404 leave every question open.
#[tokio::test]
async fn what_may_not_be_read_is_unknown_and_not_absent() {
    let sections = [
        (
            "artifacts/dist",
            "  artifacts: [{ name: dist }]\n",
            "actions: read",
        ),
        ("checks/ci", "  checks: [{ name: ci }]\n", "checks: read"),
        (
            "staging/staging",
            "  staging: [{ environment: staging }]\n",
            "deployments: read",
        ),
        (
            "deployments/production",
            "  deployments: [{ environment: production }]\n",
            "deployments: read",
        ),
    ];
    for status in [401, 403, 404] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(status))
            .mount(&server)
            .await;
        let section: String = sections.iter().map(|(_, section, _)| *section).collect();
        let ran = preflight(&server, &section).await;
        assert_eq!(ran.code, 4, "{}", ran.text);
        for (id, _, permission) in sections {
            let outcome = ran.outcome(id);
            assert_eq!(outcome["verdict"], "error", "{outcome}");
            let all = outcome.to_string();
            assert!(all.contains("cannot know"), "{all}");
            assert!(status == 401 || all.contains(permission), "{all}");
        }
    }
}

fn run(name: &str, status: &str, conclusion: Option<&str>) -> Value {
    json!({"id": 1, "name": name, "status": status, "conclusion": conclusion,
        "html_url": format!("https://github.com/acme/shop/actions/runs/5/job/{name}")})
}

fn own(name: &str) -> Value {
    json!({"id": 2, "name": name, "status": "in_progress", "conclusion": null,
        "html_url": "https://github.com/acme/shop/actions/runs/77/job/2"})
}

async fn commit(server: &MockServer, runs: &[Value], statuses: &[(&str, &str)]) {
    let base = format!("/repos/acme/shop/commits/{SHA}");
    let statuses: Vec<Value> = statuses
        .iter()
        .map(|(context, state)| json!({"context": context, "state": state, "target_url": "https://ci.example/1"}))
        .collect();
    answer(
        server,
        &format!("{base}/check-runs"),
        json!({"total_count": runs.len(), "check_runs": runs}),
    )
    .await;
    answer(
        server,
        &format!("{base}/status"),
        json!({"state": "pending", "total_count": statuses.len(), "statuses": statuses}),
    )
    .await;
}

type Case<'a> = (Vec<Value>, &'a [(&'a str, &'a str)], &'a str, i32, &'a str);

#[tokio::test]
async fn each_word_of_ci_has_its_verdict() {
    let done = |name: &str, conclusion: &str| run(name, "completed", Some(conclusion));
    let all = "{ name: ci }";
    let cases: Vec<Case<'_>> = vec![
        (vec![done("test", "success")], &[], all, 0, "1 succeeded"),
        (
            vec![done("test", "success"), own("deploy")],
            &[],
            all,
            0,
            "1 succeeded",
        ),
        (
            vec![done("test", "success"), done("docs", "skipped")],
            &[],
            all,
            0,
            "1 skipped or neutral",
        ),
        (
            vec![done("test", "success")],
            &[("jenkins", "failure")],
            all,
            1,
            "1 failed: status jenkins (failure)",
        ),
        (
            vec![done("test", "cancelled")],
            &[("jenkins", "success")],
            all,
            1,
            "test (cancelled)",
        ),
        (
            vec![done("test", "timed_out")],
            &[],
            all,
            1,
            "test (timed_out)",
        ),
        (
            vec![done("test", "startup_failure")],
            &[],
            all,
            1,
            "test (startup_failure)",
        ),
        (
            vec![done("test", "success"), run("e2e", "in_progress", None)],
            &[],
            all,
            3,
            "e2e (in_progress)",
        ),
        (
            vec![done("test", "success")],
            &[("jenkins", "pending")],
            all,
            3,
            "status jenkins (pending)",
        ),
        (vec![done("test", "dancing")], &[], all, 3, "not understood"),
        (
            vec![done("test", "skipped")],
            &[],
            all,
            3,
            "nothing succeeded",
        ),
        (vec![], &[], all, 3, "no check ran on this commit"),
        (
            vec![own("deploy")],
            &[],
            all,
            3,
            "no check ran on this commit",
        ),
        (
            vec![],
            &[],
            "{ name: ci, allow-none: true }",
            0,
            "allow-none",
        ),
        (
            vec![done("test-a", "success"), done("lint", "failure")],
            &[],
            "{ name: ci, required: ['test*'] }",
            0,
            "1 succeeded",
        ),
        (
            vec![done("test-a", "success"), done("test-b", "failure")],
            &[],
            "{ name: ci, required: ['test*'] }",
            1,
            "test-b (failure)",
        ),
        (
            vec![done("test", "success")],
            &[],
            "{ name: ci, required: [test, build] }",
            1,
            "never ran on this commit: build",
        ),
        (
            vec![done("test", "success"), done("build", "skipped")],
            &[],
            "{ name: ci, required: [test, build] }",
            3,
            "nothing succeeded",
        ),
        (
            vec![done("test", "success"), done("lint-js", "failure")],
            &[],
            "{ name: ci, ignored: ['lint*'] }",
            0,
            "1 succeeded",
        ),
        (
            vec![done("lint-js", "failure")],
            &[],
            "{ name: ci, ignored: ['lint*'] }",
            3,
            "no check ran",
        ),
    ];
    for (runs, statuses, section, code, says) in cases {
        let server = MockServer::start().await;
        commit(&server, &runs, statuses).await;
        let ran = preflight(&server, &format!("  checks: [{section}]\n")).await;
        assert_eq!(ran.code, code, "{section} {runs:?}: {}", ran.text);
        assert!(ran.text.contains(says), "{section} {runs:?}: {}", ran.text);
        ran.outcome("checks/ci");
    }
}

#[tokio::test]
async fn a_waiver_lets_a_check_through_until_it_expires_and_is_shown_everywhere() {
    let waiver = |check: &str, expires: &str| {
        format!(
            "  checks: [{{ name: ci, required: [test, lint], waivers: [{{ check: '{check}', reason: broken upstream, approver: ada, expires: {expires} }}] }}]\n"
        )
    };
    let runs = [
        run("test", "completed", Some("success")),
        run("lint", "completed", Some("failure")),
    ];
    let server = MockServer::start().await;
    commit(&server, &runs, &[]).await;
    let ran = preflight(&server, &waiver("lint", "2099-12-31")).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    let says = "lint (failure; waived until 2099-12-31 by ada: broken upstream)";
    for output in [&ran.text, &ran.json.to_string(), &ran.summary] {
        assert!(output.contains(says), "{output}");
    }
    let ran = preflight(&server, &waiver("lint", "2020-12-31")).await;
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(
        ran.text
            .contains("the waiver of lint by ada expired on 2020-12-31"),
        "{}",
        ran.text
    );
    let ran = preflight(&server, &waiver("other", "2099-12-31")).await;
    assert_eq!(ran.code, 1, "{}", ran.text);
    let server = MockServer::start().await;
    commit(&server, &runs[..1], &[]).await;
    let ran = preflight(&server, &waiver("l*t", "2099-12-31")).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.text.contains("lint (never ran; waived"), "{}", ran.text);
}

#[tokio::test]
async fn checks_that_run_are_waited_for() {
    let server = MockServer::start().await;
    let at = format!("/repos/acme/shop/commits/{SHA}/check-runs");
    Mock::given(path(at))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            json!({"total_count": 1, "check_runs": [run("test", "in_progress", None)]}),
        ))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    commit(&server, &[run("test", "completed", Some("success"))], &[]).await;
    let clock = std::time::Instant::now();
    let ran = preflight(&server, "  checks: [{ name: ci, wait: 15s }]\n").await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(clock.elapsed() < std::time::Duration::from_secs(9));

    // A failure is final, whatever still runs.
    let server = MockServer::start().await;
    let runs = [
        run("test", "in_progress", None),
        run("lint", "completed", Some("failure")),
    ];
    commit(&server, &runs, &[]).await;
    let clock = std::time::Instant::now();
    let ran = preflight(&server, "  checks: [{ name: ci, wait: 15s }]\n").await;
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(clock.elapsed() < std::time::Duration::from_secs(4));

    // It ends with the wait, and reports the last state.
    let server = MockServer::start().await;
    commit(&server, &[run("test", "in_progress", None)], &[]).await;
    let ran = preflight(&server, "  checks: [{ name: ci, wait: 3s }]\n").await;
    assert_eq!(ran.code, 3, "{}", ran.text);
    assert!(
        ran.text
            .contains("1 still running after wait (3s): test (in_progress)"),
        "{}",
        ran.text
    );
}

#[tokio::test]
async fn open_alerts_of_a_severity_fail_and_what_was_never_analysed_is_not_good() {
    let alert = |number: u64, rule: Value| json!({"number": number, "state": "open", "rule": rule, "html_url": format!("https://github.com/acme/shop/security/code-scanning/{number}")});
    let sql = alert(
        3,
        json!({"id": "js/sql-injection", "severity": "error", "security_severity_level": "critical"}),
    );
    let style = alert(4, json!({"id": "js/unused", "severity": "note"}));
    let base = "/repos/acme/shop/code-scanning";
    let section = |more: &str| {
        format!(
            "  checks: [{{ name: ci, allow-none: true, code-scanning: {{ ref: refs/heads/main }}{more} }}]\n"
        )
    };
    let analysed = json!([{"id": 1}]);
    for (analyses, alerts, more, code, says) in [
        (
            analysed.clone(),
            vec![style.clone()],
            "",
            0,
            "none of 1 open",
        ),
        (
            analysed.clone(),
            vec![style.clone(), sql.clone()],
            "",
            1,
            "1 open: js/sql-injection (alert 3, critical)",
        ),
        (
            analysed.clone(),
            vec![sql.clone()],
            ", waivers: [{ check: 'code-scanning/js/sql*', reason: false alarm, approver: ada, expires: 2099-01-01 }]",
            0,
            "waived until 2099-01-01 by ada: false alarm",
        ),
        (
            json!([]),
            vec![],
            "",
            3,
            "code scanning never analysed refs/heads/main",
        ),
    ] {
        let server = MockServer::start().await;
        commit(&server, &[], &[]).await;
        answer(&server, &format!("{base}/analyses"), analyses).await;
        Mock::given(path(format!("{base}/alerts")))
            .and(query_param("state", "open"))
            .and(query_param("ref", "refs/heads/main"))
            .respond_with(ResponseTemplate::new(200).set_body_json(alerts))
            .mount(&server)
            .await;
        let ran = preflight(&server, &section(more)).await;
        assert_eq!(ran.code, code, "{}", ran.text);
        assert!(ran.text.contains(says), "{}", ran.text);
        ran.outcome("checks/ci/code-scanning");
    }
    let server = MockServer::start().await;
    commit(&server, &[], &[]).await;
    let ran = preflight(&server, &section("")).await;
    assert_eq!(ran.code, 4, "{}", ran.text);
    assert!(ran.text.contains("security-events: read"), "{}", ran.text);
}

/// A deployment's id, its age in minutes, and its states with their pages.
type Made<'a> = (u64, i64, &'a [(&'a str, &'a str)]);

/// A deployment made `minutes` ago, with its statuses from the oldest to the newest.
async fn deployments(server: &MockServer, environment: &str, all: &[Made<'_>]) {
    let ago = |minutes: i64| {
        let at = jiff::Timestamp::now().as_second() - minutes * 60;
        jiff::Timestamp::from_second(at).unwrap().to_string()
    };
    let listed: Vec<Value> = all
        .iter()
        .map(|(id, minutes, _)| json!({"id": id, "sha": SHA, "created_at": ago(*minutes), "creator": {"login": "grace"}}))
        .collect();
    Mock::given(path("/repos/acme/shop/deployments"))
        .and(query_param("environment", environment))
        .respond_with(ResponseTemplate::new(200).set_body_json(listed))
        .mount(server)
        .await;
    for (id, minutes, statuses) in all {
        let statuses: Vec<Value> = (0_u64..)
            .zip(*statuses)
            .map(|(nth, (state, url))| json!({"id": nth, "state": state, "created_at": ago(*minutes), "log_url": url, "target_url": ""}))
            .collect();
        answer(
            server,
            &format!("/repos/acme/shop/deployments/{id}/statuses"),
            json!(statuses),
        )
        .await;
    }
}

const OWN: &str = "https://github.com/acme/shop/actions/runs/77/job/1";
const OTHER: &str = "https://github.com/acme/shop/actions/runs/777/job/1";

#[tokio::test]
async fn the_same_commit_was_in_staging_not_long_ago() {
    let cases: [(&[Made<'_>], i32, &str); 7] = [
        (
            &[(1, 30, &[("in_progress", OTHER), ("success", OTHER)])],
            0,
            "12345678 was deployed to staging 30m",
        ),
        (
            &[(1, 30, &[("success", OTHER), ("inactive", OTHER)])],
            0,
            "was deployed to staging 30m",
        ),
        (
            &[(1, 90, &[("success", OTHER)])],
            1,
            "1h 30m ago, more than `max-age` (1h)",
        ),
        (
            &[
                (1, 30, &[("success", OTHER)]),
                (2, 10, &[("failure", OTHER)]),
            ],
            1,
            "ended with failure",
        ),
        (
            &[
                (1, 30, &[("success", OTHER)]),
                (2, 10, &[("in_progress", OTHER)]),
            ],
            0,
            "was deployed to staging 30m",
        ),
        (
            &[(2, 10, &[("in_progress", OTHER)])],
            3,
            "is still in_progress",
        ),
        (&[], 1, "12345678 was never deployed to staging"),
    ];
    for (all, code, says) in cases {
        let server = MockServer::start().await;
        deployments(&server, "staging", all).await;
        let ran = preflight(
            &server,
            "  staging: [{ environment: staging, max-age: 1h }]\n",
        )
        .await;
        assert_eq!(ran.code, code, "{all:?}: {}", ran.text);
        assert!(ran.text.contains(says), "{all:?}: {}", ran.text);
        ran.outcome("staging/staging");
    }
}

#[tokio::test]
async fn nobody_else_deploys_and_our_own_deployment_does_not_count() {
    let cases: [(&[Made<'_>], &str, i32, &str); 6] = [
        (
            &[
                (1, 5, &[("success", OTHER)]),
                (2, 1, &[("in_progress", OWN)]),
            ],
            "",
            0,
            "besides this run's own",
        ),
        (
            &[(1, 5, &[("queued", OTHER)])],
            "",
            1,
            "1 in progress: 1 of 12345678 by grace (queued, 5m",
        ),
        (&[(1, 5, &[])], "", 1, "(pending, 5m"),
        (
            &[(1, 500, &[("in_progress", OTHER)])],
            ", stale-after: 2h",
            0,
            "1 forgotten (stale-after)",
        ),
        (
            &[(1, 500, &[("in_progress", OTHER)])],
            "",
            1,
            "statuses -f state=inactive",
        ),
        (&[], "", 0, "none of 0"),
    ];
    for (all, more, code, says) in cases {
        let server = MockServer::start().await;
        deployments(&server, "production", all).await;
        let section = format!("  deployments: [{{ environment: production{more} }}]\n");
        let ran = preflight(&server, &section).await;
        assert_eq!(ran.code, code, "{all:?}: {}", ran.text);
        assert!(ran.text.contains(says), "{all:?}: {}", ran.text);
        ran.outcome("deployments/production");
    }
}

#[tokio::test]
async fn one_that_is_stuck_behind_many_others_is_found_and_no_more_is_asked_than_it_takes() {
    let server = MockServer::start().await;
    let good: &[(&str, &str)] = &[("success", OTHER)];
    let stuck: &[(&str, &str)] = &[("in_progress", OTHER)];
    let mut all: Vec<Made<'_>> = (2..=90_u64)
        .rev()
        .map(|n| (n, 200 - n.cast_signed(), good))
        .collect();
    all.push((1, 300, stuck));
    deployments(&server, "production", &all).await;
    let section = |more: &str| format!("  deployments: [{{ environment: production{more} }}]\n");
    let ran = preflight(&server, &section("")).await;
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(
        ran.text.contains("1 in progress: 1 of 12345678"),
        "{}",
        ran.text
    );
    let asked = server.received_requests().await.unwrap().len();
    // Those of the last two hours are the newest ten, on the first page of ten.
    let ran = preflight(&server, &section(", stale-after: 2h")).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    let more = server.received_requests().await.unwrap().len() - asked;
    assert!(asked > 90 && more < 25, "{asked} {more}");
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_within_the_deadline_and_told_beyond_it() {
    let server = MockServer::start().await;
    Mock::given(path("/repos/acme/shop/actions/runs/77/artifacts"))
        .respond_with(ResponseTemplate::new(429).insert_header("retry-after", "2"))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    answer(
        &server,
        "/repos/acme/shop/actions/runs/77/artifacts",
        artifacts(&[artifact(1, "dist", 9, false)]),
    )
    .await;
    let section = "  timeout: 1s\n  artifacts: [{ name: dist }]\n";
    let ran = preflight(&server, section).await;
    assert_eq!(ran.code, 0, "{}", ran.text);

    let server = MockServer::start().await;
    let limited = ResponseTemplate::new(429).insert_header("retry-after", "300");
    Mock::given(method("GET"))
        .respond_with(limited)
        .mount(&server)
        .await;
    let clock = std::time::Instant::now();
    let ran = preflight(&server, section).await;
    assert_eq!(ran.code, 4, "{}", ran.text);
    assert!(
        ran.text.contains("used up for 5m, until 20"),
        "{}",
        ran.text
    );
    assert!(clock.elapsed() < std::time::Duration::from_secs(5));
}

//! Runbooks 001 and 004 as tests: preflight reports what a person had to find by hand.

use crate::asking::{Ran, SHA, answer, preflight, preflight_with};
use serde_json::{Value, json};
use testkit::{Registry, Sshd};
use wiremock::MockServer;

/// The step of the runbook is in the hint, and the summary shows a cross.
fn failed(ran: &Ran, id: &str, reason: &str, hint: &str) {
    let outcome = ran.outcome(id);
    assert_eq!(outcome["verdict"], "fail", "{}", ran.text);
    for (key, says) in [("reason", reason), ("hint", hint)] {
        let text = outcome[key].as_str().unwrap();
        assert!(text.contains(says), "{key} of {id}: {text}");
    }
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(ran.summary.contains('❌'), "{}", ran.summary);
}

fn secrets(days: i64) -> Value {
    let at = jiff::Timestamp::now().as_second() - days * 86_400;
    let at = jiff::Timestamp::from_second(at).unwrap().to_string();
    json!({"total_count": 1, "secrets": [{"name": "PRODUCTION_SSH_PRIVATE_KEY", "updated_at": at}]})
}

#[tokio::test]
async fn runbook_004_mode_2_secrets_expired() {
    let sshd = Sshd::start();
    let known_hosts = sshd.folder().join("known_hosts_of_the_test");
    std::fs::write(&known_hosts, sshd.known_hosts()).unwrap();
    let section = format!(
        "  secrets:\n    - name: PRODUCTION_SSH_PRIVATE_KEY\n      kind: ssh-private-key\n      hosts: [production-web-01]\n      max-age: 90d\nhosts:\n  production-web-01: {{ address: 127.0.0.1, port: {}, user: {}, key-env: PRODUCTION_SSH_PRIVATE_KEY, known-hosts: {} }}\n",
        sshd.port(),
        sshd.user(),
        known_hosts.display()
    );
    let name = "PRODUCTION_SSH_PRIVATE_KEY";
    let id = format!("secrets/{name}");
    let list = "/repos/acme/shop/actions/secrets";
    let fresh = MockServer::start().await;
    answer(&fresh, list, secrets(10)).await;

    // Missing: GitHub hands over an empty string.
    let ran = preflight_with(&fresh, &section, &[(name, "")]).await;
    failed(&ran, &id, "is empty", "gh secret list");

    // Expired: the hosts do not take the key any more.
    let ran = preflight_with(&fresh, &section, &[(name, &sshd.stranger_key())]).await;
    failed(
        &ran,
        &format!("{id}@production-web-01"),
        "may not log in",
        "authorized_keys",
    );

    // Rotated each quarter: this one was not.
    let stale = MockServer::start().await;
    answer(&stale, list, secrets(120)).await;
    let ran = preflight_with(&stale, &section, &[(name, &sshd.private_key())]).await;
    failed(
        &ran,
        &format!("{id}/age"),
        "more than max-age (90d)",
        "gh secret set",
    );

    // After the rotation.
    let ran = preflight_with(&fresh, &section, &[(name, &sshd.private_key())]).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
}

#[tokio::test]
async fn runbook_004_mode_5_artifact_missing() {
    let registry = Registry::start();
    registry.push("paws360/backend", "v1.2.3", "linux/amd64");
    let section = format!(
        "  images: [{{ name: backend, image: '{}/paws360/backend:v1.2.4', plain-http: true }}]\n  artifacts: [{{ name: frontend-dist, workflow: build.yml }}]\n",
        registry.address()
    );
    let github = MockServer::start().await;
    let runs =
        json!({"total_count": 1, "workflow_runs": [{"id": 5, "run_number": 12, "head_sha": SHA}]});
    answer(
        &github,
        "/repos/acme/shop/actions/workflows/build.yml/runs",
        runs,
    )
    .await;
    let listed = |name: &str| json!({"total_count": 1, "artifacts": [{"id": 1, "name": name, "size_in_bytes": 9, "expired": false}]});
    let before = MockServer::start().await;
    let runs =
        json!({"total_count": 1, "workflow_runs": [{"id": 5, "run_number": 12, "head_sha": SHA}]});
    answer(
        &before,
        "/repos/acme/shop/actions/workflows/build.yml/runs",
        runs,
    )
    .await;
    answer(
        &before,
        "/repos/acme/shop/actions/runs/5/artifacts",
        listed("backend-logs"),
    )
    .await;

    let ran = preflight(&before, &section).await;
    failed(&ran, "images/backend", "v1.2.4", "v1.2.3");
    failed(
        &ran,
        "artifacts/frontend-dist",
        "run 12 of build.yml",
        "it has backend-logs",
    );

    // The build ran again, and pushed.
    registry.push("paws360/backend", "v1.2.4", "linux/amd64");
    answer(
        &github,
        "/repos/acme/shop/actions/runs/5/artifacts",
        listed("frontend-dist"),
    )
    .await;
    let ran = preflight(&github, &section).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
}

/// A commit whose unit tests ended so, and whose open alerts are these.
async fn commit(tests: &str, alerts: Value) -> MockServer {
    let server = MockServer::start().await;
    let base = format!("/repos/acme/shop/commits/{SHA}");
    let run = json!({"id": 1, "name": "test:unit", "status": "completed", "conclusion": tests,
        "html_url": "https://github.com/acme/shop/actions/runs/5/job/9"});
    answer(
        &server,
        &format!("{base}/check-runs"),
        json!({"total_count": 1, "check_runs": [run]}),
    )
    .await;
    answer(
        &server,
        &format!("{base}/status"),
        json!({"total_count": 0, "statuses": []}),
    )
    .await;
    answer(
        &server,
        "/repos/acme/shop/code-scanning/analyses",
        json!([{"id": 1, "ref": "refs/heads/main", "commit_sha": SHA, "error": "", "created_at": "2026-11-20T00:00:00Z"}]),
    )
    .await;
    answer(&server, "/repos/acme/shop/code-scanning/alerts", alerts).await;
    server
}

#[tokio::test]
async fn runbook_001_pre_deployment_checks_failed() {
    let alert = json!([{"number": 3, "created_at": "2026-11-10T00:00:00Z", "fixed_at": null, "html_url": "https://github.com/acme/shop/security/code-scanning/3",
        "rule": {"id": "js/sql-injection", "severity": "error", "security_severity_level": "high"}}]);
    let section = |waivers: &str| {
        format!("  checks: [{{ name: ci, code-scanning: {{}}, waivers: [{waivers}] }}]\n")
    };

    // Which check, and where to look, instead of a walk through the Checks tab.
    let server = commit("failure", alert.clone()).await;
    let ran = preflight(&server, &section("")).await;
    failed(
        &ran,
        "checks/ci",
        "test:unit (failure)",
        "actions/runs/5/job/9",
    );
    failed(
        &ran,
        "checks/ci/code-scanning",
        "js/sql-injection (alert 3, high)",
        "security/code-scanning/3",
    );

    // Options 1 and 2: fixed.
    let fixed = commit("success", json!([])).await;
    let ran = preflight(&fixed, &section("")).await;
    assert_eq!(ran.code, 0, "{}", ran.text);

    // Option 3: overridden, with a name under it and an end to it.
    let waiver = "{ check: 'code-scanning/js/sql-injection', reason: false positive, approver: security-team, expires: 2099-01-01 }";
    let let_through = commit("success", alert).await;
    let ran = preflight(&let_through, &section(waiver)).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    for output in [&ran.text, &ran.json.to_string(), &ran.summary] {
        assert!(
            output.contains("waived until 2099-01-01 by security-team: false positive"),
            "{output}"
        );
    }
}

/// A commit whose CI has one job that ended so.
async fn ci(job: &str, conclusion: &str) -> MockServer {
    let server = MockServer::start().await;
    let base = format!("/repos/acme/shop/commits/{SHA}");
    let run = json!({"id": 1, "name": job, "status": "completed", "conclusion": conclusion,
        "html_url": "https://github.com/acme/shop/actions/runs/5/job/9"});
    let runs = json!({"total_count": 1, "check_runs": [run]});
    answer(&server, &format!("{base}/check-runs"), runs).await;
    let statuses = json!({"total_count": 0, "statuses": []});
    answer(&server, &format!("{base}/status"), statuses).await;
    server
}

/// The image was not pushed because a job of CI failed: which one, with a link to its log, and what
/// there is instead. Once it has run again, all is well.
async fn job_failed(job: &str) {
    let registry = Registry::start();
    registry.push("azora-api", "v1.2.3", "linux/amd64");
    let section = format!(
        "  checks: [{{ name: ci, required: ['{job}'] }}]\n  images: [{{ name: api, image: '{}/azora-api:v1.2.4', plain-http: true }}]\n",
        registry.address()
    );
    let ran = preflight(&ci(job, "failure").await, &section).await;
    failed(
        &ran,
        "checks/ci",
        &format!("{job} (failure)"),
        "actions/runs/5/job/9",
    );
    failed(&ran, "images/api", "v1.2.4", "v1.2.3");
    // No command ran, or another one: silence is not a pass.
    let ran = preflight(&ci("lint", "success").await, &section).await;
    assert_ne!(ran.code, 0, "{}", ran.text);

    registry.push("azora-api", "v1.2.4", "linux/amd64");
    let ran = preflight(&ci(job, "success").await, &section).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
}

#[tokio::test]
async fn runbook_000_failure_a_build_failure() {
    job_failed("build").await;
}

#[tokio::test]
async fn runbook_000_failure_b_test_failure() {
    job_failed("pytest").await;
}

#[tokio::test]
async fn runbook_001_docker_build_failed() {
    job_failed("build-image").await;
}

#[tokio::test]
async fn runbook_002_build_or_tests_failed() {
    job_failed("Build and test / backend").await;
}

/// `make preflight READINESS_SCORE=8.0`.
#[test]
fn runbook_000_safeguards_readiness_score() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["ONE", "TWO", "THREE", "FOUR", "FIVE"];
    let mut checks = String::new();
    for name in names {
        checks.push_str(&format!("    - {{ name: {name}, severity: advisory }}\n"));
    }
    let config = format!("version: 1\npreflight:\n  pass-score: 8.0\n  variables:\n{checks}");
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    for (set, code, says) in [
        (5, 0, "10.0 of 10"),
        (4, 0, "8.0 of 10: lost 2.0 for variables/FIVE"),
        (3, 1, "below pass-score (8.0)"),
    ] {
        let mut command = testkit::bin("preflight");
        command.current_dir(folder.path());
        command.envs(names.iter().take(set).map(|name| (name, "x")));
        command
            .assert()
            .code(code)
            .stdout(predicates::str::contains(says));
    }
}

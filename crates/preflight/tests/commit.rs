//! The commit of the queries to GitHub: the deployed one, not the head of the dispatching branch.

use crate::asking::{Ran, SHA, answer, preflight_file, preflight_with};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// The commit of the release's tag; [`SHA`] is the head of main, which dispatched the workflow.
const TAGGED: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

async fn tag(server: &MockServer, name: &str, commit: &str) {
    let at = format!("/repos/acme/shop/commits/{name}");
    answer(server, &at, json!({"sha": commit})).await;
}

/// The CI results of a commit, whatever its name.
async fn ci(server: &MockServer, names: &[&str], conclusion: &str) {
    for name in names {
        let base = format!("/repos/acme/shop/commits/{name}");
        let run = json!({"id": 1, "name": "build", "status": "completed", "conclusion": conclusion,
            "html_url": "https://github.com/acme/shop/actions/runs/5/job/1"});
        let runs = json!({"total_count": 1, "check_runs": [run]});
        answer(server, &format!("{base}/check-runs"), runs).await;
        let none = json!({"total_count": 0, "statuses": []});
        answer(server, &format!("{base}/status"), none).await;
    }
}

async fn run(server: &MockServer, section: &str, release: &str) -> Ran {
    let config = format!("version: 1\nservice: shop\npreflight:\n{section}");
    let env = [("GITHUB_REF", "refs/heads/main")];
    preflight_file(server, &config, &["--release", release], &env).await
}

#[tokio::test]
async fn pf_checks_of_another_commit_are_not_the_releases() {
    let server = MockServer::start().await;
    tag(&server, "v1.2.3", TAGGED).await;
    ci(&server, &[SHA], "success").await;
    ci(&server, &[TAGGED, "v1.2.3"], "failure").await;
    for section in [
        "  checks: [{ name: ci }]\n",
        "  checks: [{ name: ci, commit: '${RELEASE}' }]\n",
        "  commit: '${RELEASE}'\n  checks: [{ name: ci }]\n",
    ] {
        let ran = run(&server, section, "v1.2.3").await;
        assert_eq!(ran.code, 1, "{section}: {}", ran.text);
        let outcome = ran.outcome("checks/ci");
        assert_eq!(outcome["subject"], "v1.2.3 (bbbbbbbb)", "{section}");
    }
    // A key that names another commit goes before the release.
    let named = format!("  checks: [{{ name: ci, commit: {SHA} }}]\n");
    assert_eq!(run(&server, &named, "v1.2.3").await.code, 0);
    // So it does for every check at once.
    let named = format!("  commit: {SHA}\n  checks: [{{ name: ci }}]\n");
    assert_eq!(run(&server, &named, "v1.2.3").await.code, 0);
}

#[tokio::test]
async fn a_release_that_is_a_commit_is_that_commit() {
    let server = MockServer::start().await;
    tag(&server, "bbbbbbb", TAGGED).await;
    ci(&server, &[SHA], "success").await;
    ci(&server, &[TAGGED], "failure").await;
    for release in [TAGGED, "bbbbbbb"] {
        let ran = run(&server, "  checks: [{ name: ci }]\n", release).await;
        assert_eq!(ran.code, 1, "{release}: {}", ran.text);
    }
    // The run's own commit needs no look-up, whole or short.
    let asked = server.received_requests().await.unwrap().len();
    for release in [SHA, &SHA[..7]] {
        let ran = run(&server, "  checks: [{ name: ci }]\n", release).await;
        assert_eq!(ran.code, 0, "{release}: {}", ran.text);
    }
    let asked = &server.received_requests().await.unwrap()[asked..];
    let looked_up = |request: &&wiremock::Request| request.url.path().ends_with(&SHA[..7]);
    assert!(asked.iter().find(looked_up).is_none(), "{asked:?}");
}

#[tokio::test]
async fn the_push_of_the_releases_tag_is_a_run_of_its_commit() {
    let server = MockServer::start().await;
    ci(&server, &[SHA, "v1.2.3"], "success").await;
    let config = "version: 1\npreflight: { checks: [{ name: ci }] }\n";
    let env = [("GITHUB_REF", "refs/tags/v1.2.3")];
    let ran = preflight_file(&server, config, &["--release", "v1.2.3"], &env).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert_eq!(ran.outcome("checks/ci")["subject"], "v1.2.3 (12345678)");
}

#[tokio::test]
async fn a_tag_that_is_spelled_otherwise_than_its_release_is_found_and_said() {
    for (release, name, code) in [
        ("1.2.3", "v1.2.3", 1),
        ("v1.2.3", "1.2.3", 1),
        ("shop-1.2.3", "v1.2.3", 1),
        ("shop@1.2.3", "shop@v1.2.3", 1),
        // For another product of the repository `v1.2.3` proves nothing: the run's commit is used.
        ("web-1.2.3", "v1.2.3", 0),
    ] {
        let server = MockServer::start().await;
        tag(&server, &name.replace('@', "%40"), TAGGED).await;
        ci(&server, &[SHA], "success").await;
        ci(&server, &[TAGGED, &name.replace('@', "%40")], "failure").await;
        let ran = run(&server, "  checks: [{ name: ci }]\n", release).await;
        assert_eq!(ran.code, code, "{release} {name}: {}", ran.text);
        let actual = ran.outcome("checks/ci")["actual"].to_string();
        let says = if code == 1 {
            format!("the tag of release {release} is {name}")
        } else {
            format!("release {release} is neither a tag nor a commit of acme/shop")
        };
        assert!(actual.contains(&says), "{actual}");
    }
}

#[tokio::test]
async fn a_release_that_is_no_ref_falls_back_to_the_runs_commit_and_says_so_everywhere() {
    let server = MockServer::start().await;
    Mock::given(path("/repos/acme/shop/commits/nightly-7"))
        .respond_with(
            ResponseTemplate::new(422)
                .set_body_json(json!({"message": "No commit found for SHA: nightly-7"})),
        )
        .mount(&server)
        .await;
    ci(&server, &[SHA], "success").await;
    let ran = run(&server, "  checks: [{ name: ci }]\n", "nightly-7").await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    let says = "release nightly-7 is neither a tag nor a commit of acme/shop, so this is the commit of the workflow run";
    for output in [&ran.text, &ran.json.to_string(), &ran.summary] {
        assert!(output.contains(says), "{output}");
    }
    // Without a run there is nothing to fall back to, and a name that is given must be one.
    let nowhere = [("GITHUB_SHA", "")];
    let config = "version: 1\npreflight: { checks: [{ name: ci }] }\n";
    let ran = preflight_file(&server, config, &["--release", "nightly-7"], &nowhere).await;
    assert_eq!(ran.code, 4, "{}", ran.text);
    assert!(ran.text.contains("push its tag"), "{}", ran.text);
    let ran = run(
        &server,
        "  checks: [{ name: ci, commit: nightly-7 }]\n",
        "v1",
    )
    .await;
    assert_eq!(ran.code, 4, "{}", ran.text);
    assert!(
        ran.text.contains("`commit: nightly-7` is neither"),
        "{}",
        ran.text
    );
}

#[tokio::test]
async fn a_tag_that_may_not_be_looked_up_is_an_error_and_no_other_commit() {
    let server = MockServer::start().await;
    Mock::given(path("/repos/acme/shop/commits/v1.2.3"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&server)
        .await;
    ci(&server, &[SHA], "success").await;
    let section = "  checks: [{ name: ci }]\n  staging: [{ environment: staging }]\n";
    let ran = run(&server, section, "v1.2.3").await;
    assert_eq!(ran.code, 4, "{}", ran.text);
    for id in ["checks/ci", "staging/staging"] {
        assert!(
            ran.outcome(id)["hint"]
                .to_string()
                .contains("contents: read")
        );
    }
}

#[tokio::test]
async fn the_runs_commit_is_none_of_another_repository() {
    let server = MockServer::start().await;
    let section = "  checks: [{ name: ci, repository: acme/other }]\n";
    let ran = preflight_with(&server, section, &[]).await;
    assert_eq!(ran.code, 4, "{}", ran.text);
    assert!(ran.text.contains("no commit is named"), "{}", ran.text);
}

#[tokio::test]
async fn pf_staging_by_tag_or_short_id_is_found_by_the_whole_id() {
    let server = MockServer::start().await;
    tag(&server, "v1.2.3", TAGGED).await;
    let ago = jiff::Timestamp::now().to_string();
    let listed = json!([{"id": 1, "sha": TAGGED, "created_at": ago, "creator": null}]);
    let other = json!([{"id": 1, "sha": TAGGED, "created_at": ago, "creator": null},
        {"id": 2, "sha": SHA, "created_at": ago, "creator": null}]);
    Mock::given(path("/repos/acme/shop/deployments"))
        .and(query_param("sha", TAGGED))
        .respond_with(ResponseTemplate::new(200).set_body_json(&listed))
        .mount(&server)
        .await;
    Mock::given(path("/repos/acme/shop/deployments"))
        .and(query_param("sha", SHA))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
        .mount(&server)
        .await;
    // Without a filter all of them are listed.
    Mock::given(path("/repos/acme/shop/deployments"))
        .and(wiremock::matchers::query_param_is_missing("sha"))
        .respond_with(ResponseTemplate::new(200).set_body_json(&other))
        .mount(&server)
        .await;
    for id in [1, 2] {
        let statuses = json!([{"id": 1, "state": "success", "created_at": ago, "log_url": null, "target_url": null}]);
        answer(
            &server,
            &format!("/repos/acme/shop/deployments/{id}/statuses"),
            statuses,
        )
        .await;
    }
    let staging = |commit: &str| {
        let commit = match commit {
            "" => String::new(),
            commit => format!(", commit: {commit}"),
        };
        format!("  staging: [{{ environment: staging{commit} }}]\n")
    };
    for commit in ["v1.2.3", "bbbbbbb", TAGGED] {
        let ran = preflight_with(&server, &staging(commit), &[]).await;
        assert_eq!(ran.code, 0, "{commit}: {}", ran.text);
    }
    let ran = run(&server, &staging(""), "v1.2.3").await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(
        ran.text
            .contains("v1.2.3 (bbbbbbbb) was deployed to staging"),
        "{}",
        ran.text
    );
    // The head of main was not.
    assert_eq!(preflight_with(&server, &staging(""), &[]).await.code, 1);
    let ran = preflight_with(&server, &staging("ccccccc"), &[]).await;
    assert_eq!(ran.code, 4, "{}", ran.text);
    assert!(
        ran.text.contains("ccccccc is not a commit of acme/shop"),
        "{}",
        ran.text
    );
}

fn workflow_run(id: u64, event: &str, head: Value) -> Value {
    json!({"id": id, "run_number": id, "head_sha": TAGGED, "event": event, "head_branch": "main",
        "repository": {"full_name": "acme/shop"}, "head_repository": head})
}

#[tokio::test]
async fn pf_artifact_of_a_fork_never_counts() {
    let own = json!({"full_name": "acme/shop"});
    let fork = json!({"full_name": "eve/shop"});
    let good = workflow_run(9, "push", own.clone());
    for (runs, code, says) in [
        (
            vec![workflow_run(5, "pull_request", fork.clone())],
            1,
            "1 of pull requests",
        ),
        (
            vec![workflow_run(5, "workflow_dispatch", fork.clone())],
            1,
            "1 of pull requests",
        ),
        // The fork is gone, and a pull request of our own is a proposal all the same.
        (
            vec![workflow_run(5, "pull_request", Value::Null)],
            1,
            "1 of pull requests",
        ),
        (
            vec![workflow_run(5, "pull_request", own.clone())],
            1,
            "1 of pull requests",
        ),
        (
            vec![workflow_run(5, "pull_request", fork.clone()), good.clone()],
            0,
            "run 9 of build.yml",
        ),
        (vec![good.clone()], 0, "run 9 of build.yml"),
    ] {
        let server = MockServer::start().await;
        let at = "/repos/acme/shop/actions/workflows/build.yml/runs";
        answer(
            &server,
            at,
            json!({"total_count": runs.len(), "workflow_runs": runs}),
        )
        .await;
        let artifact = json!({"id": 1, "name": "dist", "size_in_bytes": 9, "expired": false, "created_at": null, "expires_at": null});
        for id in [5, 9] {
            let at = format!("/repos/acme/shop/actions/runs/{id}/artifacts");
            answer(
                &server,
                &at,
                json!({"total_count": 1, "artifacts": [artifact]}),
            )
            .await;
        }
        let section = "  artifacts: [{ name: dist, workflow: build.yml, branch: main }]\n";
        let ran = preflight_with(&server, section, &[]).await;
        assert_eq!(ran.code, code, "{runs:?}: {}", ran.text);
        assert!(ran.text.contains(says), "{runs:?}: {}", ran.text);
        ran.outcome("artifacts/dist");
    }
}

#[tokio::test]
async fn the_run_behind_a_page_of_forks_is_found_and_an_artifact_of_this_run_is_asked_whose_it_is()
{
    let server = MockServer::start().await;
    let fork = json!({"full_name": "eve/shop"});
    let first: Vec<Value> = (100..150)
        .map(|id| workflow_run(id, "pull_request", fork.clone()))
        .collect();
    let second = [workflow_run(9, "push", json!({"full_name": "Acme/Shop"}))];
    for (page, runs) in [("1", first.as_slice()), ("2", second.as_slice())] {
        Mock::given(path("/repos/acme/shop/actions/workflows/build.yml/runs"))
            .and(query_param("page", page))
            .respond_with(
                ResponseTemplate::new(200)
                    .set_body_json(json!({"total_count": 51, "workflow_runs": runs})),
            )
            .mount(&server)
            .await;
    }
    let artifact = |head: u64| {
        json!({"id": 1, "name": "dist", "size_in_bytes": 9, "expired": false, "created_at": null, "expires_at": null,
            "workflow_run": {"id": 9, "repository_id": 1, "head_repository_id": head}})
    };
    for (run, head) in [(9, 1), (77, 2)] {
        let at = format!("/repos/acme/shop/actions/runs/{run}/artifacts");
        answer(
            &server,
            &at,
            json!({"total_count": 1, "artifacts": [artifact(head)]}),
        )
        .await;
    }
    let of_workflow = "  artifacts: [{ name: dist, workflow: build.yml }]\n";
    let ran = preflight_with(&server, of_workflow, &[]).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    let ran = preflight_with(&server, "  artifacts: [{ name: dist }]\n", &[]).await;
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(
        ran.text.contains("a fork's artifacts do not count"),
        "{}",
        ran.text
    );
}

#[tokio::test]
async fn artifacts_of_the_same_commit_are_those_of_the_release() {
    let server = MockServer::start().await;
    tag(&server, "v1.2.3", TAGGED).await;
    Mock::given(path("/repos/acme/shop/actions/workflows/build.yml/runs"))
        .and(query_param("head_sha", TAGGED))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            json!({"total_count": 1, "workflow_runs": [workflow_run(9, "push", json!({"full_name": "acme/shop"}))]}),
        ))
        .mount(&server)
        .await;
    let artifact = json!({"id": 1, "name": "dist", "size_in_bytes": 9, "expired": false, "created_at": null, "expires_at": null});
    answer(
        &server,
        "/repos/acme/shop/actions/runs/9/artifacts",
        json!({"total_count": 1, "artifacts": [artifact]}),
    )
    .await;
    for section in [
        "  artifacts: [{ name: dist, workflow: build.yml, same-commit: true }]\n",
        "  artifacts: [{ name: dist, workflow: build.yml, commit: v1.2.3 }]\n",
    ] {
        let ran = run(&server, section, "v1.2.3").await;
        assert_eq!(ran.code, 0, "{section}: {}", ran.text);
    }
}

#[tokio::test]
async fn code_scanning_is_asked_what_it_found_in_the_release_and_not_what_main_has_now() {
    let server = MockServer::start().await;
    tag(&server, "v1.2.3", TAGGED).await;
    ci(&server, &[SHA, TAGGED, "v1.2.3"], "success").await;
    let base = "/repos/acme/shop/code-scanning";
    let of = |commit: &str, day: u32| {
        json!({"ref": "refs/heads/main", "commit_sha": commit, "error": "",
            "created_at": format!("2026-11-{day}T00:00:00Z")})
    };
    answer(
        &server,
        &format!("{base}/analyses"),
        json!([of(SHA, 20), of(TAGGED, 10)]),
    )
    .await;
    let alert = |number: u64, created: u32, fixed: Option<u32>| {
        json!({"number": number, "rule": {"id": format!("rule-{number}"), "severity": "error"},
            "html_url": null, "created_at": format!("2026-11-{created:02}T00:00:00Z"),
            "fixed_at": fixed.map(|day| format!("2026-11-{day:02}T00:00:00Z"))})
    };
    // Fixed on main since, which does not help the release; found on main since, which does not
    // harm it; and one that was fixed before.
    for (state, alerts) in [
        ("open", json!([alert(2, 15, None)])),
        (
            "fixed",
            json!([alert(1, 5, Some(15)), alert(3, 5, Some(9))]),
        ),
    ] {
        Mock::given(path(format!("{base}/alerts")))
            .and(query_param("state", state))
            .and(query_param("ref", "refs/heads/main"))
            .respond_with(ResponseTemplate::new(200).set_body_json(alerts))
            .mount(&server)
            .await;
    }
    let section = "  checks: [{ name: ci, code-scanning: {} }]\n";
    let ran = run(&server, section, "v1.2.3").await;
    assert_eq!(ran.code, 1, "{}", ran.text);
    let outcome = ran.outcome("checks/ci/code-scanning");
    assert_eq!(outcome["reason"], "1 open: rule-1 (alert 1, high)");
    // On main itself the newest analysis counts, as it is.
    let ran = run(&server, section, SHA).await;
    let outcome = ran.outcome("checks/ci/code-scanning");
    assert_eq!(outcome["reason"], "1 open: rule-2 (alert 2, high)");
    // A commit that was not analysed is not good, whatever main's alerts are.
    let other = "c".repeat(40);
    ci(&server, &[&other], "success").await;
    let ran = run(&server, section, &other).await;
    assert_eq!(ran.code, 3, "{}", ran.text);
    assert!(
        ran.text.contains("code scanning never analysed cccccccc"),
        "{}",
        ran.text
    );
    assert!(ran.text.contains("ref: refs/heads/main"), "{}", ran.text);
}

#[tokio::test]
async fn what_is_not_a_name_of_a_tag_is_asked_of_nobody() {
    let server = MockServer::start().await;
    ci(&server, &[SHA], "success").await;
    let release = "ghcr.io/acme/shop:1.2.3";
    let ran = run(&server, "  checks: [{ name: ci }]\n", release).await;
    assert_eq!(ran.code, 0, "{}", ran.text);
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(500))
        .mount(&server)
        .await;
    let asked = server.received_requests().await.unwrap();
    assert!(
        asked
            .iter()
            .all(|request| !request.url.path().contains("ghcr"))
    );
}

//! Pools that have no runner without work: scale sets that start at none, and GitHub's own machines.

use serde_json::{Value, json};
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn ago(minutes: i64) -> String {
    let at = jiff::Timestamp::now().as_second() - minutes * 60;
    jiff::Timestamp::from_second(at).unwrap().to_string()
}

/// A job of the label: made and begun so many minutes ago; without a begin it waits.
fn job(label: &str, made: i64, begun: Option<i64>) -> Value {
    let waits = begun.is_none();
    json!({"id": made, "run_id": 900, "name": "build", "labels": [label],
        "status": if waits { "queued" } else { "completed" },
        "conclusion": if waits { Value::Null } else { json!("success") },
        "created_at": ago(made), "started_at": ago(begun.unwrap_or(made)),
        "completed_at": begun.map(|_| ago(1)),
        "runner_name": begun.map(|_| format!("{label}-x7k2p-runner-{made}"))})
}

/// A repository without a registered runner, whose one run has these jobs.
async fn repository(list: ResponseTemplate, jobs: &[Value]) -> MockServer {
    let server = MockServer::start().await;
    let get = |at: &str| Mock::given(path(at.to_owned()));
    get("/repos/acme/shop/actions/runners")
        .respond_with(list)
        .mount(&server)
        .await;
    for status in ["queued", "in_progress", "completed"] {
        let of = jobs.iter().filter(|job| job["status"] == status).count();
        let runs = if of > 0 {
            json!([{"id": 900}])
        } else {
            json!([])
        };
        get("/repos/acme/shop/actions/runs")
            .and(query_param("status", status))
            .respond_with(ResponseTemplate::new(200).set_body_json(
                json!({"total_count": runs.as_array().unwrap().len(), "workflow_runs": runs}),
            ))
            .mount(&server)
            .await;
    }
    get("/repos/acme/shop/actions/runs/900/jobs")
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"total_count": jobs.len(), "jobs": jobs})),
        )
        .mount(&server)
        .await;
    server
}

fn none() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"total_count": 0, "runners": []}))
}

async fn run(api: &str, config: &str, args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let mut command = testkit::bin("runner-check");
    command
        .current_dir(folder.path())
        .args(args)
        .env("GITHUB_API_URL", api)
        .env("GITHUB_TOKEN", "t")
        .env("GITHUB_REPOSITORY", "acme/shop");
    // On a thread of its own: the mock server answers on this one.
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

const PLAIN: &str = "version: 1\n";
const ARC: [&str; 3] = ["--labels", "arc-prod", "--scales-from-zero"];

#[tokio::test]
async fn arc_scale_set_at_zero_takes_the_job_where_its_jobs_begin_in_time() {
    for (jobs, code, parts) in [
        (
            vec![job("arc-prod", 9, Some(8))],
            0,
            &["it scales from zero", "waited 1m for a machine"][..],
        ),
        (
            vec![],
            0,
            &["no job with these labels is among the recent runs"],
        ),
        (
            vec![job("arc-prod", 30, Some(20))],
            3,
            &[
                "waited 10m for a machine, where 5m is expected",
                "1 of 1 in recent runs waited longer",
                "maxRunners",
            ],
        ),
        (
            vec![job("arc-prod", 12, None)],
            3,
            &["the oldest (`build`) for 12m, where 5m is expected"],
        ),
        (
            vec![job("arc-prod", 2, None)],
            0,
            &["which is too few for a verdict"],
        ),
        // Other labels do not concern this pool.
        (vec![job("gpu", 30, Some(20))], 0, &["it scales from zero"]),
    ] {
        let server = repository(none(), &jobs).await;
        let (got, text) = run(&server.uri(), PLAIN, &ARC).await;
        assert_eq!(got, code, "{jobs:?}: {text}");
        has(&text, parts);
        assert!(!text.contains("no runner has these labels"), "{text}");
    }
}

#[tokio::test]
async fn the_time_that_a_start_may_take_is_the_pools_own() {
    let server = repository(none(), &[job("arc-prod", 30, Some(20))]).await;
    let args = [&ARC[..], &["--max-start-time", "15m"]].concat();
    let (code, text) = run(&server.uri(), PLAIN, &args).await;
    assert_eq!(code, 0, "{text}");
    has(&text, &["where 15m is expected"]);
}

#[tokio::test]
async fn without_the_declaration_it_is_down_and_the_hint_names_the_key() {
    let server = repository(none(), &[job("arc-prod", 9, Some(8))]).await;
    let args = ["--labels", "arc-prod"];
    let (code, text) = run(&server.uri(), PLAIN, &args).await;
    assert_eq!(code, 1, "{text}");
    has(&text, &["`scales-from-zero: true`"]);
}

#[tokio::test]
async fn where_neither_list_nor_jobs_may_be_read_nothing_is_known() {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(403))
        .mount(&server)
        .await;
    for args in [
        &ARC[..],
        &["--labels", "ubuntu-latest"],
        &["--labels", "big", "--github-hosted"],
    ] {
        let (code, text) = run(&server.uri(), PLAIN, args).await;
        assert_eq!(code, 4, "{args:?}: {text}");
    }
}

#[tokio::test]
async fn githubs_own_machines_are_in_no_list_and_take_the_job() {
    // A workflow's own token may read jobs, and never the list.
    for list in [none(), ResponseTemplate::new(403)] {
        for (args, label) in [
            (&["--labels", "ubuntu-latest"][..], "ubuntu-latest"),
            (
                &["--labels", "acme-16-cores", "--github-hosted"],
                "acme-16-cores",
            ),
        ] {
            let server = repository(list.clone(), &[job(label, 9, Some(8))]).await;
            let (code, text) = run(&server.uri(), PLAIN, args).await;
            assert_eq!(code, 0, "{args:?}: {text}");
            has(&text, &["GitHub's own machines", "takes the job"]);
            assert!(!text.contains("no runner has these labels"), "{text}");
            let server = repository(list.clone(), &[job(label, 40, Some(10))]).await;
            let (code, text) = run(&server.uri(), PLAIN, args).await;
            assert_eq!(code, 3, "{args:?}: {text}");
            has(&text, &["waited 30m for a machine", "githubstatus.com"]);
        }
    }
}

#[tokio::test]
async fn a_label_of_githubs_that_a_registered_runner_has_is_its_own() {
    let offline = json!({"id": 1, "name": "a", "status": "offline", "busy": false, "labels": [{"name": "ubuntu-latest"}]});
    let list =
        ResponseTemplate::new(200).set_body_json(json!({"total_count": 1, "runners": [offline]}));
    let server = repository(list, &[]).await;
    let args = ["--labels", "ubuntu-latest"];
    let (code, text) = run(&server.uri(), PLAIN, &args).await;
    assert_eq!(code, 1, "{text}");
}

#[tokio::test]
async fn what_a_pool_on_demand_cannot_have_is_refused() {
    for (keys, why) in [
        (
            "scales-from-zero: true, github-hosted: true",
            "exclude each other",
        ),
        (
            "scales-from-zero: true, min-online: 2",
            "`min-online` and `scales-from-zero` exclude",
        ),
        (
            "max-start-time: 3m",
            "is for `scales-from-zero` and `github-hosted`",
        ),
        (
            "github-hosted: true, max-start-time: 0s",
            "must be more than zero",
        ),
        (
            "github-hosted: true, prometheus: { server: 'http://p', query: up }",
            "know nothing of GitHub's own",
        ),
    ] {
        for config in [
            format!(
                "version: 1\nrunner-check: {{ pools: [{{ name: p, labels: [a], {keys} }}] }}\n"
            ),
            format!("version: 1\npreflight: {{ runners: [{{ name: p, labels: [a], {keys} }}] }}\n"),
        ] {
            let (code, text) = run("http://127.0.0.1:1", &config, &["--repo", "a/b"]).await;
            assert_eq!(code, 2, "{config}: {text}");
            has(&text, &[why, "deploy-guard.yml:2:"]);
        }
    }
}

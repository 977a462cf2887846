//! What a workflow's own token may see: jobs that wait, run, and ended.

use serde_json::json;
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::e2e::world::{Folder, has, job, jobs, jobs_of, list, listed, runner};

const POOL: [&str; 2] = ["--labels", "self-hosted,production"];

#[tokio::test]
async fn without_permission_for_the_list_jobs_tell() {
    let labels = ["self-hosted", "Production"];
    let more = ["self-hosted", "production", "gpu"];
    let cases: [(Vec<serde_json::Value>, i32, &[&str]); 6] = [
        (
            vec![job("in_progress", &labels, Some("web-01"), 3)],
            0,
            &["1 online (0 idle, 1 busy)", "all are busy"],
        ),
        (
            vec![job("completed", &more, Some("web-01"), 5)],
            0,
            &[
                "1 online (1 idle, 0 busy)",
                "finished job `deploy`",
                "5m ago",
            ],
        ),
        (
            vec![job("completed", &labels, Some("web-01"), 600)],
            3,
            &["1 of unknown status", "10h ago"],
        ),
        (
            vec![job("queued", &labels, None, 25)],
            1,
            &["the oldest (`deploy`) for 25m, and none runs"],
        ),
        (
            vec![job("queued", &labels, None, 1)],
            3,
            &["which is too few for a verdict"],
        ),
        (
            vec![],
            3,
            &[
                "its runners are not known",
                "no job with these labels waits or runs",
                "administration: read",
            ],
        ),
    ];
    for (seen, code, parts) in cases {
        let server = MockServer::start().await;
        list(&server, ResponseTemplate::new(403)).await;
        jobs(&server, &seen).await;
        let folder = Folder::new(&server, "version: 1\n");
        let (got, text) = folder.run(&POOL).await;
        assert_eq!(got, code, "{seen:?}: {text}");
        has(&text, parts);
    }
}

#[tokio::test]
async fn a_list_that_lies_is_contradicted() {
    let labels = ["self-hosted", "production"];
    // Offline, and working: actions/runner#3448.
    let server = MockServer::start().await;
    list(
        &server,
        listed(&[runner(1, "web-01", "offline", false, &labels)]),
    )
    .await;
    jobs(&server, &[job("in_progress", &labels, Some("web-01"), 3)]).await;
    let folder = Folder::new(&server, "version: 1\n");
    let (code, text) = folder.run(&POOL).await;
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &[
            "contradiction: web-01: runner list reports offline (offline), jobs reports busy (runs job `deploy` for 3m)",
        ],
    );

    // Free, while a job waits: unknown, and the next pool is taken.
    let server = MockServer::start().await;
    let runners = [
        runner(1, "web-01", "online", false, &labels),
        runner(2, "web-02", "online", false, &["secondary"]),
    ];
    list(&server, listed(&runners)).await;
    jobs(&server, &[job("queued", &labels, None, 30)]).await;
    let folder = Folder::new(&server, "version: 1\n");
    let (code, text) = folder.run(&POOL).await;
    assert_eq!(code, 3, "{text}");
    has(
        &text,
        &[
            "contradiction: a runner seems free, yet 1 job waits with these labels",
            "Runner groups",
        ],
    );
    let (code, text) = folder
        .run(&[
            "--labels",
            "self-hosted,production",
            "--labels",
            "secondary",
        ])
        .await;
    assert_eq!(code, 0, "{text}");
    has(&text, &["pool secondary takes the job"]);
}

#[tokio::test]
async fn one_undecided_pool_makes_the_whole_undecided() {
    let server = MockServer::start().await;
    list(
        &server,
        listed(&[runner(1, "a", "offline", false, &["primary"])]),
    )
    .await;
    Mock::given(path("/orgs/acme/actions/runners"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&server)
        .await;
    let config = "version: 1
runner-check:
  pools:
    - { name: primary, labels: [primary] }
    - { name: secondary, labels: [secondary], organization: acme }
";
    let (code, text) = Folder::new(&server, config).run(&[]).await;
    assert_eq!(code, 4, "{text}");
    has(
        &text,
        &[
            "pool/primary (advisory)",
            "no pool takes the job for certain",
            "organization_self_hosted_runners",
        ],
    );
}

#[tokio::test]
async fn it_waits_for_a_runner_to_come_up() {
    let server = MockServer::start().await;
    let one = |status: &str| listed(&[runner(1, "a", status, false, &["primary"])]);
    Mock::given(path("/repos/acme/shop/actions/runners"))
        .respond_with(one("offline"))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    list(&server, one("online")).await;
    let config = "version: 1\nrunner-check: { interval: 200ms, wait: 30s, pools: [{ name: primary, labels: [primary] }] }\n";
    let (code, text) = Folder::new(&server, config).run(&[]).await;
    assert_eq!(code, 0, "{text}");
    let asked = server.received_requests().await.unwrap();
    let lists = asked
        .iter()
        .filter(|request| request.url.path().ends_with("/actions/runners"))
        .count();
    assert_eq!(lists, 3);
    // Without a wait it asks once, and with one it gives up when the time is over.
    let server = MockServer::start().await;
    list(&server, one("offline")).await;
    let started = std::time::Instant::now();
    let (code, text) = Folder::new(&server, config).run(&["--wait", "700ms"]).await;
    assert_eq!(code, 1, "{text}");
    assert!(started.elapsed() >= std::time::Duration::from_millis(700));
}

#[tokio::test]
async fn groups_are_found_by_name_on_any_page_and_enterprises_have_their_own_path() {
    let server = MockServer::start().await;
    let group = |id: u64, name: &str| json!({"id": id, "name": name});
    let many: Vec<_> = (0..100).map(|n| group(n, &format!("g{n}"))).collect();
    for (page, groups) in [("1", many), ("2", vec![group(777, "Production")])] {
        Mock::given(path("/enterprises/acme-corp/actions/runner-groups"))
            .and(query_param("page", page))
            .respond_with(
                ResponseTemplate::new(200)
                    .set_body_json(json!({"total_count": 101, "runner_groups": groups})),
            )
            .mount(&server)
            .await;
    }
    Mock::given(path(
        "/enterprises/acme-corp/actions/runner-groups/777/runners",
    ))
    .respond_with(listed(&[runner(1, "a", "online", false, &["gpu"])]))
    .expect(1)
    .mount(&server)
    .await;
    let folder = Folder::new(&server, "version: 1\n");
    let (code, text) = folder
        .run(&[
            "--enterprise",
            "acme-corp",
            "--group",
            "production",
            "--labels",
            "GPU",
        ])
        .await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = folder
        .run(&[
            "--enterprise",
            "acme-corp",
            "--group",
            "nobody",
            "--labels",
            "gpu",
        ])
        .await;
    assert_eq!(code, 4, "{text}");
    has(&text, &["has no runner group `nobody`"]);
    let (code, text) = folder
        .run(&["--enterprise", "other", "--labels", "gpu"])
        .await;
    assert_eq!(code, 4, "{text}");
    has(&text, &["manage_runners:enterprise"]);
    let (code, text) = folder
        .run(&["--group", "production", "--labels", "gpu"])
        .await;
    assert_eq!(code, 2, "{text}");
    has(&text, &["--org"]);
}

#[tokio::test]
async fn a_job_that_lost_its_runner_is_no_sign_that_it_lives() {
    let server = MockServer::start().await;
    list(&server, ResponseTemplate::new(403)).await;
    let mut lost = job(
        "completed",
        &["self-hosted", "production"],
        Some("web-01"),
        2,
    );
    lost["conclusion"] = json!("failure");
    lost["steps"] = json!([
        {"name": "Set up job", "status": "completed", "conclusion": "success", "number": 1},
        {"name": "Run make", "status": "in_progress", "conclusion": null, "number": 2},
    ]);
    jobs(&server, &[lost]).await;
    let (code, text) = Folder::new(&server, "version: 1\n").run(&POOL).await;
    assert_eq!(code, 3, "{text}");
    has(&text, &["did not report the end of job `deploy`"]);
}

#[tokio::test]
async fn each_pool_is_judged_by_the_jobs_of_its_own_repositories() {
    let server = MockServer::start().await;
    for path_of in [
        "/repos/acme/shop/actions/runners",
        "/repos/acme/web/actions/runners",
        "/orgs/acme/actions/runners",
    ] {
        Mock::given(path(path_of))
            .respond_with(ResponseTemplate::new(403))
            .mount(&server)
            .await;
    }
    let labels = ["self-hosted"];
    jobs_of(&server, "acme/shop", &[job("queued", &labels, None, 30)]).await;
    jobs_of(
        &server,
        "acme/web",
        &[job("in_progress", &labels, Some("w"), 3)],
    )
    .await;
    let config = "version: 1
runner-check:
  pools:
    - { name: ours, labels: [self-hosted] }
    - { name: theirs, labels: [self-hosted], repository: acme/web }
";
    let (code, text) = Folder::new(&server, config).run(&[]).await;
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &["pool theirs takes the job", "for 30m, and none runs"],
    );

    // An organisation does not have a list of jobs: the named repositories are queried, else our own.
    let org = |more: &str| {
        format!(
            "version: 1\nrunner-check: {{ organization: acme, {more} pools: [{{ name: all, labels: [self-hosted] }}] }}\n"
        )
    };
    let both = org("repositories: [acme/shop, acme/web, acme/secret],");
    let (code, text) = Folder::new(&server, &both).run(&[]).await;
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &[
            "runs job `deploy` for 3m",
            "while 1 run in acme/shop, acme/web",
            "no answer: acme/secret: the token may not look into workflow runs (status 404)",
        ],
    );
    // Its runners may work for others, so a waiting job here proves nothing.
    let (code, text) = Folder::new(&server, &org("")).run(&[]).await;
    assert_eq!(code, 3, "{text}");
    has(&text, &["for 30m, and none runs in acme/shop"]);
}

#[tokio::test]
async fn a_run_with_more_jobs_than_a_page_is_read_to_its_end() {
    let server = MockServer::start().await;
    list(&server, ResponseTemplate::new(403)).await;
    for status in ["queued", "completed"] {
        Mock::given(path("/repos/acme/shop/actions/runs"))
            .and(query_param("status", status))
            .respond_with(
                ResponseTemplate::new(200)
                    .set_body_json(json!({"total_count": 0, "workflow_runs": []})),
            )
            .mount(&server)
            .await;
    }
    Mock::given(path("/repos/acme/shop/actions/runs"))
        .and(query_param("status", "in_progress"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"total_count": 1, "workflow_runs": [{"id": 5}]})),
        )
        .mount(&server)
        .await;
    let labels = ["self-hosted", "production"];
    let many = vec![job("queued", &labels, None, 30); 100];
    let last = vec![job("in_progress", &labels, Some("web-01"), 3)];
    for (page, jobs) in [("1", many), ("2", last)] {
        Mock::given(path("/repos/acme/shop/actions/runs/5/jobs"))
            .and(query_param("page", page))
            .respond_with(
                ResponseTemplate::new(200).set_body_json(json!({"total_count": 101, "jobs": jobs})),
            )
            .mount(&server)
            .await;
    }
    let (code, text) = Folder::new(&server, "version: 1\n").run(&POOL).await;
    assert_eq!(code, 0, "{text}");
    has(&text, &["web-01", "all are busy"]);
}

#[tokio::test]
async fn a_choice_that_leaves_nothing_decides_nothing() {
    let server = MockServer::start().await;
    let folder = Folder::new(&server, "version: 1\n");
    let args = [POOL[0], POOL[1], "--only", "pool/nobody"];
    let (code, text) = folder.run(&args).await;
    assert_eq!(code, 3, "{text}");
    assert!(!text.contains("P1") && !text.contains("no pool"), "{text}");
}

#[tokio::test]
async fn a_repository_without_the_runner_points_at_its_organisations_list() {
    let server = MockServer::start().await;
    list(&server, listed(&[])).await;
    let (code, text) = Folder::new(&server, "version: 1\n").run(&POOL).await;
    assert_eq!(code, 1, "{text}");
    has(&text, &["no runner has these labels", "`--org acme`"]);
}

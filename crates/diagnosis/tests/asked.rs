//! What GitHub answers, and what becomes of it: whole, refused, expired, not there yet.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use diagnosis::{CancelledBy, Diagnosis, Ended, Error, Gap, RunQuery, Stage, diagnose};
use github::logs::Cut;
use github::{Access, Client, Credentials, Job, Repository, RunId};
use model::Redactor;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::made::{job, jobs, log};

const SECRET: &str = "canary-0123456789";

/// GitHub, with run 42 of acme/shop; and a checkout of it.
struct Played(MockServer, Option<PathBuf>);

fn answer(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status)
}

fn step(step: &github::jobs::Step) -> Value {
    json!({
        "name": step.name, "status": step.status, "conclusion": step.conclusion,
        "started_at": step.started_at, "completed_at": step.completed_at,
    })
}

fn shown(job: &Job) -> Value {
    let steps: Vec<Value> = job.steps.iter().flatten().map(step).collect();
    json!({
        "id": job.id, "name": job.name, "status": job.status, "conclusion": job.conclusion,
        "started_at": job.started_at, "completed_at": job.completed_at,
        "runner_name": job.runner_name, "html_url": job.html_url, "steps": steps,
    })
}

impl Played {
    /// An attempt that ended so (`-`: it runs), with these jobs.
    async fn run(conclusion: &str, lines: &str) -> Played {
        let played = Played(MockServer::start().await, None);
        let is_over = conclusion != "-";
        let run = json!({
            "id": 42, "status": if is_over { "completed" } else { "in_progress" },
            "conclusion": is_over.then_some(conclusion), "run_attempt": 2,
            "html_url": "https://github.com/acme/shop/actions/runs/42", "path": ".github/workflows/deploy.yml",
        });
        played.on("runs/42", answer(200).set_body_json(run)).await;
        let jobs: Vec<Value> = jobs(lines).iter().map(shown).collect();
        let list = json!({ "total_count": jobs.len(), "jobs": jobs });
        played
            .on("runs/42/attempts/2/jobs", answer(200).set_body_json(list))
            .await;
        played
    }

    async fn on(&self, place: &str, answer: ResponseTemplate) {
        Mock::given(method("GET"))
            .and(path(format!("/repos/acme/shop/actions/{place}")))
            .respond_with(answer)
            .mount(&self.0)
            .await;
    }

    /// The log of a job, kept at another place of the same server.
    async fn log(&self, id: u64, text: impl Respond + 'static) {
        let location = format!("{}/kept?sig=s1gnature", self.0.uri());
        let moved = answer(302).insert_header("location", location.as_str());
        self.on(&format!("jobs/{id}/logs"), moved).await;
        Mock::given(path("/kept"))
            .respond_with(text)
            .mount(&self.0)
            .await;
    }

    /// Annotations of a job that are about no file.
    async fn says(&self, id: u64, messages: &[&str]) {
        let note = |message: &&str| json!({ "path": ".github", "start_line": 1, "annotation_level": "failure", "message": message });
        let notes: Vec<Value> = messages.iter().map(note).collect();
        self.notes(id, answer(200).set_body_json(notes)).await;
    }

    async fn notes(&self, id: u64, answer: ResponseTemplate) {
        Mock::given(path(format!(
            "/repos/acme/shop/check-runs/{id}/annotations"
        )))
        .respond_with(answer)
        .mount(&self.0)
        .await;
    }

    async fn ask(&self) -> Result<Diagnosis, Error> {
        let access = Access {
            api_url: self.0.uri(),
            credentials: Credentials::Token("t0ken-value".to_owned().into()),
            timeout: Duration::from_secs(20),
            until: Instant::now(),
            redactor: Redactor::default(),
        };
        let question = RunQuery {
            repository: &Repository::parse("acme/shop").unwrap(),
            run: RunId::from(42),
            attempt: None,
            checkout: self.1.as_deref(),
        };
        let redactor = Redactor::new([SECRET.to_owned()]);
        diagnose(&Client::new(access).unwrap(), &question, &redactor).await
    }

    async fn diagnosis(&self) -> Diagnosis {
        self.ask().await.unwrap()
    }
}

const DOCKER: &str = "build failure: Set up job ok; Build and push FAIL; Complete job ok";

fn docker_log() -> String {
    let text = "1| ##[group]Run docker/build-push-action@v6\n1| ##[endgroup]\n\
        1| #10 [build 4/7] RUN npm ci --token canary-0123456789\n1| #10 0.5 npm ERR! login as canary-0123456789\n\
        1|  > [build 4/7] RUN npm ci --token canary-0123456789:\n\
        1| ##[error]buildx failed with: ERROR: failed to solve: exit code: 1";
    log(text, &job(DOCKER, 1))
}

#[tokio::test]
async fn a_failed_build_is_told_with_its_instruction_and_without_a_secret() {
    let lines =
        format!("{DOCKER}\ndeploy skipped\nlint failure @90: Set up job ok; Run eslint . FAIL");
    let played = Played::run("failure", &lines).await;
    played
        .log(1, answer(200).set_body_string(docker_log()))
        .await;
    let notes = json!([
        {"path": "src/a.ts", "start_line": 7, "annotation_level": "warning", "message": "unused canary-0123456789"},
        {"path": ".github", "start_line": 1, "annotation_level": "failure", "message": "Process completed with exit code 1."},
        {"path": ".github", "annotation_level": "failure", "message": "buildx failed\u{1b}[0m with\n@channel"},
        {"path": "x", "annotation_level": "notice", "message": ""},
    ]);
    played.notes(1, answer(200).set_body_json(notes)).await;
    let told = played.diagnosis().await;
    assert_eq!((told.stage, told.attempt), (Stage::Build, 2));
    assert_eq!(told.conclusion.as_deref(), Some("failure"));
    assert_eq!(told.job.as_deref(), Some("build"));
    assert_eq!(told.step.as_deref(), Some("Build and push"));
    assert_eq!(
        told.url.as_deref(),
        Some("https://github.com/acme/shop/actions/runs/42/job/1")
    );
    assert_eq!(
        told.error_lines[0], "#10 0.5 npm ERR! login as ***",
        "{told:#?}"
    );
    let step = told.dockerfile_step.clone().unwrap();
    assert_eq!(
        (step.number, step.of, step.instruction.as_str()),
        (4, 7, "RUN npm ci --token ***")
    );
    let messages: Vec<&str> = told
        .annotations
        .iter()
        .map(|note| note.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "buildx failed with @channel",
            "Process completed with exit code 1.",
            "unused ***"
        ]
    );
    assert_eq!(told.annotations[2].place, Some(("src/a.ts".to_owned(), 7)));
    assert_eq!(told.annotations[0].place, None);
    let others: Vec<_> = told
        .others
        .iter()
        .map(|other| (other.job.as_str(), other.stage))
        .collect();
    assert_eq!(others, [("lint", Stage::Test)]);
    assert_eq!(
        (told.ended, told.cancelled_by.clone(), told.gaps.len()),
        (None, None, 0)
    );
    let all = format!("{told:?}");
    assert!(
        !all.contains(SECRET) && !all.contains("s1gnature") && !all.contains("t0ken"),
        "{all}"
    );
}

#[tokio::test]
async fn what_may_not_be_read_is_a_gap_with_its_permission_and_the_rest_is_told() {
    let played = Played::run("failure", DOCKER).await;
    played.on("jobs/1/logs", answer(403)).await;
    played.notes(1, answer(403)).await;
    let told = played.diagnosis().await;
    assert_eq!(
        (told.stage, told.step.as_deref()),
        (Stage::Build, Some("Build and push"))
    );
    let [Gap::Annotations { .. }, Gap::Log { .. }] = told.gaps.as_slice() else {
        panic!("{:?}", told.gaps)
    };
    assert!(
        told.gaps[0].hint().contains("checks: read"),
        "{}",
        told.gaps[0].hint()
    );
    assert!(
        told.gaps[1].hint().contains("actions: read"),
        "{}",
        told.gaps[1].hint()
    );
    assert!(
        told.gaps[1].to_string().contains("may not read the log"),
        "{}",
        told.gaps[1]
    );
}

#[tokio::test]
async fn a_log_that_is_not_kept_or_not_there_yet_is_a_gap() {
    for (status, gap) in [(410, Gap::LogExpired), (404, Gap::NoLog)] {
        let played = Played::run("failure", DOCKER).await;
        played.on("jobs/1/logs", answer(status)).await;
        played.says(1, &[]).await;
        let told = played.diagnosis().await;
        assert_eq!(
            (told.stage, told.gaps),
            (Stage::Build, vec![gap]),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_step_whose_name_says_nothing_is_known_by_the_file_of_its_workflow() {
    const WORKFLOW: &str = "on: push\njobs:\n  go:\n    needs: [lint]\n    steps:\n      - name: Second step\n        \
        run: |\n          cd api\n          alembic upgrade head\n      - uses: acme/url-health-check@v1\n      - \
        uses: acme/deploy-guard@v1\n        with: { stage: rollback, command: run }\n      - run: |\n          make \
        ship\n          docker push shop\n";
    let checkout = tempfile::tempdir().unwrap();
    let folder = checkout.path().join(".github/workflows");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("deploy.yml");
    for (step, named, stage) in [
        ("Second step", Stage::Unknown, Stage::Migration),
        ("Run acme/url-health-check@v1", Stage::Health, Stage::Health),
        ("Run acme/deploy-guard@v1", Stage::Deploy, Stage::Rollback),
        ("Run make ship", Stage::Unknown, Stage::Image),
        // It was renamed since.
        ("Third step", Stage::Unknown, Stage::Unknown),
    ] {
        let jobs = format!("go failure: Set up job ok; {step} FAIL; Complete job ok");
        let mut played = Played::run("failure", &jobs).await;
        played.on("jobs/1/logs", answer(410)).await;
        played.says(1, &[]).await;
        let without = played.diagnosis().await;
        played.1 = Some(checkout.path().to_owned());
        std::fs::write(&file, WORKFLOW).unwrap();
        let with = played.diagnosis().await;
        assert_eq!(with.stage, stage, "{step}");
        assert_eq!(without.stage, named, "{step}");
        // What is not a workflow file changes nothing.
        for text in ["jobs: [", "\u{0}", "jobs: { go: { steps: 7 } }"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(played.diagnosis().await, without, "{text:?}");
        }
    }
}

#[tokio::test]
async fn a_job_that_may_fail_by_the_workflow_is_not_the_cause() {
    let jobs =
        "lint failure: Set up job ok; Lint FAIL\ndeploy failure @40: Set up job ok; Deploy FAIL";
    let mut played = Played::run("failure", jobs).await;
    for id in [1, 2] {
        played.on(&format!("jobs/{id}/logs"), answer(410)).await;
        played.says(id, &[]).await;
    }
    assert_eq!(played.diagnosis().await.job.as_deref(), Some("lint"));
    let checkout = tempfile::tempdir().unwrap();
    let folder = checkout.path().join(".github/workflows");
    std::fs::create_dir_all(&folder).unwrap();
    let text = "on: push\njobs:\n  lint: { continue-on-error: true, steps: [] }\n  deploy: { steps: [] }\n";
    std::fs::write(folder.join("deploy.yml"), text).unwrap();
    played.1 = Some(checkout.path().to_owned());
    let told = played.diagnosis().await;
    assert_eq!(told.headline(), "deploy failed: job deploy, step Deploy");
    assert_eq!(told.others[0].job, "lint");
}

/// GitHub leads to another server; what only looks like GitHub may not.
#[tokio::test]
async fn a_log_that_is_given_at_once_is_read() {
    let played = Played::run("failure", DOCKER).await;
    played.says(1, &[]).await;
    let log = answer(200).set_body_string(docker_log());
    played.on("jobs/1/logs", log).await;
    let told = played.diagnosis().await;
    assert_eq!((told.stage, told.gaps), (Stage::Build, vec![]));
    assert!(told.dockerfile_step.is_some());
}

/// Serves a part, as the server of logs does.
struct Ranged(String);

impl Respond for Ranged {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let range = request
            .headers
            .get("range")
            .map(|value| value.to_str().unwrap());
        match range.and_then(|range| range.strip_prefix("bytes=")) {
            Some(range) => {
                let from: usize = range.trim_end_matches('-').parse().unwrap();
                answer(206).set_body_string(&self.0[from..])
            }
            None => answer(200).set_body_string(&self.0),
        }
    }
}

#[tokio::test]
async fn of_a_long_log_the_end_is_read_where_the_error_is() {
    let noise = "2026-11-21T02:00:15.0000000Z all is well here, and there is much of it to tell\n";
    let times = github::logs::MAX_LOG / noise.len() + 5000;
    let error = "2026-11-21T02:00:19.0000000Z ##[error]the very last line\n";
    let text = noise.repeat(times) + error;
    let played = Played::run("failure", DOCKER).await;
    played.says(1, &[]).await;
    played.log(1, Ranged(text.clone())).await;
    let told = played.diagnosis().await;
    assert_eq!(told.error_lines, ["the very last line"]);
    assert_eq!(told.gaps, [Gap::LogCut(Cut::Beginning)]);
    // One that has no parts to give: the beginning, and it is said.
    let played = Played::run("failure", DOCKER).await;
    played.says(1, &[]).await;
    played.log(1, answer(200).set_body_string(text)).await;
    let told = played.diagnosis().await;
    assert_eq!(told.gaps, [Gap::LogCut(Cut::End)]);
    assert!(!told.error_lines.contains(&"the very last line".to_owned()));
}

#[tokio::test]
async fn a_run_that_is_not_there_and_a_rate_limit_are_errors() {
    let played = Played(MockServer::start().await, None);
    let error = played.ask().await.unwrap_err();
    assert!(matches!(error, Error::NoRun { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "there is no run 42 in acme/shop, or the token may not see it"
    );
    assert!(error.hint().contains("actions: read"), "{}", error.hint());
    let played = Played(MockServer::start().await, None);
    played
        .on("runs/42", answer(429).insert_header("retry-after", "3600"))
        .await;
    let error = played.ask().await.unwrap_err();
    assert!(
        matches!(error, Error::GitHub(github::Error::RateLimited { .. })),
        "{error}"
    );
    let played = Played(MockServer::start().await, None);
    played
        .on("runs/42", answer(200).set_body_string("<html>"))
        .await;
    let error = played.ask().await.unwrap_err();
    assert!(
        matches!(error, Error::GitHub(github::Error::Malformed { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_run_in_progress_is_told_as_far_as_it_is() {
    let told = Played::run("-", "deploy running: Set up job ok; Deploy lost")
        .await
        .diagnosis()
        .await;
    assert_eq!(
        (told.stage, told.conclusion, told.job),
        (Stage::Unknown, None, None)
    );
    let played = Played::run(
        "-",
        "deploy running: Set up job ok; Smoke tests FAIL; Incident lost",
    )
    .await;
    played.says(1, &[]).await;
    played.on("jobs/1/logs", answer(404)).await;
    let told = played.diagnosis().await;
    assert_eq!(
        (told.stage, told.step.as_deref()),
        (Stage::Smoke, Some("Smoke tests"))
    );
    assert_eq!((told.ended, told.gaps), (None, vec![Gap::NoLog]));
    let well = Played::run("success", "deploy success: Set up job ok")
        .await
        .diagnosis()
        .await;
    assert_eq!(
        (well.stage, well.conclusion.as_deref()),
        (Stage::Unknown, Some("success"))
    );
}

#[tokio::test]
async fn who_cancelled_is_told_where_github_tells_it() {
    let cancelled = "deploy cancelled: Set up job ok; Deploy cancelled; Complete job ok";
    let ends = async |conclusion: &str, jobs: &str, messages: &[&str]| {
        let played = Played::run(conclusion, jobs).await;
        played.says(1, messages).await;
        played.on("jobs/1/logs", answer(410)).await;
        let told = played.diagnosis().await;
        (told.stage, told.ended, told.cancelled_by)
    };
    let by_user = [
        "The run was canceled by @octocat.",
        "The operation was canceled.",
    ];
    assert_eq!(
        ends("cancelled", cancelled, &by_user).await,
        (
            Stage::Deploy,
            Some(Ended::Cancelled),
            Some(CancelledBy::User("octocat".into()))
        )
    );
    let newer = ["Canceling since a higher priority waiting request for 'deploy-main' exists"];
    let group = Some("deploy-main".to_owned());
    assert_eq!(
        ends("cancelled", cancelled, &newer).await,
        (
            Stage::Deploy,
            Some(Ended::Cancelled),
            Some(CancelledBy::NewerRun { group })
        )
    );
    assert_eq!(
        ends("cancelled", cancelled, &[]).await,
        (Stage::Deploy, Some(Ended::Cancelled), None)
    );
    // A step of a run that failed may write what it likes.
    let failed = "deploy failure: Set up job ok; Deploy FAIL; Complete job ok";
    assert_eq!(
        ends("failure", failed, &by_user).await,
        (Stage::Deploy, None, None)
    );
    for said in [
        "waiting for rollout has timed out after 60s",
        "The hosted runner encountered an error while mocking",
        "The job was not started because of a joke",
    ] {
        let told = ends("failure", failed, &[said]).await;
        assert_eq!(told, (Stage::Deploy, None, None), "{said}");
    }
    let own = ["The action 'Deploy' has timed out after 10 minutes."];
    let told = ends("failure", failed, &own).await;
    assert_eq!(told, (Stage::Deploy, Some(Ended::TimedOut), None));
    // One of them is not GitHub's.
    let two = ["The run was canceled by @innocent.", by_user[0]];
    assert_eq!(
        ends("cancelled", cancelled, &two).await,
        (Stage::Deploy, Some(Ended::Cancelled), None)
    );
    // GitHub calls a job whose time was up cancelled.
    let late = [
        "The job running on runner GitHub Actions 2 has exceeded the maximum execution time of 30 minutes.",
        "The operation was canceled.",
    ];
    assert_eq!(
        ends("cancelled", cancelled, &late).await,
        (Stage::Deploy, Some(Ended::TimedOut), None)
    );
}

#[tokio::test]
async fn a_deployment_that_its_environment_rejects_is_told_so() {
    for said in [
        "The deployment was rejected or didn't satisfy other protection rules.",
        "Branch \"feature\" is not allowed to deploy to production due to environment protection rules.",
    ] {
        let played = Played::run("failure", "deploy failure").await;
        played.says(1, &[said]).await;
        let told = played.diagnosis().await;
        assert_eq!(told.ended, Some(Ended::Rejected), "{said}");
        assert_eq!(
            told.headline(),
            "deploy was rejected by a reviewer or the protection rules of its environment: job deploy"
        );
        assert_eq!(told.annotations[0].message, said);
        // A step can write the same.
        let played = Played::run("failure", "deploy failure: Set up job ok; Deploy FAIL").await;
        played.says(1, &[said]).await;
        assert_eq!(played.diagnosis().await.ended, None, "{said}");
    }
}

#[tokio::test]
async fn what_never_began_or_lost_its_runner_is_told_so() {
    let told = Played::run("startup_failure", "").await.diagnosis().await;
    assert_eq!(
        (told.stage, told.ended),
        (Stage::Unknown, Some(Ended::NotStarted))
    );
    assert_eq!(
        told.url.as_deref(),
        Some("https://github.com/acme/shop/actions/runs/42")
    );
    // There is no log to ask for.
    let played = Played::run("failure", "health-check failure").await;
    played
        .says(
            1,
            &["The job was not acquired by Runner of type hosted even after multiple attempts"],
        )
        .await;
    let told = played.diagnosis().await;
    assert_eq!(
        (told.stage, told.ended),
        (Stage::Health, Some(Ended::NoRunner))
    );
    assert!(told.gaps.is_empty(), "{:?}", told.gaps);
    // Nobody says why: no runner need be missing.
    let told = Played::run("failure", "deploy failure").await;
    told.says(1, &[]).await;
    let told = told.diagnosis().await;
    assert_eq!(told.ended, Some(Ended::NeverBegan));
    assert_eq!(
        told.headline(),
        "deploy ended before its first step: job deploy"
    );
    let played = Played::run(
        "failure",
        "deploy failure: Set up job ok; Deploy lost; Complete job open",
    )
    .await;
    played.says(1, &[]).await;
    played.on("jobs/1/logs", answer(404)).await;
    let told = played.diagnosis().await;
    assert_eq!(
        (told.step.as_deref(), told.ended),
        (Some("Deploy"), Some(Ended::RunnerLost))
    );
}

/// Whatever GitHub says is cut.
#[tokio::test]
async fn names_and_messages_are_bounded() {
    let long = "x".repeat(100_000);
    let played = Played::run(
        "failure",
        &format!("{long} failure: Set up job ok; Run {long} FAIL"),
    )
    .await;
    let messages: Vec<String> = (0..100)
        .map(|n| format!("{n} {}", &long[..10_000]))
        .collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    played.says(1, &messages).await;
    played.on("jobs/1/logs", answer(410)).await;
    let told = played.diagnosis().await;
    assert_eq!(told.annotations.len(), 100);
    let mut lengths = told.annotations.iter().map(|note| note.message.len());
    assert!(lengths.all(|length| length < 510));
    assert!(format!("{told:?}").len() < 70_000);
}

/// Each in one line.
#[tokio::test]
async fn a_diagnosis_has_a_headline() {
    let failed = Played::run("failure", DOCKER).await;
    failed.says(1, &[]).await;
    failed
        .log(1, answer(200).set_body_string(docker_log()))
        .await;
    let cancelled = Played::run(
        "cancelled",
        "deploy cancelled: Set up job ok; Deploy cancelled",
    )
    .await;
    cancelled
        .says(1, &["The run was canceled by @octocat."])
        .await;
    cancelled.on("jobs/1/logs", answer(404)).await;
    let taken = Played::run("failure", "main failure").await;
    taken
        .says(
            1,
            &["The job was not acquired by Runner of type hosted even after multiple attempts"],
        )
        .await;
    for (played, headline) in [
        (
            failed,
            "build failed: job build, step Build and push, Dockerfile step 4/7 of build, RUN npm ci --token ***",
        ),
        (
            cancelled,
            "deploy was cancelled by octocat: job deploy, step Deploy",
        ),
        (
            taken,
            "an unknown stage was not taken by a runner: job main",
        ),
        (
            Played::run("startup_failure", "").await,
            "run 42 was not started: GitHub cannot run the workflow file",
        ),
        (
            Played::run("-", "deploy running: Set up job lost").await,
            "run 42 goes on, and no job of it has failed",
        ),
        (
            Played::run("success", "deploy success: Set up job ok").await,
            "run 42 ended with success; no job of it failed",
        ),
    ] {
        assert_eq!(played.diagnosis().await.headline(), headline);
    }
}

//! `incident stage`: which stage of a run failed, and what says so.

use serde_json::{Value, json};

use crate::bed::{Bed, CANARY};
use crate::github::GitHub;

const RUN: [&str; 5] = ["stage", "--run", "42", "--repo", "acme/shop"];

/// A folder whose configuration has no `incident:`.
fn plain() -> Bed {
    let bed = Bed::new(&json!({}));
    bed.configure(&json!({"version": 1, "service": "shop"}));
    bed
}

fn json_of(github: &GitHub, bed: &Bed, code: i32) -> Value {
    let args = [&RUN[..], &["--format", "json"]].concat();
    serde_json::from_str(&github.run(bed, &args).code(code).stdout).unwrap()
}

#[tokio::test]
async fn each_stage_is_named_with_its_job_and_step() {
    for (job, stage) in [
        (
            "image failure: Run docker/build-push-action@v6 FAIL",
            "build",
        ),
        ("unit failure: Run pytest FAIL", "test"),
        (
            "publish failure: Run docker push ghcr.io/acme/shop FAIL",
            "image",
        ),
        ("deploy failure: Run alembic upgrade head FAIL", "migration"),
        (
            "deploy failure: Run kubectl set image deployment/shop FAIL",
            "deploy",
        ),
        ("deploy failure: Health checks FAIL", "health"),
        ("deploy failure: Smoke tests FAIL", "smoke"),
        ("deploy failure: Rollback FAIL", "rollback"),
    ] {
        let github = GitHub::with_run("failure", job).await;
        let bed = plain();
        let output = bed.path("output");
        std::fs::write(&output, "").unwrap();
        let mut command = github.command(&bed, &RUN);
        let ran = command.env("GITHUB_OUTPUT", &output).output().unwrap();
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        let text = String::from_utf8(ran.stdout).unwrap();
        assert!(text.contains(&format!("{stage} failed: job ")), "{text}");
        let outputs = std::fs::read_to_string(&output).unwrap();
        let (name, step) = job.split_once(" failure: ").unwrap();
        let step = step.trim_end_matches(" FAIL");
        for (key, value) in [
            ("failed-stage", stage),
            ("failed-job", name),
            ("failed-step", step),
        ] {
            assert!(
                outputs.contains(key) && outputs.contains(value),
                "{key} {value}: {outputs}"
            );
        }
    }
}

#[tokio::test]
async fn a_failed_build_names_the_step_of_the_dockerfile_and_the_first_error_lines() {
    let jobs = "build failure: Set up job ok; Build and push FAIL\ndeploy skipped\nlint failure: Set up job ok; Run npm ci ok; Run eslint . FAIL";
    let github = GitHub::with_run("failure", jobs).await;
    let log = format!(
        "##[group]Run docker/build-push-action@v6
        ##[endgroup]
        #10 [build 4/7] RUN npm ci
        #10 0.5 npm ERR! login as {CANARY} @channel
        \u{20}> [build 4/7] RUN npm ci:
        ##[error]buildx failed with: ERROR: failed to solve: exit code: 1"
    );
    github.log(1, 1, &log).await;
    github.says(1, &["no space left on device"]).await;
    let bed = plain();
    let told = github.run(&bed, &RUN).code(1);
    for part in [
        "build failed: job build, step Build and push, Dockerfile step 4/7 of build, RUN npm ci",
        "npm ERR! login as ***",
        "no space left on device",
        "test: job lint, step Run eslint .: failure",
        "https://github.com/acme/shop/actions/runs/42/job/1",
    ] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
    let report = json_of(&github, &bed, 1);
    assert_eq!(report["stage"], "incident");
    assert_eq!(report["verdict"], "fail");
    let mut failed = report["failed_run"].clone();
    assert!(failed["url"].as_str().unwrap().ends_with("/job/1"));
    failed.as_object_mut().unwrap().remove("url");
    assert_eq!(
        failed,
        json!({
            "run": 42, "attempt": 2, "conclusion": "failure", "stage": "build", "job": "build",
            "step": "Build and push", "other_steps": [],
            "dockerfile_step": {"number": 4, "of": 7, "stage": "build", "instruction": "RUN npm ci"},
            "ended": null, "cancelled_by": null,
            "error_lines": [
                "#10 0.5 npm ERR! login as *** @channel",
                "buildx failed with: ERROR: failed to solve: exit code: 1",
            ],
            "annotations": [
                {"level": "failure", "file": null, "line": null, "message": "no space left on device"},
            ],
            "other_jobs": [
                {"job": "lint", "step": "Run eslint .", "other_steps": [], "stage": "test", "conclusion": "failure"},
            ],
        })
    );
    let evidence = report["outcomes"][0]["measurements"][0]["evidence"].as_str();
    assert!(evidence.unwrap().contains("failed to solve"), "{report:#}");
    assert!(!format!("{}{report}", told.stdout).contains(CANARY));
}

#[tokio::test]
async fn of_a_large_matrix_each_job_and_each_annotation_is_told_or_counted() {
    let jobs = (1..=130).map(|n| format!("unit ({n}) failure: Run pytest FAIL\n"));
    let github = GitHub::with_run("failure", &jobs.collect::<String>()).await;
    let notes: Vec<String> = (1..=12).map(|n| format!("test {n} failed")).collect();
    let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
    github.says(1, &notes).await;
    let bed = plain();
    let told = github.run(&bed, &RUN).code(1).stdout;
    for part in [
        "129 more did not end well",
        "unit (21)",
        "and 109 more",
        "test 10 failed",
        "and 2 more",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("unit (22)"), "{told}");
    let failed = &json_of(&github, &bed, 1)["failed_run"];
    let count = |key: &str| failed[key].as_array().unwrap().len();
    assert_eq!((count("other_jobs"), count("annotations")), (129, 12));
    assert_eq!(failed["other_jobs"][128]["job"], "unit (130)");
}

#[tokio::test]
async fn who_cancelled_a_run_is_told() {
    let github = GitHub::with_run("cancelled", "deploy cancelled: Run ./deploy.sh cancelled").await;
    github.says(1, &["The run was canceled by @octocat."]).await;
    let told = github.run(&plain(), &RUN).code(1).stdout;
    assert!(
        told.contains("deploy was cancelled by octocat: job deploy"),
        "{told}"
    );
    let failed = &json_of(&github, &plain(), 1)["failed_run"];
    assert_eq!(
        json!([failed["stage"], failed["ended"], failed["cancelled_by"]]),
        json!(["deploy", "cancelled", "octocat"])
    );
}

#[tokio::test]
async fn a_run_without_a_failure_passes_and_one_that_goes_on_is_not_decided() {
    for (conclusion, jobs, code, told) in [
        (
            "success",
            "deploy success: Run ./deploy.sh ok",
            0,
            "run 42 ended with success",
        ),
        (
            "success",
            "deploy success: Run ./deploy.sh ok\nlint failure: Run eslint . FAIL",
            0,
            "run 42 ended with success",
        ),
        ("-", "deploy -: Run ./deploy.sh -", 3, "run 42 goes on"),
        ("startup_failure", "", 1, "was not started"),
        (
            "waiting",
            "unit success: Run pytest ok\ndeploy waiting",
            3,
            "run 42 waits for an approval",
        ),
        ("queued", "deploy queued", 3, "run 42 waits for a runner"),
        (
            "-",
            "unit success: Run pytest ok\ndeploy queued",
            3,
            "run 42 waits for a runner",
        ),
        (
            "pending",
            "",
            3,
            "run 42 waits for another run of its concurrency group",
        ),
        (
            "action_required",
            "",
            3,
            "a reviewer approves or rejects it",
        ),
        (
            "waiting",
            "unit failure: Run pytest FAIL\ndeploy waiting",
            1,
            "test failed: job unit",
        ),
    ] {
        let github = GitHub::with_run(conclusion, jobs).await;
        let bed = plain();
        let ran = github.run(&bed, &RUN).code(code);
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
        let report = json_of(&github, &bed, code);
        let is_named = report["failed_run"].is_object();
        assert_eq!(is_named, code == 1, "{report:#}");
        assert!(!bed.path(".deploy-guard").exists(), "nothing is written");
    }
}

/// The step that asks is in the job that failed, which has no log yet.
#[tokio::test]
async fn a_job_that_failed_and_still_runs_is_told_to_itself() {
    let jobs = "deploy -: Set up job ok; Health checks FAIL; Run incident stage -";
    let github = GitHub::with_run("-", jobs).await;
    let bed = plain();
    let mut command = github.command(&bed, &["stage"]);
    let ran = command
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_RUN_ID", "42")
        .env("GITHUB_RUN_ATTEMPT", "2")
        .output()
        .unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{told}");
    assert!(
        told.contains("health failed: job deploy, step Health checks"),
        "{told}"
    );
    assert!(told.contains("GitHub has no log of the job"), "{told}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_an_error_that_names_the_next_step() {
    let (github, bed) = (GitHub::start().await, plain());
    let none = github.run(&bed, &RUN).code(4);
    assert!(
        none.stderr.contains("there is no run 42 in acme/shop"),
        "{}",
        none.stderr
    );
    assert!(!none.stderr.contains(CANARY), "{}", none.stderr);
    let again = [&RUN[..], &["--attempt", "9"]].concat();
    let none = github.run(&bed, &again).code(4).stderr;
    assert!(none.contains("there is no attempt 9 of run 42"), "{none}");
    let gone = GitHub::start().await;
    gone.on("runs/42", 410, json!({"message": "Gone"})).await;
    let gone = gone.run(&bed, &RUN).code(4).stderr;
    assert!(gone.contains("a deleted run"), "{gone}");
    let mut command = bed.command(&RUN);
    let down = command
        .env("GITHUB_API_URL", "http://127.0.0.1:9")
        .output()
        .unwrap();
    let told = String::from_utf8(down.stderr).unwrap();
    assert_eq!(down.status.code(), Some(4), "{told}");
    assert!(told.contains("GitHub could not be reached"), "{told}");
    for (args, told) in [
        (&["stage"][..], "--repo OWNER/NAME"),
        (
            &["stage", "--repo", "acme/shop"],
            "--run ID`; `gh run list --repo acme/shop",
        ),
        (&["stage", "--format", "xml"], "text, json"),
        (&["stage", "--run", "42"], "--repo OWNER/NAME"),
        (&["stage", "--run", "latest"], "the address of its page"),
        (&["stage", "--run", "42", "--repo", "shop"], "OWNER/NAME"),
        (&["stage", "--attempt", "0"], "0"),
    ] {
        let ran = bed.run(args).code(2);
        assert!(ran.stderr.contains(told), "{args:?}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn outside_of_a_repository_no_configuration_is_needed() {
    let github = GitHub::with_run("failure", "unit failure: Run pytest FAIL").await;
    github.log(1, 0, &format!("Error: login as {CANARY}")).await;
    let bed = plain();
    std::fs::remove_file(bed.path("deploy-guard.yml")).unwrap();
    let told = github.run(&bed, &RUN).code(1);
    assert!(
        told.stdout.contains("test failed: job unit"),
        "{}",
        told.stdout
    );
    assert!(told.stdout.contains("login as ***"), "{}", told.stdout);
}

#[tokio::test]
async fn the_address_of_a_page_names_the_run_and_an_open_incident_stays_as_it_is() {
    let github = GitHub::with_run("failure", "unit failure: Run pytest FAIL").await;
    let bed = Bed::new(&json!({}));
    bed.run(&["open", "--release", "v2", "slow"]).code(0);
    let before = bed.events();
    let page = "https://github.com/acme/shop/actions/runs/42/job/1";
    let told = github.run(&bed, &["stage", "--run", page]).code(1).stdout;
    assert!(
        told.contains("test failed: job unit, step Run pytest"),
        "{told}"
    );
    assert_eq!(bed.events(), before);
}

/// `if: always()`: the first is the cause, and each other is named.
#[tokio::test]
async fn each_step_that_failed_is_told_and_the_first_is_the_cause() {
    let github = GitHub::with_run(
        "failure",
        "deploy failure: Set up ok; Run pytest FAIL; Collect logs FAIL; Upload report FAIL; Complete job ok\n\
         lint failure: Set up ok; Check out ok; Cache ok; Run ruff FAIL; Upload lint FAIL",
    )
    .await;
    let bed = plain();
    let text = github.run(&bed, &RUN).code(1).stdout;
    for told in [
        "test failed: job deploy, step Run pytest",
        "failed, too: step Collect logs; step Upload report",
        "job lint, step Run ruff, step Upload lint: failure",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let run = &json_of(&github, &bed, 1)["failed_run"];
    assert_eq!(run["step"], "Run pytest");
    assert_eq!(run["other_steps"], json!(["Collect logs", "Upload report"]));
    assert_eq!(run["other_jobs"][0]["other_steps"], json!(["Upload lint"]));

    // Bounded for people, and whole as data.
    let steps: Vec<String> = (0..15).map(|nth| format!("Upload {nth} FAIL")).collect();
    let job = format!("deploy failure: Run pytest FAIL; {}", steps.join("; "));
    let github = GitHub::with_run("failure", &job).await;
    let text = github.run(&bed, &RUN).code(1).stdout;
    assert!(text.contains("step Upload 9; and 5 more"), "{text}");
    let run = &json_of(&github, &bed, 1)["failed_run"];
    assert_eq!(run["other_steps"].as_array().unwrap().len(), 15);
}

#[test]
fn a_repository_that_is_mistyped_is_our_callers_and_not_githubs() {
    let ran = plain()
        .run(&["stage", "--repo", "acme", "--run", "1"])
        .code(2);
    assert!(
        ran.stderr
            .contains("`acme` is not the name of a repository"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("GitHub's answer"), "{}", ran.stderr);
}

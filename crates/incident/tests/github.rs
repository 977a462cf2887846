//! GitHub, as far as the stage asks it: a run with its jobs and logs, and issues.

use std::process::Command;

use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::bed::{Bed, CANARY, Ran};

pub(crate) struct GitHub(MockServer);

/// `build failure: Set up job ok; Run make FAIL`: a job, how it ended (`-`: it runs), and its steps.
fn job(line: &str, id: usize) -> Value {
    let (head, steps) = line.split_once(": ").unwrap_or((line, ""));
    let (name, conclusion) = head.rsplit_once(' ').unwrap();
    let steps = steps.split("; ").filter(|step| !step.is_empty());
    let steps = steps.enumerate().map(|(nth, step)| {
        let (name, word) = step.rsplit_once(' ').unwrap();
        let word = match word {
            "ok" => "success",
            "FAIL" => "failure",
            "skip" => "skipped",
            other => other,
        };
        json!({
            "name": name, "status": status(word), "conclusion": ended(word),
            "started_at": at(nth), "completed_at": at(nth + 1),
        })
    });
    let steps: Vec<Value> = steps.collect();
    let has_runner = !steps.is_empty();
    json!({
        "id": id, "name": name, "status": status(conclusion), "conclusion": ended(conclusion),
        "started_at": at(0), "completed_at": at(9), "steps": steps,
        "runner_name": if has_runner { "GitHub Actions 2" } else { "" },
        "html_url": format!("https://github.com/acme/shop/actions/runs/42/job/{id}"),
    })
}

/// GitHub's two words for `-`, for what waits, and for how something ended.
fn status(word: &str) -> &str {
    match word {
        "-" => "in_progress",
        "waiting" | "queued" | "pending" => word,
        _ => "completed",
    }
}

fn ended(word: &str) -> Option<&str> {
    (status(word) == "completed").then_some(word)
}

/// A step begins each minute.
fn at(minute: usize) -> String {
    format!("2026-11-21T02:{minute:02}:00Z")
}

impl GitHub {
    pub(crate) async fn start() -> GitHub {
        GitHub(MockServer::start().await)
    }

    /// Run 42 of acme/shop, which ended so (`-`: it goes on; `waiting`, `queued`, `pending`: it waits), with these jobs.
    pub(crate) async fn with_run(conclusion: &str, jobs: &str) -> GitHub {
        let github = GitHub::start().await;
        let run = json!({
            "id": 42, "run_attempt": 2, "html_url": "https://github.com/acme/shop/actions/runs/42",
            "status": status(conclusion), "conclusion": ended(conclusion),
        });
        let lines = jobs.lines().map(str::trim).filter(|line| !line.is_empty());
        let jobs: Vec<Value> = lines.zip(1..).map(|(line, id)| job(line, id)).collect();
        for place in ["runs/42", "runs/42/attempts/2"] {
            github.on(place, 200, run.clone()).await;
        }
        // As GitHub does, a hundred at once.
        for page in 1..=jobs.len().div_ceil(100).max(1) {
            let some: Vec<&Value> = jobs.iter().skip((page - 1) * 100).take(100).collect();
            let answer = json!({"total_count": jobs.len(), "jobs": some});
            Mock::given(method("GET"))
                .and(path("/repos/acme/shop/actions/runs/42/attempts/2/jobs"))
                .and(query_param("page", page.to_string()))
                .respond_with(ResponseTemplate::new(200).set_body_json(answer))
                .mount(&github.0)
                .await;
        }
        github
    }

    pub(crate) async fn on(&self, place: &str, status: u16, body: Value) {
        Mock::given(method("GET"))
            .and(path(format!("/repos/acme/shop/actions/{place}")))
            .respond_with(ResponseTemplate::new(status).set_body_json(body))
            .mount(&self.0)
            .await;
    }

    /// What GitHub's page of the job shows above its log.
    pub(crate) async fn says(&self, job: usize, messages: &[&str]) {
        let note = |message: &&str| json!({"path": ".github", "start_line": 1, "annotation_level": "failure", "message": message});
        let notes: Vec<Value> = messages.iter().map(note).collect();
        Mock::given(path(format!(
            "/repos/acme/shop/check-runs/{job}/annotations"
        )))
        .respond_with(ResponseTemplate::new(200).set_body_json(notes))
        .mount(&self.0)
        .await;
    }

    /// The log of a job, all of it from the minute of one step.
    pub(crate) async fn log(&self, job: usize, step: usize, lines: &str) {
        let minute = &at(step)[..17];
        let lines = lines.lines().map(str::trim_start);
        let lines = lines.map(|line| format!("{minute}30.0000000Z {line}"));
        let text = lines.collect::<Vec<_>>().join("\n");
        let kept = format!("/kept/{job}");
        let moved = ResponseTemplate::new(302).insert_header(
            "location",
            format!("{}{kept}?sig={CANARY}", self.0.uri()).as_str(),
        );
        Mock::given(path(format!("/repos/acme/shop/actions/jobs/{job}/logs")))
            .respond_with(moved)
            .mount(&self.0)
            .await;
        Mock::given(path(kept))
            .respond_with(ResponseTemplate::new(200).set_body_string(text))
            .mount(&self.0)
            .await;
    }

    /// Issues that can be written, of which the repository has these.
    pub(crate) async fn with_issues(issues: Value) -> GitHub {
        let github = GitHub::start().await;
        let issues = ResponseTemplate::new(200).set_body_json(issues);
        let place = "/repos/acme/shop/issues";
        for (verb, place, answer) in [
            ("GET", place.to_owned(), issues),
            ("POST", place.to_owned(), made(7)),
            ("PATCH", format!("{place}/7"), made(7)),
        ] {
            Mock::given(method(verb))
                .and(path(place))
                .respond_with(answer)
                .mount(&github.0)
                .await;
        }
        github
    }

    /// What was written: the method, the path, and the body.
    pub(crate) async fn written(&self) -> Vec<(String, String, Value)> {
        let requests = self.0.received_requests().await.unwrap();
        let writes = requests
            .iter()
            .filter(|request: &&Request| request.method.as_str() != "GET");
        let parts = |request: &Request| {
            let body = serde_json::from_slice(&request.body).unwrap_or_default();
            let place = request.url.path().to_owned();
            (request.method.to_string(), place, body)
        };
        writes.map(parts).collect()
    }

    pub(crate) fn command(&self, bed: &Bed, args: &[&str]) -> Command {
        let mut command = bed.command(args);
        command
            .env("GITHUB_API_URL", self.0.uri())
            .env("GITHUB_TOKEN", CANARY);
        command
    }

    pub(crate) fn run(&self, bed: &Bed, args: &[&str]) -> Ran {
        Ran::of(&self.command(bed, args).output().unwrap())
    }
}

fn made(number: u64) -> ResponseTemplate {
    let body = json!({"number": number, "state": "open"});
    ResponseTemplate::new(201).set_body_json(body)
}

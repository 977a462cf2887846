//! A folder with a configuration, a host with runners as services, and a GitHub that lists them.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::SystemdHost;
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// What a runner's service prints when it is connected.
pub(crate) const LISTENS: &str = "[Service]\nExecStart=/bin/sh -c 'echo \"√ Connected to GitHub\"; \
    sleep 0.2; echo \"Listening for Jobs\"; exec sleep 1000000'\n";

/// A service's name, as GitHub's installer makes it.
pub(crate) fn unit(runner: &str) -> String {
    format!("actions.runner.acme-shop.{runner}.service")
}

pub(crate) fn host(runners: &[(&str, &str)]) -> Arc<SystemdHost> {
    let units: Vec<(String, &str)> = runners
        .iter()
        .map(|(name, text)| (unit(name), *text))
        .collect();
    let units: Vec<(&str, &str)> = units
        .iter()
        .map(|(name, text)| (name.as_str(), *text))
        .collect();
    Arc::new(SystemdHost::start(&units))
}

/// Starts a runner's service, and waits until its journal tells that it listens: the journal is
/// behind the service by a moment.
pub(crate) fn start(host: &SystemdHost, runner: &str) {
    let unit = unit(runner);
    host.must(&["systemctl", "start", &unit]);
    let listens = || {
        host.must(&["journalctl", "-q", "-u", &unit, "--no-pager"])
            .contains("Listening for Jobs")
    };
    assert!(
        testkit::wait_until(std::time::Duration::from_secs(20), listens),
        "{unit} does not listen"
    );
}

pub(crate) fn listed(runners: &[Value]) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"total_count": runners.len(), "runners": runners}))
}

pub(crate) fn runner(id: usize, name: &str, status: &str, busy: bool, labels: &[&str]) -> Value {
    let labels: Vec<Value> = labels.iter().map(|name| json!({"name": name})).collect();
    json!({"id": id, "name": name, "os": "linux", "status": status, "busy": busy, "labels": labels})
}

pub(crate) async fn list(server: &MockServer, answer: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path("/repos/acme/shop/actions/runners"))
        .respond_with(answer)
        .mount(server)
        .await;
}

/// A GitHub that lists each runner as online while its service runs.
pub(crate) async fn honest(
    server: &MockServer,
    host: &Arc<SystemdHost>,
    runners: &[(&str, &[&str])],
) {
    let runners: Vec<(String, Vec<String>)> = runners
        .iter()
        .map(|(name, labels)| {
            (
                name.to_string(),
                labels.iter().map(ToString::to_string).collect(),
            )
        })
        .collect();
    // Mock servers are kept for the next test; the host ends with its own.
    let host = Arc::downgrade(host);
    Mock::given(method("GET"))
        .and(path("/repos/acme/shop/actions/runners"))
        .respond_with(move |_: &Request| {
            let all: Vec<Value> = runners
                .iter()
                .enumerate()
                .map(|(id, (name, labels))| {
                    let is_active = ["systemctl", "is-active", &unit(name)];
                    let active = host
                        .upgrade()
                        .is_some_and(|host| host.exec(&is_active).status.success());
                    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                    runner(
                        id,
                        name,
                        if active { "online" } else { "offline" },
                        false,
                        &labels,
                    )
                })
                .collect();
            listed(&all)
        })
        .mount(server)
        .await;
}

/// Runs of each status, with one job each.
pub(crate) async fn jobs(server: &MockServer, jobs: &[Value]) {
    jobs_of(server, "acme/shop", jobs).await;
}

/// The same, of any repository.
pub(crate) async fn jobs_of(server: &MockServer, repository: &str, jobs: &[Value]) {
    for status in ["queued", "in_progress", "completed"] {
        let ids = jobs
            .iter()
            .enumerate()
            .filter(|(_, job)| job["status"] == status);
        let runs: Vec<Value> = ids.map(|(id, _)| json!({"id": id})).collect();
        Mock::given(method("GET"))
            .and(path(format!("/repos/{repository}/actions/runs")))
            .and(wiremock::matchers::query_param("status", status))
            .respond_with(
                ResponseTemplate::new(200)
                    .set_body_json(json!({"total_count": runs.len(), "workflow_runs": runs})),
            )
            .mount(server)
            .await;
    }
    for (id, job) in jobs.iter().enumerate() {
        Mock::given(method("GET"))
            .and(path_regex(format!(
                "^/repos/{repository}/actions/runs/{id}/jobs$"
            )))
            .respond_with(
                ResponseTemplate::new(200).set_body_json(json!({"total_count": 1, "jobs": [job]})),
            )
            .mount(server)
            .await;
    }
}

/// A job that entered its status this many minutes ago.
pub(crate) fn job(status: &str, labels: &[&str], runner: Option<&str>, minutes: i64) -> Value {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
    let done = (status == "completed").then(|| at.to_string());
    json!({"id": 7, "name": "deploy", "status": status, "labels": labels, "runner_name": runner,
        "created_at": at.to_string(), "started_at": at.to_string(), "completed_at": done})
}

/// A folder with `deploy-guard.yml`, and what a step would have in its environment.
pub(crate) struct Folder {
    folder: TempDir,
    api: String,
}

impl Folder {
    pub(crate) fn new(server: &MockServer, config: &str) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
        Folder {
            folder,
            api: server.uri(),
        }
    }

    /// The same, with `hosts:` for this host before the rest.
    pub(crate) fn with_host(server: &MockServer, host: &SystemdHost, config: &str) -> Folder {
        let text = format!(
            "version: 1\nhosts:\n  runner-01: {{ address: 127.0.0.1, port: {}, user: root, key-file: {}, known-hosts: known_hosts }}\n{config}",
            host.port(),
            host.key().display(),
        );
        let folder = Folder::new(server, &text);
        std::fs::write(
            folder.path().join("known_hosts"),
            host.known_hosts_for("127.0.0.1"),
        )
        .unwrap();
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The binary's exit code, and all that it wrote.
    pub(crate) async fn run(&self, args: &[&str]) -> (i32, String) {
        let mut command = testkit::bin("runner-check");
        command
            .args(args)
            .current_dir(self.path())
            .env("GITHUB_API_URL", &self.api)
            .env("GITHUB_TOKEN", "t0ken-value")
            .env("GITHUB_REPOSITORY", "acme/shop")
            .env("GITHUB_OUTPUT", self.path().join("output"))
            .env("GITHUB_STEP_SUMMARY", self.path().join("summary"));
        // On a thread of its own: the mock server answers on this one.
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    }

    /// A file that the binary wrote for the workflow.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }
}

/// Fails with the whole text, which shows more than the missing part.
#[track_caller]
pub(crate) fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

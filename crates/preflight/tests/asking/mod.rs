//! `preflight` in front of a GitHub that answers what a test wants.

use serde_json::Value;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(crate) const SHA: &str = "1234567890123456789012345678901234567890";

/// What `preflight` wrote, everywhere, and its exit code.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) summary: String,
}

impl Ran {
    /// The outcome that is meant, whole by contract: expected, actual, reason and hint.
    pub(crate) fn outcome(&self, id: &str) -> &Value {
        let outcome = self.json["outcomes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|outcome| outcome["id"] == id)
            .unwrap_or_else(|| panic!("no {id} in {}", self.text));
        let mut keys = vec!["expected", "actual"];
        if outcome["verdict"] != "pass" {
            keys.extend(["reason", "hint"]);
        }
        for key in keys {
            assert!(outcome[key].is_string(), "{id} has no {key}: {outcome}");
        }
        outcome
    }
}

pub(crate) async fn preflight(server: &MockServer, section: &str) -> Ran {
    preflight_with(server, section, &[]).await
}

pub(crate) async fn preflight_with(
    server: &MockServer,
    section: &str,
    env: &[(&str, &str)],
) -> Ran {
    let config = format!("version: 1\npreflight:\n  deadline: 20s\n{section}");
    preflight_file(server, &config, &[], env).await
}

/// With a whole configuration file and arguments.
pub(crate) async fn preflight_file(
    server: &MockServer,
    config: &str,
    args: &[&str],
    env: &[(&str, &str)],
) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let mut command = testkit::bin("preflight");
    command
        .current_dir(folder.path())
        .args(["--report", "report.json", "--summary", "summary.md"])
        .args(args)
        .env("GITHUB_API_URL", server.uri())
        .env("GITHUB_TOKEN", "t0ken-value")
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_RUN_ID", "77")
        .env("GITHUB_SHA", SHA)
        .envs(env.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name));
    let report = read("report.json").unwrap_or_else(|_| panic!("no report: {text}"));
    for all in [&text, &report] {
        assert!(!all.contains("t0ken-value"), "{all}");
    }
    Ran {
        code: output.status.code().unwrap(),
        json: serde_json::from_str(&report).unwrap(),
        summary: read("summary.md").unwrap(),
        text,
    }
}

pub(crate) async fn answer(server: &MockServer, at: &str, body: Value) {
    Mock::given(method("GET"))
        .and(path(at))
        .respond_with(ResponseTemplate::new(200).set_body_json(body))
        .mount(server)
        .await;
}

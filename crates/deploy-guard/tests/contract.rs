//! What every binary promises, tried on every binary.

use std::path::Path;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::Value;

/// Each binary with arguments that make it read the configuration.
const BINARIES: &[(&str, &[&str])] = &[
    ("preflight", &[]),
    ("runner-check", &["--labels", "a", "--repo", "a/b"]),
    ("healthgate", &[]),
    ("rollback", &["status"]),
    ("deploy-guard", &["preflight"]),
    ("deploy-guard", &["runner-check", "--labels", "a"]),
    ("deploy-guard", &["healthgate"]),
    ("deploy-guard", &["rollback", "run"]),
    ("deploy-guard", &["run", "--release", "v1"]),
];

#[test]
fn a_typo_anywhere_stops_every_binary_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".github")).unwrap();
    let text = "version: 1\nhealthgate:\n  policy:\n    faliure-limit: 2\n";
    for place in [".github/deploy-guard.yml", "deploy-guard.yml"] {
        std::fs::write(folder.path().join(place), text).unwrap();
        for (binary, args) in BINARIES {
            testkit::bin(binary)
                .current_dir(folder.path())
                .args(*args)
                .assert()
                .code(2)
                .stdout("")
                .stderr(
                    contains(format!("{place}:4:5")).and(contains("did you mean `failure-limit`?")),
                );
        }
    }
}

/// The value of a step's output in a file.
fn output(file: &str, name: &str) -> String {
    let mut lines = file.lines();
    let start = format!("{name}<<");
    let end = lines.find_map(|line| line.strip_prefix(&start));
    let end = end.unwrap_or_else(|| panic!("no `{name}`: {file}"));
    let value: Vec<_> = lines.take_while(|line| *line != end).collect();
    value.join("\n")
}

#[test]
fn every_stage_gives_its_reason_to_later_steps() {
    let text = "version: 1
github: { api-url: \"http://127.0.0.1:1\" }
healthgate:
  policy: { interval: 10ms, failure-limit: 0, deadline: 10s }
  tcp: [{ name: port, address: \"127.0.0.1:1\" }]
rollback: { state: state.json, command: { run: \"true\", current: echo v0 } }
deploy: { command: \"true\" }
";
    for (binary, args) in [
        (
            "preflight",
            &["--release", "v1", "--secret", "A_SECRET"][..],
        ),
        ("runner-check", &["--labels", "a", "--repo", "a/b"]),
        ("healthgate", &["--release", "v1"]),
        ("rollback", &["status"]),
        ("rollback", &["run"]),
        ("rollback", &["record", "--release", "v1"]),
        ("deploy-guard", &["run", "--release", "v1"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("deploy-guard.yml"), text).unwrap();
        let outputs = folder.path().join("outputs");
        let ran = testkit::bin(binary)
            .current_dir(folder.path())
            .args(args)
            .args(["--format", "json"])
            .env("A_SECRET", "x1y2z3")
            .env("GITHUB_TOKEN", "ghs_none")
            .env("GITHUB_OUTPUT", &outputs)
            .output()
            .unwrap();
        let stdout = String::from_utf8(ran.stdout).unwrap();
        let stderr = String::from_utf8(ran.stderr).unwrap();
        let report: Value = serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("{binary} {args:?}: {error}: {stderr}"));
        let file = std::fs::read_to_string(&outputs).unwrap();
        let reason = output(&file, "reason");
        assert!(!reason.is_empty(), "{binary} {args:?}: {file}");
        assert_eq!(report["reason"], reason.as_str(), "{binary} {args:?}");
        assert_eq!(report["verdict"], output(&file, "verdict").as_str());
    }
    let action = std::fs::read_to_string(testkit::workspace().join("action.yml")).unwrap();
    assert!(action.contains("\n  reason:\n"), "an output of the Action");
}

#[test]
fn every_binary_tells_its_version_and_refuses_unknown_flags() {
    for binary in [
        "preflight",
        "runner-check",
        "healthgate",
        "traffic",
        "migrate",
        "incident",
        "rollback",
        "deploy-guard",
    ] {
        testkit::bin(binary)
            .arg("--version")
            .assert()
            .code(0)
            .stdout(contains("0.1.0"));
        testkit::bin(binary)
            .arg("--no-such-flag")
            .assert()
            .code(2)
            .stdout("");
    }
}

#[test]
fn releases_that_could_be_mistaken_are_refused() {
    for release in ["-v1", "a\nb", "", &"x".repeat(300)] {
        let code = testkit::bin("preflight")
            .args(["--secret", "A", &format!("--release={release}")])
            .env("A", "x")
            .output()
            .unwrap()
            .status
            .code();
        assert_eq!(code, Some(2), "{release:?}");
    }
}

#[test]
fn the_committed_schemas_and_pages_are_current() {
    let root = testkit::workspace();
    for (path, text) in deploy_guard::generate::files(deploy_guard::command()) {
        let committed = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
        assert!(
            committed == text,
            "{path} is not current: run `cargo xtask generate`"
        );
    }
}

#[test]
fn each_schema_is_printed_as_it_is_committed() {
    for (name, file) in [
        ("config", "deploy-guard"),
        ("report", "report"),
        ("state", "state"),
    ] {
        let path = testkit::workspace().join(format!("schema/{file}.schema.json"));
        let committed = std::fs::read_to_string(path).unwrap();
        let printed = testkit::bin("deploy-guard").args(["schema", name]).assert();
        printed.code(0).stdout(committed);
    }
}

fn validator(name: &str) -> jsonschema::Validator {
    let path = testkit::workspace().join("schema").join(name);
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_demo_keeps_its_promises_and_its_files_fit_their_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("demo");
    let output = testkit::bin("deploy-guard")
        .args(["demo", "--format", "json", "--keep"])
        .arg(&kept)
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let demo: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(demo["passed"], true);
    assert!(demo["restoration_ms"].as_u64().unwrap() < 2000);
    assert!(demo["detection_ms"].as_u64().unwrap() > 0);
    assert!(demo["canary_ms"].as_u64().unwrap() < 30_000);
    let reports = validator("report.schema.json");
    for (name, report) in demo["reports"].as_object().unwrap() {
        assert!(reports.is_valid(report), "{name}: {report}");
    }
    assert!(validator("state.schema.json").is_valid(&read(&kept.join("state.json"))));
    let summary = std::fs::read_to_string(kept.join("summary-v2.md")).unwrap();
    assert!(
        summary.starts_with("## ❌ v2 failed its gate; v1 is back and verified after ")
            && summary.contains("<b>healthgate</b>: fail")
            && summary.contains("gantt"),
        "{summary}"
    );
    // A second demo does not write over the first.
    testkit::bin("deploy-guard")
        .arg("demo")
        .arg("--keep")
        .arg(&kept)
        .assert()
        .code(4);
}

#[test]
fn the_examples_fit_the_schema_of_the_configuration() {
    let schema = validator("deploy-guard.schema.json");
    let example = serde_json::json!({
        "version": 1,
        "healthgate": {"policy": {"deadline": "2m"}, "http": [{"name": "a", "url": "http://a/", "status": [200]}]},
        "rollback": {"state": "s", "command": {"run": "x"}},
        "environments": {"staging": {"healthgate": {"policy": {"deadline": "30s"}}}},
    });
    assert!(schema.is_valid(&example));
    let mut typo = example.clone();
    typo["healthgate"]["polcy"] = Value::Null;
    assert!(!schema.is_valid(&typo));
    typo = example.clone();
    typo["environments"]["staging"]["healthgate"]["polcy"] = Value::Null;
    assert!(!schema.is_valid(&typo));
    // A variable may stand for each value, and an environment may have a part of a section.
    for (at, value) in [
        (
            "/healthgate/policy/deadline",
            serde_json::json!("${DEADLINE}"),
        ),
        ("/healthgate/http/0/url", serde_json::json!("${URL}")),
        (
            "/environments/staging",
            serde_json::json!({"rollback": {"window": "24h"}, "preflight": null}),
        ),
        ("/environments/staging", Value::Null),
    ] {
        let mut changed = example.clone();
        *changed.pointer_mut(at).unwrap() = value;
        assert!(schema.is_valid(&changed), "{at}: {changed}");
    }
    let mut changed = example;
    changed["healthgate"]["policy"]["success-threshold"] = "${TIMES}".into();
    changed["x-own"] = serde_json::json!([1]);
    assert!(schema.is_valid(&changed), "{changed}");
    let id = serde_json::to_value(config::file_schema()).unwrap()["$id"].clone();
    assert_eq!(id, config::SCHEMA_URL);
}

#[test]
fn each_kind_of_check_and_probe_has_an_example_that_loads() {
    use deploy_guard::generate::checks::{HEALTHGATE, PREFLIGHT, kinds};
    let schema = config::schema();
    for (stage, section, args, code) in [
        ("preflight", PREFLIGHT, "list", 0),
        // Skips alone do not decide.
        ("healthgate", HEALTHGATE, "--dry-run", 3),
    ] {
        let mut found = 0;
        for (kind, _) in kinds(schema.as_value(), section) {
            let example = testkit::workspace().join(section.example(kind));
            testkit::bin(stage)
                .args([args, "--release", "v1.2.4", "--only", kind, "--config"])
                .arg(example)
                .assert()
                .code(code)
                .stdout(contains(format!("{kind}/")));
            found += 1;
        }
        assert!(found > 4, "{stage}: {found}");
    }
}

#[test]
fn each_target_and_pool_has_an_example_that_is_about_it() {
    use deploy_guard::generate::checks::{INCIDENT, ROLLBACK, RUNNER_CHECK, TRAFFIC, kinds};
    let schema = config::schema();
    let mut found = Vec::new();
    for section in [ROLLBACK, RUNNER_CHECK, TRAFFIC, INCIDENT] {
        for (kind, _) in kinds(schema.as_value(), section) {
            let path = testkit::workspace().join(section.example(kind));
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(text.contains(&format!("\n  {kind}:")), "{path:?}");
            found.push(kind.as_str());
        }
    }
    assert_eq!(
        found,
        [
            "command",
            "compose",
            "ecs",
            "haproxy",
            "nginx",
            "systemd",
            "workflow",
            "emergency",
            "pools",
            "alb",
            "caddy",
            "command",
            "haproxy",
            "nginx",
            "email",
            "github-deployment",
            "github-issue",
            "pagerduty",
            "slack",
            "stdout",
            "teams",
            "webhook"
        ]
    );
}

/// Every configuration that users may copy, read as the binaries read it.
#[test]
fn every_example_is_a_configuration_that_loads() {
    let env = model::Env::default();
    let schema = validator("deploy-guard.schema.json");
    let mut folders = vec![testkit::workspace().join("examples")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if path.extension().is_none_or(|extension| extension != "yml")
                || !text.lines().any(|line| line == "version: 1")
            {
                continue;
            }
            let read = config::load(config::Request {
                fetch: None,
                path: Some(&path),
                folder: &folder,
                environment: None,
                variables: config::Variables {
                    env: &env,
                    release: Some("v1.2.4"),
                },
            });
            assert!(read.is_ok(), "{path:?}: {}", read.err().unwrap().error);
            let json: Value = yaml::Node::parse(&text).unwrap().decode().unwrap();
            let errors: Vec<_> = schema
                .iter_errors(&json)
                .map(|error| error.to_string())
                .collect();
            assert!(errors.is_empty(), "{path:?}: {errors:#?}");
            found += 1;
        }
    }
    assert!(found > 40, "{found}");
}

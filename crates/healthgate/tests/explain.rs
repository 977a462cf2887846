//! A report as a story for people.

use std::path::{Path, PathBuf};
use std::time::Duration;

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::{contains, is_match};
use serde_json::{Value, json};
use testkit::Shop;

/// The report of a real gate over this URL.
fn report(folder: &Path, url: &str, args: &[&str]) -> PathBuf {
    let path = folder.join("report.json");
    testkit::bin("healthgate")
        .args(["--http", url, "--interval", "50ms", "--deadline", "20s"])
        .args(args)
        .arg("--report")
        .arg(&path)
        .output()
        .unwrap();
    path
}

fn explain(file: impl AsRef<std::ffi::OsStr>) -> assert_cmd::assert::Assert {
    // Without a configuration that holds: a story needs none.
    testkit::bin("healthgate")
        .env("DEPLOY_GUARD_CONFIG", "/no/such/file.yml")
        .arg("explain")
        .arg(file)
        .assert()
}

fn told(report: &Value) -> assert_cmd::assert::Assert {
    testkit::bin("healthgate")
        .args(["explain", "-"])
        .write_stdin(report.to_string())
        .assert()
}

#[test]
fn a_failure_in_the_soak_is_told_from_the_first_answer_to_the_decision() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let url = shop.url("/health/ready");
    let breaking = {
        let started = std::time::Instant::now();
        move |shop: &Shop| {
            // Long after the threshold, also on a busy machine.
            testkit::wait_until(Duration::from_secs(20), || shop.requests() > 8);
            shop.set_health("no database", 503);
            started.elapsed()
        }
    };
    let path = std::thread::scope(|scope| {
        scope.spawn(|| breaking(&shop));
        report(folder.path(), &url, &["--soak", "60s", "--release", "v1"])
    });
    explain(&path)
        .code(0)
        .stdout(is_match(r"^healthgate for release v1: fail\n").unwrap())
        .stdout(contains("every 50ms, each answer within 5s; 3 successes in a row pass; to pass within 20s, then to soak 1m with 0 failed at most."))
        .stdout(is_match(r"The verdict fell at \+\S+ \(\d\d:\d\d:\d\d\.\d{3}\), at http/127").unwrap())
        .stdout(is_match(r"\n +\+\d+\S*  \S+  first measurement: pass 200 \(took \d+ms\)\n").unwrap())
        .stdout(contains("threshold reached: 3 successes in a row; the soak of 1m begins"))
        .stdout(contains("first failure: fail 503, status 503"))
        .stdout(is_match(r"decided by measurement \d+: fail: failed while soaking \(1\) > soak-failure-limit \(0\)").unwrap())
        .stdout(contains("what was answered at the first failure:\n    | ").and(contains("no database")))
        .stdout(contains("what was answered at the last success:\n"))
        .stdout(contains("hint: try it: curl"));
}

#[test]
fn a_recovery_is_told_and_so_is_a_start_that_takes_its_time() {
    let shop = Shop::start("v1");
    shop.set_health("starting", 503);
    let folder = tempfile::tempdir().unwrap();
    let url = shop.url("/health/ready");
    let path = std::thread::scope(|scope| {
        scope.spawn(|| {
            testkit::wait_until(Duration::from_secs(20), || shop.requests() > 3);
            shop.set_health("healthy", 200);
        });
        report(
            folder.path(),
            &url,
            &["--startup", "15s", "--failure-limit", "0"],
        )
    });
    explain(&path)
        .code(0)
        .stdout(contains("first measurement: fail 503, status 503"))
        .stdout(contains(
            "it is still starting: this failure does not count",
        ))
        .stdout(is_match(r"recovered after \d+ measurements: pass 200").unwrap())
        .stdout(is_match(r"decided by measurement \d+: pass: successes in a row \(3\)").unwrap());
}

#[test]
fn what_nobody_answered_or_asked_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let closed = format!("http://127.0.0.1:{}/", testkit::free_port());
    explain(report(folder.path(), &closed, &["--failure-limit", "1"]))
        .code(0)
        .stdout(contains("first measurement: fail connection refused"))
        .stdout(contains(
            "decided by measurement 2: fail: failed (2) > failure-limit (1)",
        ));
    explain(report(folder.path(), &closed, &["--dry-run"]))
        .code(0)
        .stdout(contains("0 things were measured, 1 skipped"))
        .stdout(contains("dry run: not checked"));
    let shop = Shop::start("");
    explain(report(folder.path(), &shop.url("/"), &["--release", "v2"]))
        .code(0)
        .stdout(contains("for release v2: inconclusive"))
        .stdout(contains("at release/identity: no answer names its release"));
}

#[test]
fn json_tells_the_same() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let path = report(folder.path(), &shop.url("/"), &[]);
    let output = testkit::bin("healthgate")
        .args(["explain", "--format", "json"])
        .arg(path)
        .output()
        .unwrap();
    let story: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(story["schema"], "deploy-guard/story/v1");
    assert_eq!(story["verdict"], "pass");
    let turns = story["chapters"][0]["turns"].as_array().unwrap();
    let last = turns.last().unwrap()["text"].as_str().unwrap();
    assert!(last.starts_with("decided by measurement 3: pass"), "{last}");
}

/// A report of another stage, with what `change` does to it.
fn preflight(change: impl FnOnce(&mut Value)) -> Value {
    let outcome = json!({"id": "images/backend", "subject": "acme/shop:v1", "verdict": "fail",
        "severity": "required", "expected": "the tag", "actual": "no such tag", "reason": "no such tag",
        "hint": "push it", "duration_ms": 20, "measurements": []});
    let mut report = json!({"schema": "deploy-guard/report/v1", "stage": "preflight", "service": "shop",
        "environment": null, "verdict": "fail", "reason": "images/backend: no such tag", "score": 4.5,
        "release": null, "started_at": "2026-11-21T02:45:49.120Z", "duration_ms": 1234,
        "outcomes": [outcome], "context": {"tool_version": "0.1.0", "repository": "acme/shop",
        "sha": "0123456789abcdef", "run_id": "7", "run_attempt": 2, "actor": "ann"}});
    change(&mut report);
    report
}

#[test]
fn a_report_of_another_stage_is_told_as_far_as_it_goes() {
    told(&preflight(|report| {
        report["new-key-of-a-later-tool"] = json!(1);
    }))
    .code(0)
    .stdout(contains("preflight of shop: fail\n"))
    .stdout(contains("began 2026-11-21T02:45:49.120Z and took 1.2s"))
    .stdout(contains(
        "in run 7, attempt 2 of acme/shop at 0123456789ab.",
    ))
    .stdout(contains("The score was 4.5 of 10."))
    .stdout(contains("decided by images/backend: no such tag"))
    .stdout(contains("expected the tag").and(contains("hint: push it")));
    let many = preflight(|report| {
        let one = report["outcomes"][0].clone();
        report["outcomes"] = json!(vec![one; 5000]);
    });
    let shown = told(&many)
        .code(0)
        .stdout(contains("4980 more: 4980 fail."));
    assert!(shown.get_output().stdout.len() < 20_000);
}

#[test]
fn a_group_tells_which_endpoints_did_not_pass() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let targets = folder.path().join("targets");
    let closed = testkit::free_port();
    std::fs::write(
        &targets,
        format!("127.0.0.1:{}\n127.0.0.1:{closed}\n", shop.port()),
    )
    .unwrap();
    let config = json!({"version": 1, "healthgate": {"policy": {"interval": "50ms", "failure-limit": 1},
        "http": [{"name": "fleet", "url": "http://{target}/", "targets-file": targets}]}});
    let path = folder.path().join("deploy-guard.yml");
    std::fs::write(&path, config.to_string()).unwrap();
    let report = folder.path().join("report.json");
    let args = [path.as_os_str(), "--report".as_ref(), report.as_os_str()];
    testkit::bin("healthgate")
        .arg("--config")
        .args(args)
        .assert()
        .code(1);
    explain(&report)
        .code(0)
        .stdout(contains("of 2 endpoints passed, 2 wanted; 1 failed"))
        .stdout(contains(format!("127.0.0.1:{closed}: fail: ")))
        .stdout(contains("decided: fail: "));
}

#[test]
fn hostile_text_cannot_drive_the_terminal_and_odd_numbers_are_refused() {
    let evil = "x\u{1b}[2J\r\n::error::y\u{202e}";
    told(&preflight(|report| {
        for key in ["stage", "service", "reason"] {
            report[key] = json!(evil);
        }
        for key in ["id", "subject", "expected", "reason", "hint"] {
            report["outcomes"][0][key] = json!(evil);
        }
    }))
    .code(0)
    .stdout(
        contains("\u{1b}")
            .or(contains("\n::"))
            .or(contains("\u{202e}"))
            .not(),
    );
    let policy = |ms: u64| {
        json!({"initial_delay_ms": ms, "interval_ms": 0, "timeout_ms": 1, "success_threshold": 0,
        "failure_limit": null, "startup_ms": 0, "error_limit": 0, "inconclusive_limit": 0, "min_samples": 0,
        "deadline_ms": 0, "soak_ms": 0, "soak_failure_limit": "x"})
    };
    let measured = json!([{"at": "-009999-01-02T01:59:59Z", "verdict": "fail", "value": null, "duration_ms": 1},
        {"at": "9999-12-30T22:00:00Z", "verdict": "skipped", "value": null, "duration_ms": 1}]);
    told(&preflight(|report| {
        report["policy"] = policy(0);
        report["outcomes"][0]["measurements"] = measured.clone();
    }))
    .code(0);
    let refused = |reason: &str, key: &str, value: Value| {
        told(&preflight(|report| report[key] = value.clone()))
            .code(2)
            .stderr(contains("is damaged").and(contains(reason.to_owned())));
    };
    refused("longer than a year", "duration_ms", json!(u64::MAX));
    refused("longer than a year", "policy", policy(u64::MAX));
    refused("is not a time", "started_at", json!("yesterday"));
    refused("unknown variant", "verdict", json!("maybe"));
}

#[test]
fn what_is_no_report_is_said_in_so_many_words() {
    let whole = preflight(|_| ()).to_string();
    let deep = format!("{{\"schema\": {}", "[".repeat(100_000));
    for (text, reason) in [
        ("", "stdin is empty"),
        ("not json", "stdin is not JSON: expected ident at line 1"),
        ("[1]", "stdin is not a report"),
        ("{}", "stdin is not a report: it names no schema"),
        (
            r#"{"schema": "acme/v1"}"#,
            "stdin is not a report: its schema is `acme/v1`",
        ),
        (
            r#"{"schema": "deploy-guard/report/v2"}"#,
            "has the schema `deploy-guard/report/v2`; this is deploy-guard/report/v1",
        ),
        (
            r#"{"schema": "deploy-guard/report/v1"}"#,
            "is damaged: missing field `stage`",
        ),
        (&whole[..whole.len() / 2], "stdin ends in the middle"),
        (&deep, "stdin is not JSON: recursion limit exceeded"),
    ] {
        testkit::bin("healthgate")
            .args(["explain", "-"])
            .write_stdin(text)
            .assert()
            .code(2)
            .stdout("")
            .stderr(contains(reason).and(contains("\nhint: ")));
    }
    let folder = tempfile::tempdir().unwrap();
    explain(folder.path())
        .code(2)
        .stderr(contains("Is a directory"));
    explain("/no/such/report.json")
        .code(2)
        .stderr(contains("No such file").and(contains("--report FILE")));
    explain("/dev/zero")
        .code(2)
        .stderr(contains("larger than 256 MiB"));
}

#[test]
fn each_probe_is_decided_when_it_was_and_not_when_the_gate_was() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "version: 1
healthgate:
  policy: {{ interval: 50ms }}
  http:
    - {{ name: late, url: \"{url}\", policy: {{ soak: 2s }} }}
    - {{ name: early, url: \"{url}\" }}
",
        url = shop.url("/")
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    testkit::bin("healthgate")
        .current_dir(folder.path())
        .args(["--report", "report.json"])
        .assert()
        .code(0);
    let path = folder.path().join("report.json");
    let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let took = |n: usize| report["outcomes"][n]["duration_ms"].as_u64().unwrap();
    assert!(took(0) >= 2000 && took(1) + 1000 < took(0), "{report:#}");
    explain(&path)
        .stdout(is_match(r"The verdict fell at \+\d+(\.\d)?s \(.*, at http/late").unwrap())
        .stdout(is_match(r"\+\d+ms  \S+  decided by measurement 3: pass").unwrap());
}

/// Nothing of it would be written: a flag that promises a file is refused, a variable that is meant
/// for the other steps of a job is not.
#[test]
fn a_pause_of_our_own_is_told_as_ours_and_not_as_a_silence() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let mut command = std::process::Command::new(testkit::bin_path("healthgate"));
    let gate = testkit::clear_environment(&mut command)
        .args(["--http", &shop.url("/"), "--interval", "100ms"])
        .args(["--success-threshold", "25", "--deadline", "20s", "--report"])
        .arg(&path)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let kill = |signal: &str| {
        let pid = gate.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([signal, &pid])
            .status();
        assert!(sent.unwrap().success());
    };
    testkit::wait_until(Duration::from_secs(20), || shop.requests() > 4);
    kill("-STOP");
    std::thread::sleep(Duration::from_millis(1_500));
    kill("-CONT");
    let ended = gate.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let longest = report["pauses"].as_array().unwrap().iter();
    let longest = longest
        .map(|pause| pause["duration_ms"].as_u64().unwrap())
        .max();
    assert!(
        longest.is_some_and(|ms| (1_300..10_000).contains(&ms)),
        "{report}"
    );
    explain(&path)
        .code(0)
        .stdout(contains("The gate itself was stopped "))
        .stdout(contains("Nothing of that time counts against the service"))
        .stdout(
            is_match("the gate itself was stopped for 1\\.[3-9]s: nothing was measured").unwrap(),
        )
        .stdout(contains("first failure").not());
    // A report may come from elsewhere: an impossible pause in it is refused.
    let mut odd = report.clone();
    for (at, ms, says) in [
        ("yesterday", 5, "is not a time"),
        ("2026-11-21T02:45:49Z", u64::MAX, "longer than a year"),
    ] {
        odd["pauses"] = json!([{"at": at, "duration_ms": ms}]);
        told(&odd).code(2).stderr(contains(says));
    }
    odd["pauses"] = json!([{"at": "1999-01-01T00:00:00Z", "duration_ms": 5}, {"at": "9999-01-01T00:00:00Z", "duration_ms": 7}]);
    told(&odd).code(0).stdout(contains("stopped 2 times"));
}

#[test]
fn hg_explain_options_that_promise_a_file_are_refused() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let path = report(folder.path(), &shop.url("/"), &[]);
    for flag in ["--html", "--summary", "--report"] {
        for args in [
            vec![
                "explain".as_ref(),
                path.as_os_str(),
                flag.as_ref(),
                "out".as_ref(),
            ],
            vec![
                flag.as_ref(),
                "out".as_ref(),
                "explain".as_ref(),
                path.as_os_str(),
            ],
        ] {
            testkit::bin("healthgate")
                .current_dir(folder.path())
                .args(args)
                .assert()
                .code(2)
                .stdout("")
                .stderr(contains(format!("`{flag}` has no effect here")));
        }
    }
    explain(&path).code(0);
    testkit::bin("healthgate")
        .env("DEPLOY_GUARD_SUMMARY", folder.path().join("out"))
        .arg("explain")
        .arg(&path)
        .assert()
        .code(0);
    assert!(!folder.path().join("out").exists());
}

//! The gate as a user runs it.

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use testkit::Shop;

/// The real binary with short times.
fn gate(url: &str, args: &[&str]) -> assert_cmd::Command {
    let mut command = testkit::bin("healthgate");
    command
        .args(["--http", url, "--interval", "30ms", "--deadline", "3s"])
        .args(args);
    command
}

fn report(command: &mut assert_cmd::Command) -> serde_json::Value {
    let output = command.args(["--format", "json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn three_good_answers_in_a_row_pass() {
    let shop = Shop::start("v1");
    gate(&shop.url("/health/ready"), &[])
        .assert()
        .code(0)
        .stdout(contains("pass"));
    let report = report(&mut gate(&shop.url("/health/ready"), &["--release", "v1"]));
    assert_eq!(report["verdict"], "pass");
    assert_eq!(
        report["outcomes"][0]["measurements"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(report["outcomes"][0]["actual"], "status 200, release v1");
}

#[test]
fn two_hundred_from_another_release_fails_and_names_both() {
    let shop = Shop::start("v1");
    let report = report(&mut gate(
        &shop.url("/"),
        &["--release", "v2", "--failure-limit", "2"],
    ));
    assert_eq!(report["verdict"], "fail");
    let reason = report["reason"].as_str().unwrap();
    assert!(
        reason.contains("failed (3) > failure-limit (2)"),
        "{reason}"
    );
    assert!(
        reason.contains("release v1 answers, expected v2"),
        "{reason}"
    );
    gate(&shop.url("/"), &["--release", "v2", "--failure-limit", "0"])
        .assert()
        .code(1);
}

#[test]
fn a_release_that_nobody_names_is_no_pass() {
    let server = testkit::Shop::start("");
    gate(&server.url("/"), &["--release", "v2"])
        .assert()
        .code(3)
        .stdout(contains("no answer names its release").and(contains("--release-jq")));
}

#[test]
fn the_telling_measurements_keep_the_answers_head() {
    let shop = Shop::start("v1");
    shop.set_health("c4nary-in-the-body", 503);
    let url = shop.url("/health/ready");
    let report =
        report(gate(&url, &["--failure-limit", "3"]).args(["--header", "X: c4nary-in-the-body"]));
    let kept: Vec<_> = report["outcomes"][0]["measurements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|measurement| measurement["evidence"].as_str())
        .collect();
    assert!(
        matches!(kept[..], [Some(_), None, None, Some(_)]),
        "{kept:?}"
    );
    let head = kept[0].unwrap();
    assert!(
        head.starts_with("HTTP/1.1 503\n") && head.contains("content-type: "),
        "{head}"
    );
    assert!(
        head.contains("{\"status\":\"***\"") && !head.contains("c4nary"),
        "{head}"
    );
}

#[test]
fn conditions_are_told_with_expected_and_actual() {
    let shop = Shop::start("v1");
    shop.set_health("degraded", 200);
    let url = shop.url("/health/ready");
    for (args, reason) in [
        (
            &["--jq", ".status == \"healthy\""][..],
            "the jq condition gives false",
        ),
        (&["--status", "204"], "status 200"),
        (&["--body-regex", "^fine$"], "the body does not match"),
        (&["--max-body", "3"], "larger than max-body (3 bytes)"),
    ] {
        gate(&url, args)
            .args(["--failure-limit", "0"])
            .assert()
            .code(1)
            .stdout(contains(reason));
    }
    shop.set_delay(std::time::Duration::from_millis(120));
    gate(&url, &["--max-latency", "50ms", "--failure-limit", "0"])
        .assert()
        .code(1)
        .stdout(contains("> max-latency (50ms)"));
    gate(&url, &["--timeout", "40ms", "--failure-limit", "0"])
        .assert()
        .code(1)
        .stdout(contains("no complete answer within 40ms"));
}

#[test]
fn nobody_listening_is_a_failure_of_the_service() {
    let url = format!("http://127.0.0.1:{}/", testkit::free_port());
    gate(&url, &["--failure-limit", "1"])
        .assert()
        .code(1)
        .stdout(contains(
            "failed (2) > failure-limit (1): connection refused",
        ));
    gate("http://no-such-name.invalid/", &["--failure-limit", "0"])
        .assert()
        .code(1)
        .stdout(contains("does not resolve"));
}

#[test]
fn localhost_may_be_served_on_one_of_its_addresses() {
    let shop = Shop::start("v1");
    gate(
        &format!("http://localhost:{}/", shop.port()),
        &["--release", "v1"],
    )
    .assert()
    .code(0);
}

#[test]
fn json_is_one_document_and_nothing_else() {
    let shop = Shop::start("v1");
    let output = gate(&shop.url("/"), &["--format", "json", "-v"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with('{') && text.ends_with("}\n"), "{text}");
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
}

/// Literally in the file, and in a flag.
#[test]
fn hg_userinfo_leak_a_password_in_a_url_reaches_no_output() {
    let port = testkit::free_port();
    let url = format!("http://robot:p4ss-0f-url@127.0.0.1:{port}/");
    let section = format!("  http: [{{ name: x, url: '{url}' }}]\n");
    for flag in [false, true] {
        let outputs = ["report.json", "page.html", "summary.md"];
        let folder = tempfile::tempdir().unwrap();
        let mut command = testkit::bin("healthgate");
        command.current_dir(folder.path());
        if flag {
            command.args(["--http", &url, "--interval", "20ms", "--deadline", "5s"]);
        } else {
            let config = format!(
                "version: 1\nhealthgate:\n  policy: {{ interval: 20ms, failure-limit: 1, deadline: 5s }}\n{section}"
            );
            std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
        }
        let output = command
            .args(["--report", outputs[0], "--html", outputs[1]])
            .args(["--summary", outputs[2]])
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let mut all = vec![text];
        all.extend(outputs.map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap()));
        for text in all {
            assert!(text.contains("127.0.0.1"), "{text}");
            assert!(!text.contains("p4ss-0f-url"), "{text}");
        }
    }
}

#[test]
fn report_and_summary_are_written() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    gate(&shop.url("/"), &["--release", "v2", "--failure-limit", "1"])
        .arg("--report")
        .arg(path("report.json"))
        .env("GITHUB_STEP_SUMMARY", path("summary.md"))
        .env("GITHUB_OUTPUT", path("output"))
        .env("GITHUB_ACTIONS", "true")
        .assert()
        .code(1)
        .stderr(contains("::error title=healthgate http/"));
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path("report.json")).unwrap()).unwrap();
    assert_eq!(report["schema"], "deploy-guard/report/v1");
    let summary = std::fs::read_to_string(path("summary.md")).unwrap();
    assert!(summary.starts_with("## ❌ healthgate: fail"), "{summary}");
    assert!(summary.contains(": fail ✗✗</summary>"), "{summary}");
    assert!(summary.contains("**First failure** (fail)"), "{summary}");
    let output = std::fs::read_to_string(path("output")).unwrap();
    assert!(
        output.contains("verdict<<") && output.contains("\nfail\n"),
        "{output}"
    );
    gate(&shop.url("/"), &["--report", "/no/such/folder/report.json"])
        .assert()
        .code(2)
        .stderr(contains("cannot write the report"));
}

#[test]
fn a_signal_ends_the_gate_with_its_report() {
    let folder = tempfile::tempdir().unwrap();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let path = folder.path().join(signal);
        let mut command = std::process::Command::new(testkit::bin_path("healthgate"));
        let mut child = testkit::clear_environment(&mut command)
            .args([
                "--http",
                "http://127.0.0.1:9/",
                "--interval",
                "50ms",
                "--deadline",
                "60s",
                "-q",
            ])
            .arg("--report")
            .arg(&path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        let started = std::time::Instant::now();
        let pid = child.id().to_string();
        std::process::Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(started.elapsed() < std::time::Duration::from_secs(2));
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(report["verdict"], "inconclusive");
        assert!(
            !report["outcomes"][0]["measurements"]
                .as_array()
                .unwrap()
                .is_empty()
        );
    }
}

#[test]
fn variables_stand_for_flags_and_an_empty_one_for_none() {
    let shop = Shop::start("v1");
    testkit::bin("healthgate")
        .env("DEPLOY_GUARD_HTTP", shop.url("/"))
        .env("DEPLOY_GUARD_INTERVAL", "30ms")
        .env("DEPLOY_GUARD_RELEASE", "")
        .env("DEPLOY_GUARD_CONFIG", "")
        // What a workflow hands over for a boolean input: text, and not empty.
        .env("DEPLOY_GUARD_DRY_RUN", "false")
        .env("DEPLOY_GUARD_WATCH", "false")
        .assert()
        .code(0)
        .stdout(
            contains("successes in a row")
                .not()
                .and(contains("status 200")),
        );
    testkit::bin("healthgate")
        .assert()
        .code(2)
        .stderr(contains("pass `--http URL`"));
}

#[test]
fn a_header_given_by_flag_reaches_the_server_and_no_output() {
    let canary = "c4nary-h34der-value";
    let url = format!("http://127.0.0.1:{}/?echo={canary}", testkit::free_port());
    let output = gate(&url, &["--failure-limit", "0", "-vv"])
        .args(["--header", &format!("Authorization: Bearer {canary}")])
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&text).contains(canary));
}

#[test]
fn a_probe_that_is_asked_for_and_not_there_is_no_pass() {
    let shop = Shop::start("v1");
    let id = format!("http/{}", shop.address());
    let only = |ids: &[&str]| {
        let mut command = gate(&shop.url("/"), &["--format", "json"]);
        for id in ids {
            command.args(["--only", id]);
        }
        command.assert()
    };
    only(&[&id]).code(0);
    only(&[&id, "http/raedy"])
        .code(3)
        .stdout(contains("`--only http/raedy` fits no probe"));
}

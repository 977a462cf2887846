//! When the gate measures, when it is decided, and how it is stopped.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::Shop;

fn run(config: &str, args: &[&str]) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deploy-guard.yml");
    fs::write(&path, config).unwrap();
    let output = testkit::bin("healthgate")
        .arg("--config")
        .arg(&path)
        .args(["--format", "json"])
        .args(args)
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

fn outcome<'r>(report: &'r Value, id: &str) -> &'r Value {
    let outcomes = report["outcomes"].as_array().unwrap();
    outcomes.iter().find(|one| one["id"] == id).unwrap()
}

/// When the measurements were started, in milliseconds since the first.
fn starts(outcome: &Value) -> Vec<i64> {
    let at = |measurement: &Value| {
        let at: jiff::Timestamp = measurement["at"].as_str().unwrap().parse().unwrap();
        at.as_millisecond()
    };
    let all: Vec<_> = outcome["measurements"]
        .as_array()
        .unwrap()
        .iter()
        .map(at)
        .collect();
    all.iter().map(|at| at - all[0]).collect()
}

#[test]
fn the_schedule_does_not_drift_and_a_slow_probe_delays_nobody() {
    let (fast, slow) = (Shop::start("v1"), Shop::start("v1"));
    fast.set_delay(Duration::from_millis(60));
    slow.set_delay(Duration::from_millis(350));
    let (code, report) = run(
        &format!(
            "version: 1
healthgate:
  policy: {{ interval: 200ms, min-samples: 15 }}
  http:
    - {{ name: fast, url: \"{}\" }}
    - {{ name: slow, url: \"{}\", policy: {{ min-samples: 4 }} }}
",
            fast.url("/"),
            slow.url("/")
        ),
        &[],
    );
    assert_eq!(code, 0, "{report:#}");
    for (id, every) in [("http/fast", 200), ("http/slow", 400)] {
        let starts = starts(outcome(&report, id));
        // Slept between answers, they would drift through the whole interval. A busy machine may
        // start some late, and leave out slots.
        let off = |start: &&i64| (*start + 40) % every > 100;
        let wrong = starts.iter().filter(off).count();
        assert!(wrong * 4 <= starts.len(), "{id}: {starts:?}");
    }
}

#[test]
fn the_gate_fails_with_its_first_required_probe() {
    let shop = Shop::start("v1");
    let config = format!(
        "version: 1
healthgate:
  policy: {{ interval: 100ms, deadline: 60s }}
  http:
    - {{ name: long, url: \"{}\", policy: {{ min-samples: 500 }} }}
    - {{ name: down, url: \"http://127.0.0.1:{}/\", policy: {{ failure-limit: 1 }} }}
",
        shop.url("/"),
        testkit::free_port()
    );
    let started = Instant::now();
    let (code, report) = run(&config, &[]);
    assert_eq!(code, 1);
    assert!(started.elapsed() < Duration::from_secs(20));
    let long = outcome(&report, "http/long");
    assert_eq!(long["verdict"], "inconclusive");
    let reason = long["reason"].as_str().unwrap();
    assert!(
        reason.contains("not decided when http/down had failed"),
        "{reason}"
    );
    // An advisory probe does not decide.
    let advisory = config.replace(
        "failure-limit: 1 }",
        "failure-limit: 1 }, severity: advisory",
    );
    let advisory = advisory.replace("min-samples: 500", "min-samples: 5");
    let (code, report) = run(&advisory, &[]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(outcome(&report, "http/down")["verdict"], "fail");
}

#[test]
fn what_cannot_pass_any_more_is_not_waited_for() {
    let url = format!("http://127.0.0.1:{}/", testkit::free_port());
    let started = Instant::now();
    let output = testkit::bin("healthgate")
        .args(["--http", &url, "--interval", "30s", "--deadline", "80s"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(started.elapsed() < Duration::from_secs(20));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(
            "can no longer pass: needs 3 more successes, only 2 fit before the deadline (1m 20s)"
        ),
        "{text}"
    );
}

#[test]
fn a_soak_may_have_failures_within_its_budget() {
    let shop = Shop::start("v1");
    shop.fail_one_in(Some(5));
    let soak = |limit: &str| {
        let url = shop.url("/");
        let args = [
            "--success-threshold",
            "1",
            "--soak",
            "2s",
            "--soak-failure-limit",
            limit,
        ];
        let mut command = testkit::bin("healthgate");
        command.args(["--http", &url, "--interval", "40ms", "--format", "json"]);
        let output = command.args(args).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), report["reason"].to_string())
    };
    let (code, reason) = soak("50%");
    assert_eq!(code, 0, "{reason}");
    let (code, reason) = soak("2%");
    assert_eq!(code, 1);
    assert!(reason.contains("> soak-failure-limit (2%)"), "{reason}");
}

fn start(report: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(testkit::bin_path("healthgate"));
    testkit::clear_environment(&mut command)
        .args(args)
        .args(["-q", "--report"])
        .arg(report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Sends the signal and gives the exit code, how long it took, and the report.
fn stop(mut child: Child, signal: &str, report: &Path) -> (Option<i32>, Duration, Value) {
    let started = Instant::now();
    let pid = child.id().to_string();
    Command::new("kill")
        .args(["-s", signal, &pid])
        .status()
        .unwrap();
    let code = child.wait().unwrap().code();
    let report = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    (code, started.elapsed(), report)
}

/// Long enough for a measurement to be under way on a busy machine.
const UNDER_WAY: Duration = Duration::from_millis(1500);

#[test]
fn a_probe_that_hangs_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    // Accepts connections and never answers.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", mute.local_addr().unwrap());
    let shop = Shop::start("v1");
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let path = folder.path().join(signal);
        let good = shop.url("/");
        let args = [
            "--http",
            &url,
            "--http",
            &good,
            "--timeout",
            "50s",
            "--interval",
            "100ms",
        ];
        let child = start(&path, &args);
        thread::sleep(UNDER_WAY);
        let (ended, took, report) = stop(child, signal, &path);
        assert_eq!(ended, Some(code));
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(report["verdict"], "inconclusive");
        let verdicts: Vec<_> = report["outcomes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["verdict"].as_str().unwrap())
            .collect();
        // A decision is final.
        assert_eq!(verdicts, ["inconclusive", "pass"]);
        let reason = report["reason"].as_str().unwrap();
        assert!(
            reason.contains("interrupted after 0 measurements"),
            "{reason}"
        );
    }
}

#[test]
fn a_watch_goes_on_until_interrupted_and_keeps_the_worst() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let shop = Shop::start("v1");
    let url = shop.url("/health/ready");
    let args = ["--http", &url, "--interval", "50ms", "--watch"];
    let child = start(&path, &args);
    thread::sleep(UNDER_WAY);
    let (code, _, report) = stop(child, "INT", &path);
    assert_eq!(code, Some(130));
    assert_eq!(report["verdict"], "pass", "{report:#}");
    assert!(starts(&report["outcomes"][0]).len() > 5);

    let child = start(&path, &args);
    thread::sleep(UNDER_WAY);
    shop.set_health("degraded", 503);
    thread::sleep(Duration::from_millis(500));
    // Healthy again: it did not hold all the same.
    shop.set_health("healthy", 200);
    thread::sleep(Duration::from_millis(500));
    let (code, _, report) = stop(child, "TERM", &path);
    assert_eq!(code, Some(143));
    assert_eq!(report["verdict"], "fail");
    let reason = report["reason"].as_str().unwrap();
    assert!(
        reason.contains("failed while soaking (1) > soak-failure-limit (0)"),
        "{reason}"
    );
    let last = report["outcomes"][0]["measurements"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(last["verdict"], "pass");
}

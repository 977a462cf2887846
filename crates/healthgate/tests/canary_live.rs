//! Two versions of a service behind a real nginx, at 10:90, under load, and a real Prometheus that
//! scrapes them each second.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use testkit::{Load, Nginx, Prometheus, Shop, Sshd, wait_until};

use crate::gating::{Ran, gate};

/// The canary with a tenth of the requests, and the instances of stable.
struct Bed {
    canary: Shop,
    nginx: Nginx,
    prometheus: Prometheus,
    _stable: Vec<Shop>,
    _load: Load,
}

impl Bed {
    /// `change` is made to the canary before the first request.
    fn new(instances: u32, change: impl Fn(&Shop)) -> Bed {
        let canary = Shop::start("v2");
        change(&canary);
        let stable: Vec<Shop> = (0..instances).map(|_| Shop::start("v1")).collect();
        let weight = 9 / instances;
        let mut servers = String::new();
        for shop in &stable {
            let _ = writeln!(servers, "    server {} weight={weight};", shop.address());
        }
        let nginx = Nginx::start(&canary.address());
        nginx.read(&format!(
            "upstream shop {{\n    server {} weight=1;\n{servers}    keepalive 64;\n}}\n",
            canary.address()
        ));
        let load = Load::on(nginx.port(), 600);
        let mut targets = vec![(canary.address(), "release: v2".to_owned())];
        targets.extend(
            stable
                .iter()
                .map(|shop| (shop.address(), "release: v1".to_owned())),
        );
        let prometheus = Prometheus::watching(&targets);
        Bed {
            canary,
            nginx,
            prometheus,
            _stable: stable,
            _load: load,
        }
    }

    /// `healthgate` with these keys of the canary, and more of the section.
    fn gate(&self, keys: &str, more: &str, args: &[&str]) -> Ran {
        let deadline = if keys.contains("deadline") {
            ""
        } else {
            "deadline: 100s, "
        };
        let section = format!(
            "  canary: {{ server: '{}', label: release, interval: 1s, {deadline}{keys} }}\n{more}",
            self.prometheus.url()
        );
        gate(&section)
            .env("LAST_KNOWN_GOOD", "v1")
            .args(&["--release", "v2"])
            .args(args)
            .run()
    }
}

const ERRORS: &str = "{ name: errors, kind: ratio, tolerance: 1.5, at-most: 2% }";
const LATENCY: &str = "{ name: latency, kind: histogram, tolerance: 1.5, at-most: 2% }";
const FAILURES: &str = "{ name: failures, kind: count, query: 'http_requests_total{ {side},status=~\"5..\"}', total: 'http_requests_total{ {side} }' }";

/// One request in five fails: that ends the gate, also what still waited.
#[test]
fn a_share_of_failures_is_found_and_ends_the_gate() {
    let bed = Bed::new(9, |canary| canary.fail_one_in(Some(5)));
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.jsonl");
    let soaking = format!(
        "  tcp: [{{ name: soaking, address: '127.0.0.1:{}', policy: {{ soak: 300s, deadline: 400s }} }}]\n  release-identity: optional\n",
        bed.nginx.port()
    );
    let metrics = format!("metrics: [{ERRORS}, {LATENCY}]");
    let ran = bed
        .gate(
            &metrics,
            &soaking,
            &["--record-trace", trace.to_str().unwrap()],
        )
        .code(1);
    let outcome = ran.ends("canary/errors", "fail", "");
    assert!(
        outcome["actual"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    let other = ran.outcome("tcp/soaking");
    let reason = other["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("not decided when canary/errors had failed"),
        "{reason}"
    );
    let lines = std::fs::read_to_string(&trace).unwrap();
    let intervals = outcome["measurements"].as_array().map(Vec::len);
    assert_eq!(Some(lines.lines().count()), intervals, "{lines}");
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let stable = line["metrics"]["errors"]["stable"].as_array().map(Vec::len);
        assert_eq!(stable, Some(9), "{line}");
    }
    // Offline, from what was recorded, the verdict is the same to the last digit.
    let section =
        format!("  canary: {{ interval: 1s, deadline: 100s, metrics: [{ERRORS}, {LATENCY}] }}\n");
    let again = gate(&section).args(&["judge", trace.to_str().unwrap()]);
    let again = again.run().code(1);
    let repeated = &again.json["outcomes"][0];
    assert_eq!(
        (&repeated["reason"], &repeated["actual"]),
        (&outcome["reason"], &outcome["actual"])
    );
    let measured = |outcome: &Value| outcome["measurements"].as_array().map(Vec::len);
    assert_eq!(measured(repeated), measured(outcome));
}

/// The traffic that a plan reckons with is that of the last half hour, by failures, events and buckets.
#[test]
fn a_plan_asks_for_the_traffic_of_failures_of_events_and_of_buckets() {
    let bed = Bed::new(1, |canary| canary.fail_one_in(Some(5)));
    let section = format!(
        "  canary: {{ server: '{}', label: release, interval: 1s, deadline: 100s, metrics: [{ERRORS}, {LATENCY}, {FAILURES}] }}\n",
        bed.prometheus.url()
    );
    let plan = || gate(&section).args(&["plan", "--share", "25%"]).run();
    // 600 a second, for some seconds: divided by half an hour, they would be some hundred a minute.
    let is_known = || {
        let ran = plan();
        let planned = &ran.outcome("plan/errors/25%")["planned"];
        planned["error_rate"].as_f64() > Some(0.0)
            && planned["requests_per_minute"].as_f64() > Some(1000.0)
    };
    assert!(
        wait_until(Duration::from_secs(30), is_known),
        "{}",
        plan().text
    );
    let ran = plan();
    let of_failures = ran.outcome("plan/errors/25%")["planned"].clone();
    let rate = of_failures["error_rate"].as_f64().unwrap();
    assert!((0.005..0.05).contains(&rate), "{of_failures}");
    // The same failures, counted as events of requests.
    let outcome = ran.outcome("plan/failures/25%");
    let of_events = outcome["planned"]["error_rate"].as_f64().unwrap();
    assert!((rate / 1.5..rate * 1.5).contains(&of_events), "{outcome}");
    let subject = outcome["subject"].as_str().unwrap();
    assert!(
        subject.contains("as many events (of all series"),
        "{subject}"
    );
    let outcome = ran.outcome("plan/latency/25%");
    let of_buckets = &outcome["planned"];
    assert!(of_buckets["error_rate"].is_null(), "{of_buckets}");
    let requests = of_buckets["requests_per_minute"].as_f64();
    assert!(requests > Some(1000.0), "{outcome}");
    // The shop is fast, and 2 % may be slow: more than that is not needed for a pass.
    let pass = &of_buckets["pass"];
    assert!(pass["median_ms"].as_u64() >= Some(1000), "{outcome}");
    assert_eq!(of_buckets["twice"]["tolerated"], true, "{outcome}");
    let subject = outcome["subject"].as_str().unwrap();
    assert!(subject.contains("of them above"), "{subject}");
    // Only the series of the two sides count, whichever release stable is.
    let sided = |canary: &str, stable: &str| {
        let sides =
            format!("sides: {{ canary: 'release=\"{canary}\"', stable: 'release=\"{stable}\"' }}");
        let ran = gate(&section.replace("label: release", &sides));
        let ran = ran.args(&["plan", "--share", "25%"]).run();
        let planned = &ran.outcome("plan/errors/25%")["planned"];
        planned["requests_per_minute"].as_f64().unwrap_or_default()
    };
    assert!(sided("v2", "${LAST_KNOWN_GOOD}") > 1000.0);
    assert!(sided("v8", "v9") < 1.0);
}

/// 6,000 requests a minute of release v1 on three instances, over the last 40 minutes, and as many of
/// another service.
fn served() -> Prometheus {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (now, mut text) = (now.as_secs(), String::new());
    let ours = |nth: u32| format!("instance=\"{nth}\",release=\"v1\"");
    let all = (0..3).map(|nth| (ours(nth), 500));
    for (labels, each) in all.chain([("instance=\"other\"".to_owned(), 1500)]) {
        for (status, part) in [("200", 98), ("500", 2)] {
            for n in 0..=160 {
                let (at, count) = (now - 2400 + n * 15, n * each * part / 100);
                let _ = writeln!(
                    text,
                    "http_requests_total{{{labels},status=\"{status}\"}} {count} {at}"
                );
            }
        }
    }
    Prometheus::recorded(&format!("{text}# EOF\n"), &[])
}

/// A plan promises no pass that the judge does not give, and counts no other service's requests.
#[test]
fn a_plan_counts_the_release_that_serves_and_its_instances() {
    let prometheus = served();
    let section = format!(
        "  canary: {{ server: '{}', label: release, metrics: [{{ name: errors, kind: ratio }}] }}\n",
        prometheus.url()
    );
    let plan = |before: &str, share: &str| {
        let ran = gate(&section).env("LAST_KNOWN_GOOD", before);
        ran.args(&["plan", "--share", share]).run()
    };
    let ran = plan("v1", "10%").code(3);
    let outcome = ran.outcome("plan/errors/10%");
    let subject = outcome["subject"].as_str().unwrap();
    assert_eq!(subject, "6000 requests a minute, 2% of them fail");
    let reason = outcome["reason"].as_str().unwrap();
    assert!(
        reason.contains("each of the 3 instances") && reason.contains("a share of 14.3% or more"),
        "{reason}"
    );
    assert!(
        outcome["planned"]["pass"]["typical_ms"].is_null(),
        "{outcome}"
    );
    let found = &outcome["planned"]["five_times"]["median_ms"];
    assert!(found.as_u64().is_some(), "{outcome}");
    plan("v1", "25%").code(0);
    let ran = plan("v1", "50%").code(0);
    let expected = ran.outcome("plan/errors/50%")["expected"].clone();
    assert_eq!(
        expected,
        "both verdicts within 30m, with 2 or more instances of the canary"
    );
    // A release that never served is no reason to tell nothing.
    for before in ["", "v0"] {
        let ran = plan(before, "25%");
        let subject = ran.outcome("plan/errors/25%")["subject"].clone();
        let subject = subject.as_str().unwrap_or_default();
        assert!(
            subject.starts_with("12000 requests a minute") && subject.contains("(of all series"),
            "{subject}"
        );
    }
}

/// 1 % of its requests one second slower.
#[test]
fn a_slow_tail_is_found_and_its_bound_is_named() {
    let bed = Bed::new(1, |canary| {
        canary.slow_one_in(Some((100, Duration::from_secs(1))));
    });
    let latency = LATENCY.replace(", at-most: 2%", "");
    let ran = bed.gate(&format!("metrics: [{latency}]"), "", &[]).code(1);
    let outcome = ran.ends("canary/latency", "fail", "");
    let told = format!("{} {}", outcome["reason"], outcome["actual"]);
    assert!(told.contains("above"), "{told}");
}

/// The first requests of the canary take a second, and its warm-up is not compared; then it is like
/// stable, and passes.
#[test]
fn a_quiet_canary_passes_after_a_slow_start() {
    let bed = Bed::new(1, |canary| canary.set_delay(Duration::from_secs(1)));
    assert!(wait_until(Duration::from_mins(1), || bed.canary.requests() > 30));
    bed.canary.set_delay(Duration::ZERO);
    let metrics = format!("warm-up: 3s, metrics: [{ERRORS}, {LATENCY}]");
    let ran = bed.gate(&metrics, "", &[]).code(0);
    ran.ends("canary/errors", "pass", "");
    ran.ends("canary/latency", "pass", "");
}

/// Whose release is not known, and one that is compared with itself.
#[test]
fn the_releases_must_be_known() {
    let section = "  canary: { server: 'http://127.0.0.1:1', label: release }\n";
    let ran = gate(section).args(&["--release", "v2"]).run().code(2);
    ran.says("the release to compare with is not known")
        .says("LAST_KNOWN_GOOD");
    let ran = gate(section).env("LAST_KNOWN_GOOD", "v1").run().code(2);
    ran.says("--release RELEASE");
    let same = gate(section).env("LAST_KNOWN_GOOD", "v2");
    let ran = same.args(&["--release", "v2"]).run().code(2);
    ran.says("compared with itself");
    let dry = gate(section).args(&["--dry-run"]).run().code(3);
    assert_eq!(dry.ids(), ["canary/errors", "canary/latency"]);
    // What `--only` leaves out needs no release.
    let only = gate(section).args(&["--only", "http"]).run().code(3);
    assert_eq!(only.ids(), ["only/http"]);
}

/// Without the variable, the release to compare with is the one that `rollback` recorded.
#[test]
fn the_state_knows_the_release_that_serves_beside_the_new_one() {
    let bed = Bed::new(1, |canary| canary.fail_one_in(Some(2)));
    let section = format!(
        "  canary: {{ server: '{}', label: release, interval: 1s, deadline: 100s, metrics: [{ERRORS}] }}\n\
         rollback:\n  state: state.json\n  command: {{ run: 'true' }}\n",
        bed.prometheus.url()
    );
    let unknown = gate(&section).args(&["--release", "v2"]).run().code(2);
    unknown.says("has no good release");
    let gate = gate(&section).args(&["--release", "v2"]);
    let folder = gate.file("");
    let mut record = testkit::bin("rollback");
    let record = record
        .current_dir(folder)
        .args(["record", "--release", "v1"]);
    record.assert().code(0);
    let ran = gate.run().code(1);
    ran.ends("canary/errors", "fail", "tolerance 1.5");
}

/// Prometheus itself does not answer: nothing is known about the canary.
#[test]
fn a_server_that_does_not_answer_is_an_error() {
    let port = testkit::free_port();
    let section = format!(
        "  canary: {{ server: 'http://127.0.0.1:{port}', label: release, interval: 100ms, deadline: 60s }}\n"
    );
    let ran = gate(&section)
        .env("LAST_KNOWN_GOOD", "v1")
        .args(&["--release", "v2"])
        .run()
        .code(4);
    ran.ends(
        "canary/errors",
        "error",
        "errors in a row (2) > error-limit (1)",
    );
    ran.ends("canary/latency", "error", "connection refused");
}

/// The runbook's table: a canary with too many failures is aborted, and a good one is promoted; by its
/// fixed limits, and by the judge with error bounds.
#[test]
fn runbook_003_abort_or_promote() {
    let bed = Bed::new(1, |canary| canary.fail_one_in(Some(5)));
    let threshold = "judge: threshold, thresholds: { window: 3s }, preset: runbook-003";
    let ran = bed.gate(threshold, "", &[]).code(1);
    ran.ends("canary/error-rate", "fail", "");
    assert_eq!(
        ran.ids(),
        ["canary/error-rate", "canary/p95", "canary/availability"]
    );
    bed.gate("preset: runbook-003", "", &["--only", "canary/error-rate"])
        .code(1)
        .ends("canary/error-rate", "fail", "");
    bed.canary.fail_one_in(None);
    let seen = bed.canary.requests();
    assert!(wait_until(Duration::from_mins(1), || bed.canary.requests()
        > seen + 200));
    let ran = bed.gate(
        &threshold.replace("preset", "deadline: 5s, preset"),
        "",
        &[],
    );
    let ran = ran.code(0);
    for id in ["canary/error-rate", "canary/p95", "canary/availability"] {
        ran.ends(id, "pass", "");
    }
}

/// Not scraped, the label missing, the query wrong: the runbook's three causes.
#[test]
fn runbook_003_troubleshooting_4_the_comparison_names_what_is_missing() {
    let (canary, stable) = (Shop::start("v2"), Shop::start("v1"));
    let server = |labels: &str, at: &str| {
        Prometheus::watching(&[
            (at.to_owned(), labels.to_owned()),
            (stable.address(), "release: v1".to_owned()),
        ])
    };
    let ask = |server: &Prometheus, metrics: &str| {
        gate(&format!(
            "  canary: {{ server: '{}', label: release, interval: 1s, deadline: 4s, metrics: [{metrics}] }}\n",
            server.url()
        ))
        .env("LAST_KNOWN_GOOD", "v1")
        .args(&["--release", "v2"])
        .run()
    };
    let gone = format!("127.0.0.1:{}", testkit::free_port());
    let ran = ask(&server("release: v2", &gone), ERRORS).code(3);
    ran.ends("canary/errors", "inconclusive", "canary is not scraped");
    ran.ends(
        "canary/errors",
        "inconclusive",
        "1 of 2 targets cannot be scraped",
    );
    let without_label = server("colour: blue", &canary.address());
    let ran = ask(&without_label, ERRORS).code(3);
    let why = "no series fits `http_requests_total{release=\"v2\"}`, though 4 are called `http_requests_total`";
    ran.ends("canary/errors", "inconclusive", why);
    let wrong = "{ name: errors, kind: ratio, failed: 'http_requests_total{ {side},status=5 }', total: 'http_requests_total{ {side} }' }";
    let ran = ask(&without_label, wrong);
    assert!([2, 4].contains(&ran.code), "{}", ran.text);
    let rate = "{ name: errors, kind: ratio, failed: 'rate(http_requests_total{ {side} }[1m])', total: 'http_requests_total{ {side} }' }";
    ask(&without_label, rate).code(2).says("whole number");
}

/// An nginx at 10:90, whose log names the server that answered as field 10.
fn logging(canary: &Shop, stable: &Shop) -> Nginx {
    Nginx::serving(
        "log_format sides '$remote_addr - $remote_user [$time_local] \"$request\" $status \
         $body_bytes_sent \"$http_referer\" \"$http_user_agent\" $upstream_addr $request_time';
         upstream both { server CANARY weight=1; server STABLE weight=9; keepalive 64; }
         server {
             listen PORT;
             access_log access.log sides;
             location / { proxy_pass http://both; proxy_http_version 1.1; proxy_set_header Connection \"\"; }
         }"
        .replace("CANARY", &canary.address())
        .replace("STABLE", &stable.address())
        .as_str(),
    )
}

/// Without Prometheus: nginx's log has the address of the upstream and the time that it took.
#[test]
fn an_access_log_tells_both_sides() {
    let (canary, stable) = (Shop::start("v2"), Shop::start("v1"));
    canary.fail_one_in(Some(4));
    let nginx = logging(&canary, &stable);
    let _load = Load::on(nginx.port(), 400);
    let log = nginx.folder().join("access.log");
    let section = |side: &str| {
        format!(
            "  canary: {{ interval: 500ms, deadline: 60s, metrics: [{ERRORS}], access-log: {{ file: '{}', side: {{ field: 10, canary: '{side}', stable: '{}' }} }} }}\n",
            log.display(),
            stable.address()
        )
    };
    let ran = gate(&section(&canary.address())).run().code(1);
    ran.ends("canary/errors", "fail", "");
    // The log is moved away and nginx told to write another one, as logrotate does.
    canary.fail_one_in(None);
    std::fs::rename(&log, nginx.folder().join("access.log.1")).unwrap();
    nginx.process().signal("USR1");
    let ran = gate(&section(&canary.address())).run().code(0);
    ran.ends("canary/errors", "pass", "");
    // A side that no line names.
    let ran = gate(&section("10.9.9.9:*").replace("60s", "4s"))
        .run()
        .code(3);
    ran.ends(
        "canary/errors",
        "inconclusive",
        "no line names `10.9.9.9:*`",
    );
}

/// The same log on a host, through a real sshd.
#[test]
fn an_access_log_is_read_on_a_host() {
    let (canary, stable) = (Shop::start("v2"), Shop::start("v1"));
    canary.fail_one_in(Some(4));
    let nginx = logging(&canary, &stable);
    let _load = Load::on(nginx.port(), 400);
    let log = nginx.folder().join("access.log");
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let known_hosts = folder.path().join("known_hosts");
    std::fs::write(&known_hosts, sshd.known_hosts()).unwrap();
    let section = |file: &Path, deadline: &str| {
        format!(
            "  canary: {{ interval: 1s, deadline: {deadline}, metrics: [{ERRORS}], access-log: {{ file: '{}', host: web-01, side: {{ field: 10, canary: '{}', stable: '{}' }} }} }}\nhosts:\n  web-01: {{ address: 127.0.0.1, port: {}, user: {}, key-file: {}, known-hosts: {} }}\n",
            file.display(),
            canary.address(),
            stable.address(),
            sshd.port(),
            sshd.user(),
            sshd.key().display(),
            known_hosts.display()
        )
    };
    let ran = gate(&section(&log, "60s")).run().code(1);
    ran.ends("canary/errors", "fail", "");
    // All looks of a gate have one login.
    let logins = sshd.process().log().matches("Accepted publickey").count();
    assert_eq!(logins, 1, "{}", sshd.process().log());
    // What was logged before the gate does not count, and a log that is rotated is followed.
    canary.fail_one_in(None);
    std::fs::rename(&log, nginx.folder().join("access.log.1")).unwrap();
    nginx.process().signal("USR1");
    let ran = gate(&section(&log, "60s")).run().code(0);
    ran.ends("canary/errors", "pass", "");
    let missing = nginx.folder().join("none.log");
    let ran = gate(&section(&missing, "4s")).run();
    assert_ne!(ran.code, 0, "{}", ran.text);
    ran.says("none.log");
}

/// A canary whose intervals this script prints.
fn commanded(script: &str, deadline: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("line.sh");
    std::fs::write(&file, script).unwrap();
    let section = format!(
        "  canary: {{ interval: 100ms, deadline: {deadline}, metrics: [{ERRORS}], command: {{ run: 'sh {}' }} }}\n",
        file.display()
    );
    gate(&section).run()
}

/// A command prints what an interval brought.
#[test]
fn a_command_may_count() {
    let line = |failed: u32| {
        let line = serde_json::json!({"metrics": {"errors": {
            "canary": {"failed": failed, "total": 100},
            "stable": {"failed": 0, "total": 900},
        }}});
        format!("echo '{line}'")
    };
    let ran = commanded(&line(20), "20s").code(1);
    ran.ends("canary/errors", "fail", "");
    let ran = commanded(&line(0), "20s").code(0);
    ran.ends("canary/errors", "pass", "");
    // An interval of which nothing came hides what was wrong in it.
    for nothing in ["echo nonsense", "exit 7"] {
        let script = format!(
            "n=$(cat \"$0.n\" || echo 0); echo $((n + 1)) > \"$0.n\"\nif [ $((n % 2)) = 1 ]; then {nothing}; else {}; fi",
            line(0)
        );
        let ran = commanded(&script, "3s").code(3);
        ran.ends("canary/errors", "inconclusive", "intervals have no data");
    }
    let ran = commanded("echo nonsense", "2s").code(3);
    ran.ends("canary/errors", "inconclusive", "no line of recorded data");
    let ran = commanded("echo '{\"run\": \"other\"}'", "2s").code(3);
    ran.ends("canary/errors", "inconclusive", "a line without `metrics`");
    let ran = commanded("echo out of order >&2; exit 7", "20s").code(4);
    ran.ends("canary/errors", "error", "exit status 7: out of order");
}

/// A canary that serves nothing at first, as where its share comes later.
#[test]
fn a_canary_without_requests_is_waited_for() {
    let line = |failed: u32, total: u32| {
        let line = serde_json::json!({"metrics": {"errors": {
            "canary": {"failed": failed, "total": total},
            "stable": {"failed": 9, "total": 900},
        }}});
        format!("echo '{line}'")
    };
    let script = format!(
        "n=$(cat \"$0.n\" || echo 0); echo $((n + 1)) > \"$0.n\"\nif [ $n -lt 6 ]; then {}; else {}; fi",
        line(0, 0),
        line(30, 100)
    );
    let ran = commanded(&script, "20s").code(1);
    ran.ends("canary/errors", "fail", "");
    let ran = commanded(&line(0, 0), "4s").code(3);
    let outcome = ran.ends(
        "canary/errors",
        "inconclusive",
        "the canary has had no requests",
    );
    let intervals = outcome["measurements"].as_array().unwrap().len();
    assert!(intervals > 3, "{intervals}");
    // What is asked is the command, and no query.
    let subject = outcome["subject"].as_str().unwrap();
    assert!(subject.starts_with("sh "), "{subject}");
    assert_eq!(
        outcome["hint"],
        "send a share of the requests to the canary, or set a longer `deadline`"
    );
}

/// A person stops it: what was seen until then is told.
#[test]
fn an_interrupted_comparison_is_inconclusive() {
    let script = "echo '{\"metrics\": {}}'; kill -TERM $(ps -o ppid= -p $PPID)";
    let ran = commanded(script, "60s").code(143);
    ran.ends("canary/errors", "inconclusive", "interrupted");
}

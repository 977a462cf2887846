//! Runbook 003: the triggers of an automatic rollback, and its troubleshooting 1 and 4.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::gating::{Ran, gate, gate_with};
use testkit::{Prometheus, Shop, free_port};

/// Ten minutes of a service, up to now.
struct Recorded {
    /// Of a hundred requests.
    failed: i64,
    /// The buckets of the histogram: bound, and how many of a hundred requests are within.
    buckets: &'static [(&'static str, i64)],
    /// Of twenty scrapes.
    up: i64,
}

const GOOD: Recorded = Recorded {
    failed: 1,
    buckets: &[("0.5", 90), ("1", 99), ("5", 100), ("+Inf", 100)],
    up: 20,
};

impl Recorded {
    fn serve(&self) -> Prometheus {
        let now = jiff::Timestamp::now().as_second();
        let times = || (0..=40).map(|n| (n, now - 600 + n * 15));
        let mut text = String::new();
        for (status, each) in [("200", 100 - self.failed), ("503", self.failed)] {
            // A service that never failed has no such series.
            for (n, at) in times().filter(|_| each > 0) {
                let _ = writeln!(
                    text,
                    "http_requests_total{{job=\"shop\",status=\"{status}\"}} {} {at}",
                    n * each
                );
            }
        }
        for (le, each) in self.buckets {
            for (n, at) in times() {
                let _ = writeln!(
                    text,
                    "http_request_duration_seconds_bucket{{job=\"shop\",le=\"{le}\"}} {} {at}",
                    n * each
                );
            }
        }
        for (n, at) in times() {
            let up = i64::from(n % 20 < self.up);
            let _ = writeln!(text, "up{{job=\"shop\"}} {up} {at}");
        }
        // Another service on the same server, which no probe queries.
        for (n, at) in times() {
            let _ = writeln!(
                text,
                "http_requests_total{{job=\"other\",status=\"500\"}} {n} {at}"
            );
        }
        let server = Prometheus::recorded(&format!("{text}# EOF\n"), &[]);
        let read = testkit::wait_until(Duration::from_mins(1), || {
            server.number("up{job=\"shop\"}").is_some()
        });
        assert!(read);
        server
    }

    /// With the runbook's thresholds.
    fn gate(&self) -> Ran {
        let server = self.serve();
        gate(&slo(&server.url(), "")).run()
    }
}

fn slo(server: &str, more: &str) -> String {
    format!(
        "  slo: {{ server: {server}, error-rate: 5%, p95: 3s, availability: 95%, labels: {{ job: shop }}, {more} }}\n"
    )
}

#[test]
fn a_service_that_meets_its_objectives_passes() {
    let ran = GOOD.gate().code(0);
    assert_eq!(ran.ids(), ["slo/error-rate", "slo/p95", "slo/availability"]);
    ran.ends("slo/error-rate", "pass", "1%");
    ran.ends("slo/p95", "pass", "777.7778ms");
    ran.ends("slo/availability", "pass", "100%");
    // A service without failures is not missing data.
    let never = Recorded { failed: 0, ..GOOD };
    never.gate().code(0).ends("slo/error-rate", "pass", "0%");
}

/// Trigger 1: error rate > 5%.
#[test]
fn runbook_003_trigger_1_error_rate() {
    let ran = Recorded { failed: 7, ..GOOD }.gate().code(1);
    ran.ends("slo/error-rate", "fail", "7% > max (5%)");
    // The gate need not wait for the others.
    for other in ["slo/p95", "slo/availability"] {
        assert_ne!(ran.outcome(other)["verdict"], "fail");
    }
}

/// Trigger 2: 95th percentile of the answer times > 3 seconds.
#[test]
fn runbook_003_trigger_2_p95_latency() {
    let slow = &[("1", 50), ("2.5", 80), ("5", 100), ("+Inf", 100)];
    let ran = Recorded {
        buckets: slow,
        ..GOOD
    }
    .gate()
    .code(1);
    ran.ends("slo/p95", "fail", "4.375s > max (3s)");
    // The histogram ends below the threshold, and what is beyond its end is not told apart: the
    // quantile would say 2.5 s.
    let blind = &[("1", 50), ("2.5", 80), ("+Inf", 100)];
    let ran = Recorded {
        buckets: blind,
        ..GOOD
    }
    .gate()
    .code(3);
    ran.ends("slo/p95", "inconclusive", "NaN");
    // Where it ends above the threshold, requests beyond its end are too slow.
    let beyond = &[("1", 50), ("5", 80), ("+Inf", 100)];
    let ran = Recorded {
        buckets: beyond,
        ..GOOD
    }
    .gate()
    .code(1);
    ran.ends("slo/p95", "fail", "5s > max (3s)");
}

/// Trigger 3: availability < 95%.
#[test]
fn runbook_003_trigger_3_availability() {
    let ran = Recorded { up: 18, ..GOOD }.gate().code(1);
    ran.ends("slo/availability", "fail", "< min (95%)");
}

/// Trigger 4: health checks failing for more than two minutes, here four seconds.
#[test]
fn runbook_003_trigger_4_health_checks_failing() {
    let policy = "{ interval: 100ms, timeout: 10s, success-threshold: 2, failure-limit: 0, failing-for: 4s, deadline: 60s, soak: 3s }";
    let watched = |shop: &Shop| {
        let section = format!(
            "  http: [{{ name: ready, url: '{}' }}]\n",
            shop.url("/health/ready")
        );
        let gate = gate_with(policy, &section);
        let asked = shop.requests();
        let running = thread::spawn(move || gate.run());
        let seen = testkit::wait_until(Duration::from_mins(1), || shop.requests() >= asked + 4);
        assert!(seen);
        running
    };
    let shop = Shop::start("v1");
    // A short failure is forgiven.
    let running = watched(&shop);
    shop.set_health("unhealthy", 503);
    let failed = shop.requests();
    assert!(testkit::wait_until(Duration::from_mins(1), || shop
        .requests()
        >= failed + 3));
    shop.set_health("healthy", 200);
    let ran = running.join().unwrap().code(0);
    let measured = ran.outcome("http/ready")["measurements"]
        .as_array()
        .unwrap();
    assert!(
        measured.iter().any(|one| one["verdict"] == "fail"),
        "{measured:?}"
    );
    // A lasting one is not, and is not passed over when the soak ends meanwhile.
    let running = watched(&shop);
    shop.set_health("unhealthy", 503);
    let ran = running.join().unwrap().code(1);
    ran.ends("http/ready", "fail", "≥ failing-for (4s): status 503");

    // The same of an objective.
    let server = Recorded { failed: 7, ..GOOD }.serve();
    let ran = gate(&slo(&server.url(), "failing-for: 1s")).run().code(1);
    ran.ends(
        "slo/error-rate",
        "fail",
        "≥ failing-for (1s): 7% > max (5%)",
    );
}

/// Troubleshooting 1: the deployment hangs during health checks. The gate ends at its deadline and
/// names which dependency does not answer.
#[test]
fn runbook_003_troubleshooting_1_deployment_hangs_during_health_checks() {
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = hanging.local_addr().unwrap();
    let redis = TcpListener::bind("127.0.0.1:0").unwrap();
    let section = format!(
        "  http: [{{ name: ready, url: 'http://{api}/health/ready' }}]\n  tcp:\n    - {{ name: postgres, address: '127.0.0.1:{}' }}\n    - {{ name: redis, address: '{}' }}\n",
        free_port(),
        redis.local_addr().unwrap()
    );
    let policy = "{ interval: 200ms, timeout: 500ms, success-threshold: 2, deadline: 3s }";
    let ask = |only: &[&str]| {
        let started = Instant::now();
        let ran = gate_with(policy, &section).args(only).run().code(1);
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?}",
            started.elapsed()
        );
        ran
    };
    ask(&["--only", "http"]).ends("http/ready", "fail", "no complete answer within 500ms");
    let ran = ask(&[]);
    ran.ends("tcp/postgres", "fail", "connection refused");
    assert_eq!(ran.outcome("tcp/redis")["verdict"], "pass");
}

/// Troubleshooting 1, "check circuit breaker state": the health page may say that all is well.
#[test]
fn runbook_003_troubleshooting_1_an_open_circuit_breaker() {
    let state = |open: u8| format!("circuit_breaker_state{{adapter=\"pms\"}} {open}\n");
    let server = Prometheus::scraping(&state(1));
    let section = format!(
        "  prometheus: [{{ name: breaker, server: {}, query: 'max(circuit_breaker_state)', max: 0 }}]\n",
        server.url()
    );
    let ran = gate(&section).run().code(1);
    ran.ends("prometheus/breaker", "fail", "1 > max (0)");
    server.set(&state(0));
    assert!(testkit::wait_until(Duration::from_mins(1), || {
        server.number("max(circuit_breaker_state)") == Some(0.0)
    }));
    gate(&section).run().code(0);
}

/// Troubleshooting 4: canary metrics are not available. Silence is no pass, and the reason says
/// which of the runbook's causes it is.
#[test]
fn runbook_003_troubleshooting_4_canary_metrics_not_available() {
    let metrics = "http_requests_total{status=\"200\"} 5\nhttp_requests_total{status=\"500\"} 0\n";
    let server = Prometheus::scraping(metrics);
    let canary = |query: &str| {
        let section = format!(
            "  prometheus: [{{ name: canary, server: {}, query: '{query}', max: 5% }}]\n",
            server.url()
        );
        gate(&section).run()
    };
    // The deployment label is missing.
    let ran = canary("sum(http_requests_total{deployment=\"canary\"})").code(3);
    let why = "no series fits `http_requests_total{deployment=\"canary\"}`, though 2 are called `http_requests_total`";
    let outcome = ran.ends("prometheus/canary", "inconclusive", why);
    let hint = outcome["hint"].as_str().unwrap();
    assert!(
        hint.contains("/api/v1/targets") && hint.contains("match[]=http_requests_total"),
        "{hint}"
    );
    // The query has an error in its syntax.
    let ran = canary("sum(http_requests_total{deployment=canary})").code(4);
    ran.ends("prometheus/canary", "error", "parse error");
    // The same of the objectives.
    let objectives = format!(
        "  slo: {{ server: {}, error-rate: 5%, p95: 3s, availability: 95%, labels: {{ deployment: canary }} }}\n",
        server.url()
    );
    let ran = gate(&objectives).run().code(3);
    for id in ["slo/error-rate", "slo/p95", "slo/availability"] {
        ran.ends(id, "inconclusive", "no series");
    }
    // Prometheus cannot scrape it.
    server.silence();
    let ran = canary("up{deployment=\"canary\"}").code(3);
    ran.ends(
        "prometheus/canary",
        "inconclusive",
        "1 of 1 targets cannot be scraped",
    );
}

/// A series of requests: where it begins and ends, in seconds before now, and how many each 15 s.
fn series(labels: &str, from: i64, to: i64, each: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    let mut text = String::new();
    for n in 0..=(from - to) / 15 {
        let _ = writeln!(
            text,
            "http_requests_total{{{labels}}} {} {}",
            n * each,
            now - from + n * 15
        );
    }
    text
}

fn error_rate(text: &str, more: &str) -> Ran {
    let server = Prometheus::recorded(&format!("{text}# EOF\n"), &[]);
    let read = testkit::wait_until(Duration::from_mins(1), || {
        server.number("count(http_requests_total)").is_some()
    });
    assert!(read);
    let slo = format!(
        "  slo: {{ server: {}, error-rate: 5%, {more} }}\n",
        server.url()
    );
    gate(&slo).run()
}

#[test]
fn answer_times_may_be_counted_in_milliseconds() {
    let millis = Recorded {
        buckets: &[("500", 90), ("1000", 94), ("5000", 100), ("+Inf", 100)],
        ..GOOD
    };
    let server = millis.serve();
    let gate_with = |p95: &str, metrics: &str| {
        let slo = format!(
            "  slo: {{ server: {}, p95: {p95}, labels: {{ job: shop }}, {metrics} }}\n",
            server.url()
        );
        gate(&slo).run()
    };
    let unit = "metrics: { duration-unit: ms }";
    gate_with("3s", unit).code(0).ends("slo/p95", "pass", "1.6");
    gate_with("1s", unit).code(1).ends("slo/p95", "fail", "1.6");
    gate_with("3s", "").code(1);
}

/// A service with another name for its label does not have a series of failures either.
#[test]
fn requests_without_the_status_label_decide_nothing() {
    let text = series("code=\"500\"", 600, 0, 90) + &series("code=\"200\"", 600, 0, 10);
    let ran = error_rate(&text, "").code(3);
    let why = "no series fits `http_requests_total{status!=\"\"}`, though 2 are called";
    ran.ends("slo/error-rate", "inconclusive", why);
    error_rate(&text, "metrics: { status-label: code }")
        .code(1)
        .ends("slo/error-rate", "fail", "90% > max (5%)");
}

/// The deployment took away the last instance that had failed.
#[test]
fn failures_of_an_instance_that_is_gone_are_no_old_data() {
    let text = series("instance=\"old\",status=\"503\"", 600, 180, 1)
        + &series("instance=\"old\",status=\"200\"", 600, 180, 99)
        + &series("instance=\"new\",status=\"200\"", 200, 0, 100);
    error_rate(&text, "").code(0);
    // All of them gone is another matter.
    let text = series("status=\"200\"", 600, 180, 100);
    error_rate(&text, "")
        .code(3)
        .ends("slo/error-rate", "inconclusive", "> max-age (2m)");
}

/// One fresh series of each metric is enough for an objective, and wanted of each.
#[test]
fn hg_stale_an_objective_wants_one_fresh_series_of_each_metric() {
    let times = |labels: &str, to: i64| {
        let mut text = String::new();
        let now = jiff::Timestamp::now().as_second();
        for (le, share) in [("1", 90), ("2", 99), ("+Inf", 100)] {
            for n in 0..=(600 - to) / 15 {
                let _ = writeln!(
                    text,
                    "http_request_duration_seconds_bucket{{{labels},le=\"{le}\"}} {} {}",
                    n * share,
                    now - 600 + n * 15
                );
            }
        }
        text
    };
    let good = series("instance=\"old\",status=\"200\"", 600, 180, 100)
        + &series("instance=\"new\",status=\"200\"", 600, 0, 100);
    for (to, code) in [(0, 0), (180, 3)] {
        let text = good.clone() + &times("instance=\"old\"", 180) + &times("instance=\"new\"", to);
        let ran = error_rate(&text, "p95: 3s").code(code);
        ran.ends("slo/error-rate", "pass", "");
        if code == 3 {
            ran.ends("slo/p95", "inconclusive", "> max-age (2m)");
        }
    }
}

#[test]
fn objectives_are_checked_before_anything_is_asked() {
    for (slo, why) in [
        ("{ error-rate: 5% }", "no `server` is given"),
        ("{ server: 'http://x' }", "no objective is given"),
        (
            "{ server: 'http://x', error-rate: 500% }",
            "a share is from 0% to 100%",
        ),
        (
            "{ server: 'http://x', p95: 3s, metrics: { duration: 'a{}' } }",
            "is not a metric name",
        ),
        (
            "{ server: 'http://x', p95: 3s, labels: { 'a=~': b } }",
            "is not a label name",
        ),
        (
            "{ server: 'http://x', p95: 3s, window: 0s }",
            "must be more than zero",
        ),
        ("{ server: 'http://x', p99: 3s }", "p99"),
    ] {
        gate(&format!("  slo: {slo}\n")).run().code(2).says(why);
    }
}

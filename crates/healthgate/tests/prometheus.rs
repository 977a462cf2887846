//! Prometheus probes, against a real server; a mock gives only answers that a real one cannot.

use crate::gating;
use std::fmt::Write as _;

use crate::gating::{Ran, gate};
use serde_json::{Value, json};
use testkit::{Authority, Prometheus, Tinyproxy};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const ID: &str = "prometheus/it";

/// A gate with one probe of this query.
fn asks(server: &str, query: &str, more: &str) -> gating::Gate {
    gate(&section(server, query, more))
}

fn section(server: &str, query: &str, more: &str) -> String {
    format!("  prometheus:\n    - {{ name: it, server: {server}, query: '{query}', {more} }}\n")
}

fn ask(server: &Prometheus, query: &str, more: &str) -> Ran {
    asks(&server.url(), query, more).run()
}

const METRICS: &str = "errors_ratio 0.07
latency_seconds 0.25
up_ratio{pod=\"a\"} 1
up_ratio{pod=\"b\"} 0.9
broken NaN
endless +Inf
requests_total 100
";

#[test]
fn a_number_is_judged_by_bounds_with_units() {
    let server = Prometheus::scraping(METRICS);
    let failed = ask(&server, "errors_ratio", "max: 5%").code(1);
    let outcome = failed.ends(ID, "fail", "7% > max (5%)");
    assert_eq!(outcome["expected"], "value ≤ 5%");
    assert!(
        outcome["hint"]
            .as_str()
            .unwrap()
            .contains("/graph?g0.expr=errors_ratio")
    );
    assert_eq!(outcome["measurements"][0]["value"], "0.07");
    ask(&server, "errors_ratio", "max: 10%").code(0);
    ask(&server, "errors_ratio", "max: 0.07").code(0);
    ask(&server, "latency_seconds", "max: 300ms").code(0);
    let slow = ask(&server, "latency_seconds", "max: 0.2s").code(1);
    slow.ends(ID, "fail", "250ms > max (200ms)");
    ask(&server, "scalar(errors_ratio)", "min: 1%, max: 10%").code(0);
    ask(&server, "errors_ratio", "min: 10%, max: 5%")
        .code(2)
        .says("no value passes");
    ask(&server, "errors_ratio", "max: much")
        .code(2)
        .says("is not a number such as");
    ask(&server, "errors_ratio", "")
        .code(2)
        .says("neither `min` nor `max`");
}

#[test]
fn several_series_decide_nothing_unless_reduced() {
    let server = Prometheus::scraping(METRICS);
    let many = ask(&server, "up_ratio", "min: 95%").code(3);
    many.ends(ID, "inconclusive", "2 series instead of one");
    ask(&server, "up_ratio", "min: 95%, on-many-series: fail").code(1);
    ask(&server, "up_ratio", "min: 95%, on-many-series: error").code(4);
    for worst in ["min", "worst"] {
        let ran = ask(&server, "up_ratio", &format!("min: 95%, reduce: {worst}")).code(1);
        ran.ends(ID, "fail", "90% of {__name__=\"up_ratio\", instance=");
    }
    let mean = ask(&server, "up_ratio", "min: 95%, reduce: avg").code(0);
    mean.ends(ID, "pass", "95% on average of 2 series");
    ask(&server, "up_ratio", "min: 95%, reduce: max").code(0);
    ask(&server, "up_ratio", "max: 1.5, reduce: sum").code(1);
}

#[test]
fn no_data_and_no_number_are_what_the_configuration_says() {
    let server = Prometheus::scraping(METRICS);
    for (rule, code) in [("inconclusive", 3), ("fail", 1), ("error", 4), ("pass", 0)] {
        ask(&server, "nothing", &format!("max: 1, on-no-data: {rule}")).code(code);
        ask(&server, "broken", &format!("max: 1, on-nan: {rule}")).code(code);
        ask(&server, "-endless", &format!("max: 1, on-nan: {rule}")).code(code);
    }
    // By default silence is not a pass, and the reason names what is missing.
    let ran = ask(&server, "nothing", "max: 1").code(3);
    let outcome = ran.ends(ID, "inconclusive", "no series is called `nothing`");
    assert!(
        outcome["hint"]
            .as_str()
            .unwrap()
            .contains("/api/v1/targets")
    );
    let ran = ask(&server, "up_ratio{pod=\"c\"}", "max: 1").code(3);
    let why = "no series fits `up_ratio{pod=\"c\"}`, though 2 are called `up_ratio`";
    ran.ends(ID, "inconclusive", why);
    let ran = ask(&server, "errors_ratio > 1", "max: 1").code(3);
    ran.ends(ID, "inconclusive", "its conditions leave none of them");
    ask(&server, "broken", "max: 1")
        .code(3)
        .ends(ID, "inconclusive", "NaN");
    // Infinity is beyond every bound, whatever `on-nan` is.
    let ran = ask(&server, "endless", "max: 1, on-nan: pass").code(1);
    ran.ends(ID, "fail", "inf > max (1)");
    // A target that cannot be scraped is named.
    server.silence();
    let ran = ask(&server, "nothing", "max: 1").code(3);
    ran.ends(
        ID,
        "inconclusive",
        &format!(
            "1 of 1 targets cannot be scraped, such as http://{}/metrics",
            server.exporter()
        ),
    );
}

#[test]
fn old_samples_decide_nothing() {
    let server = Prometheus::scraping(METRICS);
    ask(&server, "errors_ratio", "max: 10%, max-age: 20s").code(0);
    // A source with timestamps. Prometheus still shows its samples for five minutes.
    let then = jiff::Timestamp::now().as_millisecond() - 200_000;
    server.set(&format!("old_ratio 0.01 {then}\nrequests_total 100\n"));
    let query = "max(old_ratio) * 2";
    let ran = ask(&server, query, "max: 5%").code(3);
    let value = ran.ends(ID, "inconclusive", "the newest sample of `old_ratio` is 20");
    assert!(value["reason"].as_str().unwrap().contains("> max-age (2m)"));
    for (rule, code) in [("pass", 0), ("fail", 1), ("error", 4)] {
        ask(&server, query, &format!("max: 5%, on-stale: {rule}")).code(code);
    }
    ask(&server, query, "max: 5%, max-age: 10m").code(0);
    // A value without an age is not old.
    ask(&server, "vector(0)", "max: 1").code(0);
}

#[test]
fn a_rate_over_a_source_that_went_silent_decides_nothing() {
    let server = Prometheus::scraping(METRICS);
    let query = "rate(requests_total[2m])";
    let fresh = testkit::wait_until(std::time::Duration::from_mins(1), || {
        server.number(query).is_some()
    });
    assert!(fresh);
    ask(&server, query, "max: 5").code(0);
    server.silence();
    // The rate is shown for two minutes more.
    let late = |query: &str| {
        testkit::wait_until(std::time::Duration::from_mins(1), || {
            server.number(query).is_some_and(|age| age > 8.0)
        })
    };
    assert!(late(
        "time() - max(max_over_time(timestamp(requests_total)[5m:1s]))"
    ));
    let ran = ask(&server, query, "max: 5, max-age: 5s").code(3);
    ran.ends(
        ID,
        "inconclusive",
        "the newest sample of `requests_total` is",
    );
    // The value itself is gone at once.
    ask(&server, "requests_total", "max: 500")
        .code(3)
        .ends(ID, "inconclusive", "no data");
}

#[test]
fn a_window_of_less_than_four_scrapes_is_warned_about() {
    let server = Prometheus::scraping(METRICS);
    // Without `sum` they are two series, as soon as there is a rate.
    let rates = |window: &str| format!("sum(rate(requests_total[{window}])) or vector(0)");
    let short = ask(&server, &rates("3s"), "max: 5").code(0);
    let remark = short.ends(
        "prometheus/it/window",
        "inconclusive",
        "window 3s < 4 × scrape interval (1s)",
    );
    assert_eq!(remark["severity"], "advisory");
    assert_eq!(remark["hint"], "write `[4s]` or more");
    assert_eq!(ask(&server, &rates("4s"), "max: 5").code(0).ids(), [ID]);
    // The configuration takes precedence over the server.
    let told = ask(&server, &rates("4s"), "max: 5, scrape-interval: 15s").code(0);
    told.ends(
        "prometheus/it/window",
        "inconclusive",
        "window 4s < 4 × scrape interval (15s)",
    );
    // The steps of a subquery and a text in quotes are not windows. The first need a few samples.
    let patient =
        "min: 3, policy: { failure-limit: 1000, inconclusive-limit: 1000, deadline: 30s }";
    ask(&server, "count_over_time(requests_total[1m])", patient).code(0);
    let query = r#"max_over_time(requests_total[20s:1s]) and on() {job="test",x!="[1s]"}"#;
    assert_eq!(ask(&server, query, "max: 500").code(0).ids(), [ID]);
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    let server = Prometheus::scraping(METRICS);
    let ran = ask(&server, "sum(", "max: 1").code(4);
    ran.ends(ID, "error", "bad_data");
    ask(&server, "errors_ratio[1m]", "max: 1")
        .code(4)
        .ends(ID, "error", "a matrix");
    ask(&server, "\"text\"", "max: 1")
        .code(4)
        .ends(ID, "error", "a string");
    let elsewhere = asks(&format!("{}/prometheus", server.url()), "up", "max: 1")
        .run()
        .code(4);
    let outcome = elsewhere.ends(ID, "error", "status 404");
    assert!(outcome["hint"].as_str().unwrap().contains("path prefix"));
    let nobody = format!("http://127.0.0.1:{}", testkit::free_port());
    let ran = asks(&nobody, "up", "max: 1").run().code(4);
    let outcome = ran.ends(ID, "error", "connection refused");
    assert!(outcome["hint"].as_str().unwrap().contains("/-/ready"));
}

#[test]
fn a_long_query_is_asked_too() {
    let server = Prometheus::scraping(METRICS);
    let names: Vec<String> = (0..800).map(|n| format!("x{n}")).collect();
    let query = format!("errors_ratio or {{job=~\"{}\"}}", names.join("|"));
    assert!(query.len() > 3000);
    ask(&server, &query, "max: 10%").code(0);
}

#[test]
fn the_environments_proxy_is_used() {
    let server = Prometheus::scraping(METRICS);
    let proxy = Tinyproxy::start();
    let asked = asks(&server.url(), "errors_ratio", "max: 10%");
    asked.env("HTTP_PROXY", &proxy.url()).run().code(0);
    assert!(
        proxy.has_logged(&format!("127.0.0.1:{}", server.port())),
        "{}",
        proxy.log()
    );
}

/// A counter each 15 seconds, up to now.
fn recorded() -> String {
    let now = jiff::Timestamp::now().as_second();
    let mut text = "# TYPE requests counter\n".to_owned();
    for at in (now - 600..=now).step_by(15) {
        let _ = writeln!(text, "requests_total {} {at}", at - now + 600);
    }
    text + "# EOF\n"
}

#[test]
fn a_server_that_wants_a_password_and_a_certificate_lets_us_in_below_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let own = authority.certificate("127.0.0.1", 30);
    let ours = authority.certificate("gate", 30);
    let hash = std::process::Command::new(testkit::tool("htpasswd"))
        .args(["-nbB", "gate", "s3cret-word"])
        .output()
        .unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    let hash = hash.trim().strip_prefix("gate:").unwrap();
    let web = format!(
        "tls_server_config: {{ cert_file: {}, key_file: {}, client_ca_file: {}, client_auth_type: RequireAndVerifyClientCert }}\nbasic_auth_users: {{ gate: '{hash}' }}\n",
        own.certificate.display(),
        own.key.display(),
        authority.file().display(),
    );
    let file = folder.path().join("web.yml");
    std::fs::write(&file, web).unwrap();
    let config = format!("--web.config.file={}", file.display());
    let server = Prometheus::recorded(
        &recorded(),
        &[&config, "--web.route-prefix=/metrics-of/shop"],
    );
    let url = format!("https://127.0.0.1:{}/metrics-of/shop/", server.port());
    let user = "username: gate, password-env: PROMETHEUS_PASSWORD";
    let ca = format!("ca-file: {}", authority.file().display());
    let certificate = format!(
        "client-certificate: {{ certificate-file: {}, key-file: {} }}",
        ours.certificate.display(),
        ours.key.display()
    );
    let asked = |access: &[&str], password: &str| {
        let more = format!("max: 2, access: {{ {} }}", access.join(", "));
        asks(&url, "rate(requests_total[5m])", &more)
            .env("PROMETHEUS_PASSWORD", password)
            .run()
    };
    let whole = [user, &ca, &certificate];
    // It may still be reading its data.
    let ready = testkit::wait_until(std::time::Duration::from_mins(1), || {
        asked(&whole, "s3cret-word").code == 0
    });
    assert!(ready, "{}", asked(&whole, "s3cret-word").text);
    let wrong = asked(&whole, "wr0ng-word").code(4);
    let outcome = wrong.ends(ID, "error", "status 401");
    assert!(outcome["hint"].as_str().unwrap().contains("`access`"));
    assert!(!wrong.text.contains("wr0ng-word") && !wrong.json.to_string().contains("wr0ng-word"));
    // Without our certificate, without theirs, without a password.
    asked(&[user, &ca], "s3cret-word").code(4);
    asked(&[user, &certificate], "s3cret-word").code(4);
    asked(&whole, "")
        .code(4)
        .says("`PROMETHEUS_PASSWORD` is not set");
    asked(&[user, "token-env: T"], "x")
        .code(2)
        .says("exclude each other");
    asked(&["password-env: PROMETHEUS_PASSWORD"], "x")
        .code(2)
        .says("`password-env` needs `username`");
}

fn vector(value: &str) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {}, "value": [now, value]}]}})
}

async fn answering(status: u16, body: Value) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/query"))
        .respond_with(ResponseTemplate::new(status).set_body_json(body))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_token_and_a_tenant_are_shown_to_the_server() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/prometheus/api/v1/query"))
        .and(header("authorization", "Bearer t0p-secret-token"))
        .and(header("x-scope-orgid", "team-a"))
        .respond_with(ResponseTemplate::new(200).set_body_json(vector("1")))
        .mount(&server)
        .await;
    let url = format!("{}/prometheus", server.uri());
    let access = "max: 2, access: { token-env: MIMIR_TOKEN, tenant: team-a }";
    asks(&url, "up", access)
        .env("MIMIR_TOKEN", "t0p-secret-token\n")
        .run()
        .code(0);
    asks(&url, "up", access)
        .env("MIMIR_TOKEN", "another")
        .run()
        .code(4);
    let other = "max: 2, access: { token-env: MIMIR_TOKEN, tenant: team-b }";
    asks(&url, "up", other)
        .env("MIMIR_TOKEN", "t0p-secret-token")
        .run()
        .code(4);
}

#[tokio::test]
async fn a_warning_decides_unless_it_is_accepted() {
    let mut partial = vector("0.01");
    partial["warnings"] = json!(["PromQL warning: store gateway 3 did not answer"]);
    let server = answering(200, partial).await;
    let ran = |more: &str| asks(&server.uri(), "x", more).run();
    let warned = ran("max: 5%").code(3);
    warned.ends(
        ID,
        "inconclusive",
        "Prometheus warns: PromQL warning: store gateway 3",
    );
    ran("max: 5%, on-warning: fail").code(1);
    ran("max: 5%, on-warning: error").code(4);
    ran("max: 5%, on-warning: pass")
        .code(0)
        .ends(ID, "pass", "1%; Prometheus warns");
    // It decides nothing then, and the value does.
    ran("max: 0.5%, on-warning: pass").code(1);

    let mut remarked = vector("0.01");
    remarked["infos"] = json!(["PromQL info: metric might not be a counter"]);
    let server = answering(200, remarked).await;
    let ran = |more: &str| asks(&server.uri(), "x", more).run();
    ran("max: 5%")
        .code(0)
        .ends(ID, "pass", "Prometheus remarks: PromQL info");
    ran("max: 5%, on-info: inconclusive").code(3);
}

#[tokio::test]
async fn answers_that_only_look_good_do_not_pass() {
    let histogram = json!({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {}, "histogram": [1, {"count": "1", "sum": "0.01"}]}]}});
    let mut half = vector("0.01");
    half["status"] = json!("error");
    half["errorType"] = json!("timeout");
    half["error"] = json!("query timed out");
    let old = json!({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {}, "value": [jiff::Timestamp::now().as_second() - 600, "0.01"]}]}});
    for (status, body, code, why) in [
        (200, histogram, 3, "a histogram"),
        (200, half.clone(), 4, "timeout: query timed out"),
        (503, half.clone(), 4, "timeout: query timed out"),
        (422, half, 4, "query timed out"),
        (
            400,
            json!({"status": "error", "errorType": "bad_data", "error": "parse error"}),
            4,
            "parse error",
        ),
        (500, vector("0.01"), 4, "status 500"),
        (302, vector("0.01"), 4, "status 302"),
        (200, json!([]), 4, "no reason given"),
        (
            200,
            json!({"status": "success", "data": {"resultType": "vector"}}),
            4,
            "no list of results (`data.result`)",
        ),
        (200, json!({"status": "success"}), 4, "no type of result"),
        (200, old, 3, "the answer is 60"),
    ] {
        let server = answering(status, body).await;
        asks(&server.uri(), "x", "max: 5%")
            .run()
            .code(code)
            .says(why);
    }
}

/// A time between two scrapes that no clock can hold.
#[tokio::test]
async fn a_server_that_says_nonsense_of_its_targets_stops_nothing() {
    let server = answering(200, vector("0.01")).await;
    for interval in ["1e19", "4000000000y".repeat(140).as_str()] {
        let targets = json!({"status": "success", "data": {"activeTargets": [
            {"labels": {"job": "a"}, "scrapeInterval": interval}]}});
        Mock::given(path("/api/v1/targets"))
            .respond_with(ResponseTemplate::new(200).set_body_json(targets))
            .mount(&server)
            .await;
        let mut jobs = vector("1");
        jobs["data"]["result"][0]["metric"] = json!({"job": "a"});
        Mock::given(path("/api/v1/query"))
            .and(query_param("query", "group by (job) (a)"))
            .respond_with(ResponseTemplate::new(200).set_body_json(jobs))
            .with_priority(1)
            .mount(&server)
            .await;
        let ran = asks(&server.uri(), "rate(a[5m])", "max: 5%").run().code(0);
        ran.ends("prometheus/it/window", "inconclusive", "window 5m < 4 ×");
    }
}

#[tokio::test]
async fn all_queries_of_a_measurement_ask_for_one_instant() {
    let server = answering(200, vector("0.01")).await;
    asks(&server.uri(), "rate(a[5m]) / rate(b[5m])", "max: 5%")
        .run()
        .code(0);
    let times: Vec<String> = server
        .received_requests()
        .await
        .unwrap()
        .iter()
        .filter(|request| request.url.path().ends_with("/query"))
        .filter_map(|request| {
            request
                .url
                .query_pairs()
                .find(|(key, _)| key == "time")
                .map(|(_, time)| time.into_owned())
        })
        .collect();
    let mut different = times.clone();
    different.dedup();
    // Two measurements: the query and the age of two selectors each, and of the first their jobs.
    assert!(times.len() >= 6, "{times:?}");
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 2, "{times:?}");
}

#[tokio::test]
async fn victoriametrics_is_partial_is_a_warning() {
    let mut partial = vector("0.01");
    partial["isPartial"] = json!(true);
    let server = answering(200, partial).await;
    let ran = |more: &str| asks(&server.uri(), "x", more).run();
    let why = "the answer is partial: a part of the storage did not answer (`isPartial`)";
    ran("max: 5%").code(3).ends(ID, "inconclusive", why);
    ran("max: 5%, on-warning: fail").code(1);
    ran("max: 5%, on-warning: pass")
        .code(0)
        .ends(ID, "pass", why);
    let mut whole = vector("0.01");
    whole["isPartial"] = json!(false);
    let server = answering(200, whole).await;
    asks(&server.uri(), "x", "max: 5%").run().code(0);
}

/// One series each 15 seconds from 20 minutes ago to ten minutes from now.
fn series(text: &mut String, series: &str, value: impl Fn(i64) -> Option<i64>) {
    let now = jiff::Timestamp::now().as_second();
    for ago in (-600..=1200).rev().step_by(15) {
        if let Some(value) = value(ago) {
            let _ = writeln!(text, "{series} {value} {}", now - ago);
        }
    }
}

/// A server with the recorded series, and time to read them.
fn recording(text: &str, probe: &str) -> Prometheus {
    let server = Prometheus::recorded(&format!("{text}# EOF\n"), &[]);
    let read = testkit::wait_until(std::time::Duration::from_mins(1), || {
        server.number(probe).is_some()
    });
    assert!(read);
    server
}

#[test]
fn hg_stale_every_series_must_be_fresh_whatever_the_selector() {
    let mut text = String::new();
    let old = |ago: i64| (ago > 140).then_some(0);
    for n in 0..9 {
        let name = format!("g{n}");
        series(
            &mut text,
            &name,
            |ago| if n == 8 { old(ago) } else { Some(0) },
        );
    }
    series(&mut text, "two{i=\"a\"}", |_| Some(0));
    series(&mut text, "two{i=\"b\"}", old);
    // The same labels, so that `timestamp` cannot tell them apart.
    for name in ["old1", "old2"] {
        series(&mut text, &format!("{name}{{job=\"g\"}}"), old);
    }
    series(&mut text, "new1{job=\"n\"}", |_| Some(0));
    series(&mut text, "new2{job=\"n\"}", |_| Some(0));
    // Silent for longer than an instant looks back, and still in a long window.
    series(&mut text, "long{i=\"a\"}", |_| Some(0));
    series(&mut text, "long{i=\"b\"}", |ago| (ago > 420).then_some(0));
    let server = recording(&text, "g0");
    let all = (0..9).map(|n| format!("sum(g{n})")).collect::<Vec<_>>();
    let many = (0..65).map(|n| format!("(x{n} or g0)")).collect::<Vec<_>>();
    let at = jiff::Timestamp::now().as_second() - 700;
    for (query, why) in [
        ("g8", "newest sample of `g8`"),
        ("max(two)", "newest sample of `two`"),
        ("sum(rate(two[5m]))", "newest sample of `two`"),
        ("sum(sum_over_time(long[15m]))", "newest sample of `long`"),
        (&all.join("+"), "newest sample of `g8`"),
        (r#"sum({__name__=~"old1|old2"})"#, "newest sample of"),
        (r#"sum({__name__=~"new1|old1"})"#, "newest sample of"),
        ("old1 @ end()", "newest sample of `old1`"),
        ("old1 offset 1m", "newest sample of `old1`"),
        ("max_over_time(old1[4m:15s])", "newest sample of `old1`"),
        ("sum by (rate) (old1)", "newest sample of `old1`"),
        ("g0 + on() group_left() old1", "newest sample of `old1`"),
        // A query of the past alone says nothing about now.
        ("g0 offset 10m", "newest sample of `g0` is 6"),
        (&format!("g0 @ {at}"), "newest sample of `g0` is 7"),
        // An unknown age does not count as fresh.
        (
            &many.join("+"),
            "is not known: it names more than 64 selectors",
        ),
    ] {
        let ran = ask(&server, query, "max: 5%").code(3);
        ran.ends(ID, "inconclusive", why);
    }
    for accepted in ["max(two)", &many.join("+")] {
        ask(&server, accepted, "max: 5%, on-stale: pass").code(0);
    }
    for fresh in [
        "max(two{i=\"a\"})",
        r#"sum({__name__=~"new1|new2"})"#,
        r#"sum by (__name__) ({__name__="new1"})"#,
        "g0 @ end()",
        "g0 offset 30s",
        // Yesterday's beside today's.
        "g0 - g0 offset 10m",
        "sum(sum_over_time(long{i=\"a\"}[15m]))",
        "vector(0)",
    ] {
        ask(&server, fresh, "max: 5%").code(0);
    }
}

/// A proxy before a server that reports another time: our clock is then that much behind.
fn with_a_clock_ahead(server: &Prometheus, ahead: i64) -> String {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let base = server.url();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let base = base.clone();
            std::thread::spawn(move || {
                let mut head = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
                let path = head.split(' ').nth(1).unwrap_or_default();
                let answer = testkit::get(&format!("{base}{path}")).unwrap();
                let date = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + ahead);
                let date = date.unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT");
                let head = format!(
                    "HTTP/1.1 {} X\r\nDate: {date}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    answer.status,
                    answer.body.len()
                );
                let _ = stream.write_all(&[head.as_bytes(), &answer.body].concat());
            });
        }
    });
    url
}

#[test]
fn hg_clock_behind_the_servers_clock_counts() {
    let mut text = "# TYPE http_requests counter\n".to_owned();
    series(&mut text, "http_requests_total{status=\"200\"}", |ago| {
        Some((1200 - ago) * 100 / 60)
    });
    // By the server's clock, which is five minutes ahead, errors began three minutes ago.
    series(&mut text, "http_requests_total{status=\"500\"}", |ago| {
        (ago <= -120).then(|| 30 + (-120 - ago) * 50 / 60)
    });
    let server = recording(&text, "http_requests_total");
    let query = "sum(rate(http_requests_total{status=\"500\"}[2m]) or vector(0))/sum(rate(http_requests_total[2m]))";
    ask(&server, query, "max: 5%").code(0);
    let ahead = with_a_clock_ahead(&server, 300);
    let ran = asks(&ahead, query, "max: 5%").run().code(1);
    ran.ends(ID, "fail", "ahead of ours, and counts");
    // By ours the newest sample would be of the future, by the server's it is old.
    let mut text = String::new();
    series(&mut text, "up", |ago| (ago > -60).then_some(1));
    let server = recording(&text, "up");
    ask(&server, "up", "max: 5").code(0);
    let ahead = with_a_clock_ahead(&server, 240);
    let ran = asks(&ahead, "up", "max: 5").run().code(3);
    ran.ends(ID, "inconclusive", "newest sample of `up` is");
}

#[test]
fn hg_slo_born_with_a_value_a_counter_is_counted_in() {
    let mut text = "# TYPE http_requests counter\n".to_owned();
    let mut add = |job: &str, status: &str, value: &dyn Fn(i64) -> Option<i64>| {
        let name = format!("http_requests_total{{job=\"{job}\",status=\"{status}\"}}");
        series(&mut text, &name, value);
    };
    let steady = |ago: i64| Some((1200 - ago) * 100 / 60);
    let since = |born: i64, first: i64, each: i64| {
        move |ago: i64| (ago <= born).then(|| first + (born - ago) * each / 60)
    };
    add("a", "200", &steady);
    add("a", "500", &since(180, 30, 0));
    add("b", "200", &since(60, 100, 100));
    add("b", "500", &since(60, 100, 0));
    // A new process that has failed nothing, and one of old that has only been out of sight.
    add("good", "200", &since(60, 100, 100));
    add("good", "500", &since(60, 0, 0));
    add("hidden", "200", &steady);
    add("hidden", "500", &|ago| {
        (ago > 900 || ago <= 120).then_some(3000)
    });
    let server = recording(&text, "count(http_requests_total)");
    let judged = |job: &str| {
        let url = server.url();
        gate(&format!(
            "  slo: {{ server: {url}, labels: {{ job: {job} }}, error-rate: 5% }}\n"
        ))
        .run()
    };
    let why = "counters appeared within the window with a value, which a rate leaves out; counted in, it is";
    for job in ["a", "b"] {
        let ran = judged(job).code(3);
        ran.ends("slo/error-rate", "inconclusive", why);
    }
    for job in ["good", "hidden"] {
        judged(job).code(0);
    }
}

//! Data that is broken never passes, and the reason names what is wrong with it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::gating::gate;

/// What is wrong with the answers of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nothing,
    /// The canary's counters begin anew.
    Reset,
    /// Nothing new comes from the canary.
    Stale,
    /// A target under two jobs.
    TwoSeries,
    /// The canary's requests have no status.
    NoLabel,
    NotScraped,
    Fractions,
    /// The replica that scraped the canary runs by a clock that is a minute behind.
    Behind,
    /// A minute ahead.
    Ahead,
    /// Two replicas scrape the canary, by different clocks.
    Replicas,
    /// Nothing was scraped for a while.
    Gap,
    /// A store did not answer.
    Partial,
    /// Both sides' matchers choose the same.
    SameSeries,
}

/// When it breaks, in seconds after the server's start.
const BREAKS: f64 = 4.0;
/// How long a gap is, which begins before the comparison does.
const GAP: f64 = 6.0;

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs_f64()
}

/// A server that scrapes each second, with 100 requests a second on the canary and 900 on stable.
fn serve(fault: Fault) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let started = now();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(answer(stream, fault, started)));
        }
    });
    format!("http://127.0.0.1:{port}")
}

fn answer(stream: TcpStream, fault: Fault, started: f64) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let target = first.split(' ').nth(1).unwrap_or_default();
    let url = url::Url::parse(&format!("http://x{target}")).unwrap();
    let query = url.query_pairs().find(|(name, _)| name == "query");
    let query = query
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    let body = body(&query, fault, started).to_string();
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    let mut stream = stream;
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
}

fn body(query: &str, fault: Fault, started: f64) -> Value {
    let data = |kind: &str, result: Value| json!({"status": "success", "data": {"resultType": kind, "result": result}});
    if query == "time()" {
        return data("scalar", json!([now(), now().to_string()]));
    }
    let is_range = query.ends_with("ms]");
    if !is_range {
        return data("vector", json!([]));
    }
    let is_canary = query.contains("release=\"v2\"") && fault != Fault::SameSeries;
    let failed = query.contains("status=~");
    let mut result = Vec::new();
    if !(is_canary && fault == Fault::NotScraped) {
        let release = if is_canary { "v2" } else { "v1" };
        let mut labels = json!({"__name__": "http_requests_total", "instance": release, "release": release, "job": "shop", "status": if failed { "500" } else { "200" }});
        if is_canary && fault == Fault::NoLabel {
            labels.as_object_mut().unwrap().remove("status");
        }
        let is_broken = is_canary || fault == Fault::Gap;
        let fault = if is_broken { fault } else { Fault::Nothing };
        if !(failed && fault == Fault::NoLabel) {
            result.push(
                json!({"metric": labels, "values": samples(fault, failed, is_canary, started)}),
            );
        }
        let mut other = labels.clone();
        match fault {
            Fault::TwoSeries => {
                other["job"] = json!("shop-again");
                result.push(
                    json!({"metric": other, "values": samples(fault, failed, is_canary, started)}),
                );
            }
            Fault::Replicas => {
                result[0]["metric"]["prometheus_replica"] = json!("a");
                other["prometheus_replica"] = json!("b");
                let values = samples(Fault::Behind, failed, is_canary, started);
                result.push(json!({"metric": other, "values": values}));
            }
            _ => {}
        }
    }
    let mut answer = data("matrix", json!(result));
    if is_canary && fault == Fault::Partial {
        answer["warnings"] = json!(["a store of the canary did not answer"]);
    }
    answer
}

/// Of the last two minutes.
fn samples(fault: Fault, failed: bool, is_canary: bool, started: f64) -> Vec<Value> {
    let (newest, breaks) = (now().floor(), started.floor() + BREAKS);
    let rate = match (failed, is_canary) {
        (true, _) => 0.0,
        (false, true) => 100.0,
        (false, false) => 900.0,
    };
    let times = (0..120).rev().map(|before| newest - f64::from(before));
    let values = times.filter_map(|time| {
        let mut count = (time - started.floor() + 1000.0) * rate;
        let mut at = time + 0.25;
        match fault {
            Fault::Reset if time >= breaks && !failed => count = (time - breaks) * rate,
            Fault::Stale if time >= breaks => return None,
            Fault::Gap if time >= breaks && time < breaks + GAP => return None,
            Fault::Fractions if !failed => count += 0.5,
            Fault::Behind => at -= 60.0,
            Fault::Ahead => at += 20.0,
            _ => {}
        }
        (at <= now() || fault == Fault::Ahead).then(|| json!([at, count.to_string()]))
    });
    values.collect()
}

#[test]
fn broken_data_never_passes_and_the_reason_names_it() {
    let cases = [
        (Fault::Nothing, 0, ""),
        (Fault::Reset, 3, "reset: a counter of canary fell from"),
        (Fault::Stale, 3, "stale"),
        (Fault::TwoSeries, 3, "two series where one is expected"),
        (Fault::NoLabel, 3, "`status` is missing at canary"),
        (Fault::NotScraped, 3, "canary is not scraped"),
        (Fault::Fractions, 3, "is not a whole number"),
        (Fault::Behind, 3, "scrape times differ"),
        (Fault::Ahead, 3, "clock skew"),
        (Fault::Replicas, 3, "clock skew between replicas"),
        (Fault::Gap, 3, "gap"),
        (Fault::Partial, 3, "a store of the canary did not answer"),
        (Fault::SameSeries, 3, "the same series is on both sides"),
    ];
    let tried = cases.map(|(fault, code, why)| {
        std::thread::spawn(move || {
            let section = format!(
                "  canary: {{ server: '{}', label: release, interval: 1s, deadline: 20s, metrics: [{{ name: errors, kind: ratio, at-most: 0.25% }}] }}\n",
                serve(fault)
            );
            let ran = gate(&section)
                .env("LAST_KNOWN_GOOD", "v1")
                .args(&["--release", "v2"])
                .run();
            assert_eq!(ran.code, code, "{fault:?}: {}", ran.text);
            let verdict = if code == 0 { "pass" } else { "inconclusive" };
            ran.ends("canary/errors", verdict, why);
        })
    });
    let failed = tried.map(|tried| tried.join().is_err());
    assert!(!failed.contains(&true));
}

/// A gauge has a value from the first look on, and counters only show where they stand.
#[test]
fn a_gauge_beside_counters_does_not_keep_them_from_passing() {
    let section = format!(
        "  canary: {{ server: '{}', label: release, interval: 1s, deadline: 20s, metrics: [{{ name: errors, kind: ratio, at-most: 0.25% }}, {{ name: memory, kind: gauge, query: 'memory{{ {{side}} }}', severity: advisory }}] }}\n",
        serve(Fault::Nothing)
    );
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary.md");
    let gate = gate(&section).env("LAST_KNOWN_GOOD", "v1").args(&[
        "--release",
        "v2",
        "--summary",
        summary.to_str().unwrap(),
    ]);
    let ran = gate.run();
    ran.ends("canary/errors", "pass", "");
    // The ratio with its band, and the evidence for both verdicts.
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(summary.matches("```mermaid").count() >= 2, "{summary}");
    // No probe was asked by the policy of the gate.
    assert!(ran.json["policy"].is_null(), "{}", ran.json);
}

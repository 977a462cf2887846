//! The alerts: checked and tested by promtool, and fired through Prometheus and Alertmanager.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use measures::alerts::{ServiceMetrics, rules};
use measures::{Conclusion, Deployment, Measures, Rollback};
use testkit::{Alertmanager, Prometheus, wait_until};

use crate::series::text;
use crate::support::{bare, labels, november, run};

fn service() -> ServiceMetrics {
    ServiceMetrics {
        labels: vec![("job".into(), "it's \"the\" shop\\".into())],
        release_label: "release".into(),
    }
}

#[test]
fn the_rules_as_they_are_written() {
    insta::assert_snapshot!(rules(&ServiceMetrics::default()));
}

#[test]
fn promtool_accepts_the_rules() {
    for service in [service(), ServiceMetrics::default()] {
        assert!(service.is_valid());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.yml");
        std::fs::write(&file, rules(&service)).unwrap();
        let args = ["check", "rules", file.to_str().unwrap()];
        let (code, told) = run("promtool", &args, "");
        assert_eq!(code, 0, "{told}");
        assert!(told.contains("SUCCESS: 8 rules found"), "{told}");
    }
    let wrong = |side: &str| ServiceMetrics {
        release_label: side.into(),
        ..ServiceMetrics::default()
    };
    for side in ["", "1x", "a-b", "__x", "a} or vector(1"] {
        assert!(!wrong(side).is_valid(), "{side}");
    }
}

/// A series of one value a minute.
struct Series<'a>(&'a str, &'a str);

/// One test of promtool: series, and the alerts that fire after so many minutes.
fn fires(series: &[Series<'_>], minute: u32, expected: &[&str]) {
    let all = [
        "DeploymentFailed",
        "RollbackTriggered",
        "HighErrorRate",
        "HighLatency",
        "SlowDeployment",
        "HealthCheckRetries",
        "CanaryTrafficImbalance",
        "DeploymentTargetMissed",
    ];
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("rules.yml"),
        rules(&ServiceMetrics::default()),
    )
    .unwrap();
    // Labels and annotations have their own snapshot: here counts whether one fires.
    let fired = r#"count by (alertname) (ALERTS{alertstate="firing"})"#;
    let mut test = String::from(
        "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n",
    );
    for Series(name, values) in series {
        test.push_str(&format!(
            "      - {{ series: '{name}', values: '{values}' }}\n"
        ));
    }
    test.push_str(&format!(
        "    promql_expr_test:\n      - expr: '{fired}'\n        eval_time: {minute}m\n        exp_samples:\n"
    ));
    for name in expected {
        assert!(all.contains(name), "{name}");
        test.push_str(&format!(
            "          - {{ labels: '{{alertname=\"{name}\"}}', value: 1 }}\n"
        ));
    }
    let file = folder.path().join("test.yml");
    std::fs::write(&file, &test).unwrap();
    let (code, told) = run("promtool", &["test", "rules", file.to_str().unwrap()], "");
    assert_eq!(code, 0, "{told}\n{test}");
}

const OF: &str = r#"service="shop",environment="production""#;

#[test]
fn each_alert_fires_for_its_cause_and_for_nothing_else() {
    let failed =
        format!(r#"deploy_guard_last_completed_timestamp_seconds{{{OF},status="failure"}}"#);
    let good = format!(r#"deploy_guard_last_completed_timestamp_seconds{{{OF},status="success"}}"#);
    let rollback = format!("deploy_guard_last_rollback_timestamp_seconds{{{OF}}}");
    let running = format!("deploy_guard_running_deployment_started_timestamp_seconds{{{OF}}}");
    let took = format!("deploy_guard_newest_deployment_duration_seconds{{{OF}}}");
    let retries = format!("deploy_guard_newest_deployment_health_retries{{{OF}}}");
    let met = format!(r#"deploy_guard_figure_target_met{{{OF},figure="rollback_rate"}}"#);
    let observed = format!(r#"deploy_guard_canary_share_ratio{{{OF},source="observed"}}"#);
    let configured = format!(r#"deploy_guard_canary_share_ratio{{{OF},source="configured"}}"#);

    // Failed at minute 5: told until minute 20.
    fires(
        &[Series(&failed, "300x60"), Series(&good, "300x60")],
        10,
        &["DeploymentFailed"],
    );
    fires(&[Series(&failed, "300x60")], 21, &[]);
    fires(&[Series(&good, "300x60")], 6, &[]);
    // The counter that stands for it is not looked at: one that starts again tells nothing.
    let counter = format!(r#"deployment_completed_total{{{OF},status="failure"}}"#);
    fires(&[Series(&counter, "5 5 5 4 4 4 4")], 5, &[]);
    fires(&[Series(&rollback, "300x60")], 6, &["RollbackTriggered"]);
    fires(&[Series(&rollback, "300x60")], 20, &[]);

    let ok = r#"http_requests_total{status="200"}"#;
    let bad = r#"http_requests_total{status="503"}"#;
    fires(
        &[Series(ok, "0+94x20"), Series(bad, "0+6x20")],
        10,
        &["HighErrorRate"],
    );
    fires(&[Series(ok, "0+95x20"), Series(bad, "0+5x20")], 10, &[]);
    // No requests: there is no rate.
    fires(&[Series(ok, "7x20"), Series(bad, "7x20")], 10, &[]);

    let bucket = |le: &str| format!(r#"http_request_duration_seconds_bucket{{le="{le}"}}"#);
    let [one, three, ten, all] = ["1", "3", "10", "+Inf"].map(bucket);
    let slow = [
        Series(&one, "0+90x20"),
        Series(&three, "0+94x20"),
        Series(&ten, "0+100x20"),
        Series(&all, "0+100x20"),
    ];
    fires(&slow, 10, &["HighLatency"]);
    let fast = [
        Series(&one, "0+90x20"),
        Series(&three, "0+96x20"),
        Series(&ten, "0+100x20"),
        Series(&all, "0+100x20"),
    ];
    fires(&fast, 10, &[]);

    fires(&[Series(&running, "60x30")], 11, &[]);
    fires(&[Series(&running, "60x30")], 12, &["SlowDeployment"]);
    fires(&[Series(&took, "600x5")], 3, &[]);
    fires(&[Series(&took, "601x5")], 3, &["SlowDeployment"]);
    fires(&[Series(&retries, "5x5")], 3, &[]);
    fires(&[Series(&retries, "6x5")], 3, &["HealthCheckRetries"]);
    fires(
        &[Series(&observed, "0.25x9"), Series(&configured, "0.1x9")],
        5,
        &["CanaryTrafficImbalance"],
    );
    fires(
        &[Series(&observed, "0.15x9"), Series(&configured, "0.1x9")],
        5,
        &[],
    );
    fires(&[Series(&met, "0x5")], 3, &["DeploymentTargetMissed"]);
    fires(&[Series(&met, "1x5")], 3, &[]);
}

/// Keeps the bodies of all requests.
fn receiver() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let kept = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&kept);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let into = Arc::clone(&into);
            std::thread::spawn(move || {
                let mut bytes = vec![0; 1 << 16];
                stream
                    .set_read_timeout(Some(Duration::from_millis(500)))
                    .unwrap();
                let mut text = String::new();
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    text.push_str(&String::from_utf8_lossy(&bytes[..read]));
                }
                into.lock().unwrap().push_str(&text);
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                );
            });
        }
    });
    (url, kept)
}

/// A deployment that is rolled back now reaches the receiver of Alertmanager; a good one does not.
#[test]
fn a_rollback_fires_through_prometheus_and_alertmanager() {
    let now = jiff::Timestamp::now();
    let ago = |minutes| now - jiff::SignedDuration::from_mins(minutes);
    let good = Deployment {
        ended: Some(ago(50)),
        health_retries: Some(0),
        ..bare(ago(55), Conclusion::Succeeded)
    };
    let bad = Deployment {
        ended: Some(now),
        rollback: Some(Rollback {
            started: ago(1),
            ended: Some(now),
            restored: Some(true),
        }),
        ..bare(ago(4), Conclusion::RolledBack)
    };
    let series = |history: &[Deployment]| text(&labels(), &Measures::of(history, &[], november()));
    let (url, kept) = receiver();
    let alertmanager = Alertmanager::sending_to(&url);
    let rules = rules(&ServiceMetrics::default());
    let server = Prometheus::alerting(&series(std::slice::from_ref(&good)), &rules, &alertmanager);
    let quiet = r#"count(ALERTS{alertstate="firing"})"#;
    assert_eq!(server.series(quiet), Ok(0));
    assert_eq!(kept.lock().unwrap().as_str(), "");
    server.set(&series(&[good, bad]));
    let told = wait_until(Duration::from_mins(1), || {
        let kept = kept.lock().unwrap();
        ["DeploymentFailed", "RollbackTriggered"]
            .iter()
            .all(|name| kept.contains(name))
    });
    let kept = kept.lock().unwrap().clone();
    assert!(told, "{kept}\n{}", alertmanager.process().log());
    assert!(
        kept.contains("A deployment of shop to production is rolled back"),
        "{kept}"
    );
    assert!(kept.contains(r#""page":"true""#), "{kept}");
    assert!(!kept.contains("SlowDeployment"), "{kept}");
}

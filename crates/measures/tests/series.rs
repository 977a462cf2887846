//! The series, read by Prometheus, promtool and node_exporter.

use std::process::Command;
use std::time::Duration;

use measures::{CanaryShare, Exposition, Labels, Measures};
use testkit::{Process, Prometheus, free_port, get, tool, wait_until};

use crate::support::{at, deployment, incident, labels, november, run};

pub(crate) fn history() -> Measures {
    let made = [
        (
            "2026-11-02T10:00:00Z",
            "succeeded committed=-2h ended=4m rework=no errors=0/100",
        ),
        (
            "2026-11-03T10:00:00Z",
            "succeeded committed=-1h ended=10m rework=no errors=0/100",
        ),
        (
            "2026-11-04T10:00:00Z",
            "rolled-back committed=-1h ended=9m rework=no bad=5m restored=8m rollback=6m..8m:restored errors=4/90",
        ),
        (
            "2026-11-04T11:00:00Z",
            "succeeded committed=-20m ended=31m rework=yes errors=0/10",
        ),
        ("2026-11-05T10:00:00Z", "refused ended=2s"),
    ];
    let mut made: Vec<_> = made
        .map(|(start, words)| deployment(words, at(start)))
        .into();
    made[4].release = "v\"5\\\n".into();
    made[4].health_retries = Some(2);
    let incidents = [
        incident(
            "2026-11-04T10:05:00Z",
            Some("2026-11-04T10:08:00Z"),
            "critical",
        ),
        incident("2026-11-06T00:00:00Z", None, "warning"),
    ];
    Measures::of(&made, &incidents, november())
}

pub(crate) fn text(labels: &Labels, measures: &Measures) -> String {
    let canary = Some(CanaryShare {
        configured: "10%".parse().unwrap(),
        observed: Some("9.5%".parse().unwrap()),
    });
    Exposition {
        labels,
        measures,
        canary,
    }
    .to_string()
}

#[test]
fn the_series_as_they_are_written() {
    insta::assert_snapshot!(text(&labels(), &history()));
}

#[test]
fn promtool_finds_nothing_to_say() {
    let empty = Measures::of(&[], &[], november());
    for measures in [history(), empty] {
        let answer = run(
            "promtool",
            &["check", "metrics"],
            &text(&labels(), &measures),
        );
        assert_eq!(answer, (0, String::new()));
    }
}

/// Names that hold what the format itself uses arrive as they are.
#[test]
fn hostile_names_are_labels_and_nothing_else() {
    let labels = Labels {
        service: "a\"} evil_total 1\n# TYPE x counter\\".into(),
        environment: "päd\\n\"".into(),
    };
    let server = Prometheus::scraping(&text(&labels, &history()));
    assert_eq!(server.number("deployment_started_total"), Some(5.0));
    assert_eq!(server.series("evil_total"), Ok(0));
    let selected = r#"deployment_started_total{service="a\"} evil_total 1\n# TYPE x counter\\",environment="päd\\n\""}"#;
    assert_eq!(server.number(selected), Some(5.0));
}

#[test]
fn prometheus_reads_the_figures() {
    let server = Prometheus::scraping(&text(&labels(), &history()));
    for (query, value) in [
        ("deployment_started_total", 5.0),
        (r#"deployment_completed_total{status="success"}"#, 3.0),
        (r#"deployment_completed_total{status="failure"}"#, 1.0),
        (r#"deployment_completed_total{status="refused"}"#, 1.0),
        (r#"deployment_completed_total{status="cancelled"}"#, 0.0),
        ("rollback_triggered_total", 1.0),
        ("deployment_duration_seconds_count", 4.0),
        // 4, 10, 9 and 31 minutes.
        ("deployment_duration_seconds_sum", 3240.0),
        // A bound belongs to its bucket.
        (r#"deployment_duration_seconds_bucket{le="600"}"#, 3.0),
        (r#"deployment_duration_seconds_bucket{le="1800"}"#, 3.0),
        ("deploy_guard_deployment_success_ratio", 0.75),
        ("deploy_guard_rollback_ratio", 0.25),
        (
            r#"deploy_guard_change_lead_time_seconds{statistic="median"}"#,
            4200.0,
        ),
        (
            r#"deploy_guard_time_to_recovery_seconds{statistic="mean"}"#,
            180.0,
        ),
        (
            r#"deploy_guard_figure_unknown{figure="mean_time_to_recovery"}"#,
            1.0,
        ),
        (
            r#"deploy_guard_figure_target{figure="rollback_time"}"#,
            300.0,
        ),
        (
            r#"deploy_guard_canary_share_ratio{source="observed"}"#,
            0.095,
        ),
    ] {
        assert_eq!(server.number(query), Some(value), "{query}");
    }
    // One incident is open: it is not known whether the target is met.
    let met = r#"deploy_guard_figure_target_met{figure="mean_time_to_recovery"}"#;
    assert_eq!(server.series(met), Ok(0));
}

#[test]
fn node_exporter_reads_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("textfile");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("shop.prom"), text(&labels(), &history())).unwrap();
    // Two services write two files with the same families.
    let other = Labels {
        service: "cart".into(),
        environment: "production".into(),
    };
    std::fs::write(files.join("cart.prom"), text(&other, &history())).unwrap();
    let port = free_port();
    let mut command = Command::new(tool("prometheus-node-exporter"));
    command
        .args(["--collector.disable-defaults", "--collector.textfile"])
        .arg(format!(
            "--collector.textfile.directory={}",
            files.display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let process = Process::start(folder.path(), &mut command);
    process.wait_for_port(port, Duration::from_mins(1));
    let mut read = String::new();
    let there = wait_until(Duration::from_secs(20), || {
        read =
            get(&format!("http://127.0.0.1:{port}/metrics")).map_or(String::new(), |it| it.text());
        read.contains("node_textfile_scrape_error")
    });
    assert!(there, "{}", process.log());
    assert!(
        read.contains("node_textfile_scrape_error 0"),
        "{}",
        process.log()
    );
    for service in ["shop", "cart"] {
        let line = format!(
            r#"deployment_started_total{{environment="production",service="{service}"}} 5"#
        );
        assert!(read.contains(&line), "{read}");
    }
}

/// One that found the lock held and was refused is newer than the one that runs.
#[test]
fn what_runs_is_told_although_a_newer_one_was_refused() {
    let history = [
        deployment("refused ended=1s", at("2026-11-02T10:05:00Z")),
        deployment("running", at("2026-11-02T10:00:00Z")),
    ];
    let written = text(&labels(), &Measures::of(&history, &[], november()));
    let line = |name: &str| {
        let lines: Vec<&str> = written
            .lines()
            .filter(|line| line.starts_with(name))
            .collect();
        lines.join("\n")
    };
    let since = at("2026-11-02T10:00:00Z").as_second().to_string();
    assert!(
        line("deploy_guard_running_deployment_started").ends_with(&since),
        "{written}"
    );
    assert!(
        line("deploy_guard_newest_deployment_timestamp").contains("refused"),
        "{written}"
    );
}

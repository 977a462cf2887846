//! Each query of the dashboard in a real Prometheus, over our own series and those of a service.

use measures::dashboard::{ServiceMetrics, dashboard};
use serde_json::Value;
use testkit::{Prometheus, wait_until};

use crate::series::{history, text};
use crate::support::labels;

fn service() -> ServiceMetrics {
    ServiceMetrics {
        labels: vec![("job".into(), "test".into())],
        release_label: "release".into(),
    }
}

/// What a service exports, as runbook 003 names it.
pub(crate) fn service_series(count: u64) -> String {
    let mut text = String::from("# TYPE http_requests_total counter\n");
    for (release, factor) in [("v1", 9), ("v2", 1)] {
        for (status, share) in [("200", 10), ("500", 1)] {
            let value = count * factor * share;
            text.push_str(&format!(
                "http_requests_total{{release=\"{release}\",status=\"{status}\"}} {value}\n"
            ));
        }
    }
    text
}

/// Every query, with what Grafana puts for its variables.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let replaced = |text: &str| {
        let text = text
            .replace("$service", "shop|.*")
            .replace("$environment", ".*");
        text.replace("$__rate_interval", "1m")
            .replace("$__range", "5m")
    };
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap().to_owned();
            all.push((title, replaced(target["expr"].as_str().unwrap())));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        let name = annotation["name"].as_str().unwrap().to_owned();
        all.push((name, replaced(annotation["expr"].as_str().unwrap())));
    }
    all
}

#[test]
fn every_query_gives_series() {
    let series = |count| text(&labels(), &history()) + &service_series(count);
    let server = Prometheus::scraping(&series(1));
    server.set(&series(100));
    let queries = queries(&dashboard(&service()));
    assert!(queries.len() > 25, "{queries:#?}");
    for (title, query) in queries {
        let mut last = Ok(0);
        let there = wait_until(std::time::Duration::from_secs(20), || {
            last = server.series(&query);
            last.as_ref().is_ok_and(|series| *series > 0) || last.is_err()
        });
        assert!(there && last.is_ok(), "{title}: {query}: {last:?}");
    }
}

/// The titles that runbook 003 asks for, and no panel over another one.
#[test]
fn the_panels_of_the_runbook_are_there_and_none_covers_another() {
    let dashboard = dashboard(&service());
    let panels = dashboard["panels"].as_array().unwrap();
    let titles: Vec<&str> = panels
        .iter()
        .map(|it| it["title"].as_str().unwrap())
        .collect();
    for title in [
        "Deployment timeline",
        "Success, failure and rollback rate",
        "Rollback frequency",
        "Mean time to recovery",
        "Traffic split",
        "Deployment frequency",
        "Change lead time",
    ] {
        assert!(titles.contains(&title), "{title}: {titles:?}");
    }
    let place =
        |panel: &Value| ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
    for (at, one) in panels.iter().enumerate() {
        let [x, y, w, h] = place(one);
        assert!(x + w <= 24, "{one}");
        for other in &panels[at + 1..] {
            let [ox, oy, ow, oh] = place(other);
            let apart = x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y;
            assert!(apart, "{} and {}", one["title"], other["title"]);
        }
    }
    let ids: std::collections::BTreeSet<_> = panels.iter().map(|it| it["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
    // The data source is chosen at the import.
    let text = dashboard.to_string();
    assert!(
        text.matches("${datasource}").count() > panels.len(),
        "{text}"
    );
}

//! A dashboard for Grafana: the deployment dashboard of runbook 003.
//!
//! The data source, the service and the environment are variables of the dashboard, so one file is
//! for all of them.

use serde_json::{Value, json};

use crate::figure::Kind;
use crate::names;
pub use crate::service_metrics::ServiceMetrics;

/// What selects the series of the chosen services and environments.
const CHOSEN: &str = r#"service=~"$service",environment=~"$environment""#;
/// Grafana's grid is so wide.
const COLUMNS: u64 = 24;

/// A dashboard to import or to provision, as JSON.
pub fn dashboard(service: &ServiceMetrics) -> Value {
    json!({
        "uid": "deploy-guard",
        "title": "Deployments",
        "tags": ["deploy-guard"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "refresh": "1m",
        "time": { "from": "now-7d", "to": "now" },
        "timezone": "utc",
        "templating": { "list": variables() },
        "annotations": { "list": annotations() },
        "panels": placed(panels(service)),
    })
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn variables() -> Vec<Value> {
    let of_label = |name: &str, query: String| {
        json!({
            "name": name,
            "label": name,
            "type": "query",
            "datasource": source(),
            "query": { "query": query, "refId": name },
            "definition": query,
            "refresh": 2,
            "sort": 1,
            "multi": true,
            "includeAll": true,
            "allValue": ".*",
        })
    };
    vec![
        json!({
            "name": "datasource",
            "label": "data source",
            "type": "datasource",
            "query": "prometheus",
            "refresh": 1,
        }),
        of_label(
            "service",
            format!("label_values({}, service)", names::STARTED),
        ),
        of_label(
            "environment",
            format!(
                r#"label_values({}{{service=~"$service"}}, environment)"#,
                names::STARTED
            ),
        ),
    ]
}

/// Marks in all panels. The value of such a series is a time.
fn annotations() -> Vec<Value> {
    let mark = |name: &str, color: &str, series: &str, title: &str, text: &str| {
        json!({
            "name": name,
            "datasource": source(),
            "enable": true,
            "iconColor": color,
            "expr": format!("{} * 1000", chosen(series)),
            "useValueForTime": true,
            "titleFormat": title,
            "textFormat": text,
            "tagKeys": "service,environment",
            "step": "60s",
        })
    };
    vec![
        mark(
            "Deployments",
            "blue",
            names::NEWEST,
            "{{release}}",
            "{{service}} in {{environment}}: {{status}}",
        ),
        mark(
            "Rollbacks",
            "red",
            names::LAST_ROLLBACK,
            "rollback",
            "{{service}} in {{environment}}",
        ),
    ]
}

/// A series of the chosen services.
fn chosen(name: &str) -> String {
    format!("{name}{{{CHOSEN}}}")
}

fn chosen_with(name: &str, condition: &str) -> String {
    format!("{name}{{{CHOSEN},{condition}}}")
}

struct Panel {
    title: &'static str,
    description: &'static str,
    /// Grafana's name of the kind: `stat`, `timeseries`, …
    kind: &'static str,
    unit: &'static str,
    width: u64,
    height: u64,
    /// Queries and how their series are called.
    queries: Vec<(String, &'static str)>,
}

const OF: &str = "{{service}} {{environment}}";

fn panels(service: &ServiceMetrics) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Kind::ALL.into_iter().map(stat).collect();
    panels.push(Panel {
        title: "Targets met",
        description: "Green where the target of the runbook is met, red where it is missed; missing where it is not known.",
        kind: "bargauge",
        unit: "bool_yes_no",
        width: 4,
        height: 4,
        queries: vec![(chosen(names::TARGET_MET), "{{figure}}")],
    });
    panels.push(timeline());
    panels.extend(rates());
    panels.extend(durations());
    panels.extend(of_service(service));
    panels
}

/// One figure as a number.
fn stat(kind: Kind) -> Panel {
    let name = names::of_figure(kind);
    let is_time = name.ends_with("_seconds");
    let query = if is_time {
        let statistic = format!(r#"statistic="{}""#, kind.statistic().as_str());
        chosen_with(name, &statistic)
    } else {
        chosen(name)
    };
    Panel {
        title: kind.title(),
        description: kind.definition(),
        kind: "stat",
        unit: match kind {
            _ if is_time => "s",
            Kind::DeploymentFrequency | Kind::PostDeploymentErrors => "short",
            _ => "percentunit",
        },
        width: 4,
        height: 4,
        queries: vec![(query, OF)],
    }
}

/// A panel of half the width with lines over time.
fn lines(
    title: &'static str,
    description: &'static str,
    unit: &'static str,
    queries: Vec<(String, &'static str)>,
) -> Panel {
    Panel {
        title,
        description,
        kind: "timeseries",
        unit,
        width: COLUMNS / 2,
        height: 8,
        queries,
    }
}

fn timeline() -> Panel {
    Panel {
        title: "Deployment timeline",
        description: "The newest deployment at each time, and how it ended.",
        kind: "state-timeline",
        unit: "short",
        width: COLUMNS,
        height: 8,
        queries: vec![(
            format!(
                "count by (service, environment, release, status) ({})",
                chosen(names::NEWEST)
            ),
            "{{service}} {{environment}} {{release}} {{status}}",
        )],
    }
}

fn rates() -> Vec<Panel> {
    let figure = |kind: Kind| chosen(names::of_figure(kind));
    let increase =
        |series: &str, by: &str| format!("sum by ({by}) (increase({}[$__range]))", chosen(series));
    vec![
        lines(
            "Deployments by how they ended",
            "Within the time range of the dashboard.",
            "short",
            vec![(increase(names::COMPLETED, "status"), "{{status}}")],
        ),
        lines(
            "Success, failure and rollback rate",
            "Over the window of the figures. Refused and cancelled deployments are in none of them.",
            "percentunit",
            vec![
                (figure(Kind::SuccessRate), "success {{service}}"),
                (figure(Kind::ChangeFailRate), "failure {{service}}"),
                (figure(Kind::RollbackRate), "rollback {{service}}"),
            ],
        ),
        lines(
            "Rollback frequency",
            "Rollbacks within the time range of the dashboard.",
            "short",
            vec![(increase(names::ROLLBACKS, "service, environment"), OF)],
        ),
        lines(
            "Deployments per day",
            "Deployments that succeeded.",
            "short",
            vec![(figure(Kind::DeploymentFrequency), OF)],
        ),
        lines(
            "Open incidents",
            "By severity.",
            "short",
            vec![(
                format!("sum by (severity) ({})", chosen(names::OPEN_INCIDENTS)),
                "{{severity}}",
            )],
        ),
    ]
}

fn durations() -> Vec<Panel> {
    let statistic = |kind: Kind, which: &str| {
        chosen_with(names::of_figure(kind), &format!(r#"statistic=~"{which}""#))
    };
    let quantile = |quantile: &str| {
        let buckets = chosen(&format!("{}_bucket", names::DURATION));
        format!("histogram_quantile({quantile}, sum by (le) ({buckets}))")
    };
    vec![
        lines(
            "Recovery",
            "Mean time to recovery of incidents, and the median of failed deployments.",
            "s",
            vec![
                (
                    statistic(Kind::MeanTimeToRecovery, "mean"),
                    "incidents, mean {{service}}",
                ),
                (
                    statistic(Kind::FailedDeploymentRecoveryTime, "median"),
                    "failed deployments, median {{service}}",
                ),
            ],
        ),
        lines(
            "Lead time",
            "From the commit to production.",
            "s",
            vec![(
                statistic(Kind::ChangeLeadTime, "median|p90"),
                "{{statistic}} {{service}}",
            )],
        ),
        lines(
            "Durations of deployments",
            "Percentiles of all that succeeded, failed or were rolled back, from the histogram.",
            "s",
            vec![(quantile("0.5"), "median"), (quantile("0.9"), "p90")],
        ),
    ]
}

/// From the service's own metrics, and the canary's share.
fn of_service(service: &ServiceMetrics) -> Vec<Panel> {
    let side = &service.release_label;
    let requests = format!("rate({}[$__rate_interval])", service.requests(""));
    let failed = format!(
        "rate({}[$__rate_interval])",
        service.requests(r#"status=~"5..""#)
    );
    vec![
        lines(
            "Traffic split",
            "The share of the requests that each release serves, and the share of the canary as configured and observed.",
            "percentunit",
            vec![
                (
                    format!(
                        "sum by ({side}) ({requests}) / ignoring ({side}) group_left () sum ({requests})"
                    ),
                    "",
                ),
                (chosen(names::CANARY_SHARE), "canary, {{source}}"),
            ],
        ),
        lines(
            "Errors by release",
            "The share of the requests of each release that fail.",
            "percentunit",
            vec![(
                format!("sum by ({side}) ({failed}) / sum by ({side}) ({requests})"),
                "",
            )],
        ),
    ]
}

/// From left to right, in rows as high as their highest panel.
fn placed(panels: Vec<Panel>) -> Vec<Value> {
    let (mut x, mut y, mut row) = (0, 0, 0);
    let mut all = Vec::new();
    for (id, panel) in (1_u64..).zip(panels) {
        if x + panel.width > COLUMNS {
            (x, y, row) = (0, y + row, 0);
        }
        all.push(panel.json(id, x, y));
        x += panel.width;
        row = row.max(panel.height);
    }
    all
}

impl Panel {
    fn json(&self, id: u64, x: u64, y: u64) -> Value {
        let is_number = matches!(self.kind, "stat" | "bargauge");
        let targets: Vec<Value> = ('A'..)
            .zip(&self.queries)
            .map(|(id, (expr, legend))| {
                let legend = if legend.is_empty() { "__auto" } else { legend };
                json!({
                    "refId": id.to_string(),
                    "datasource": source(),
                    "expr": expr,
                    "legendFormat": legend,
                    "instant": is_number,
                    "range": !is_number,
                })
            })
            .collect();
        json!({
            "id": id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": source(),
            "gridPos": { "x": x, "y": y, "w": self.width, "h": self.height },
            "fieldConfig": { "defaults": { "unit": self.unit }, "overrides": [] },
            "options": options(self.kind),
            "targets": targets,
        })
    }
}

fn options(kind: &str) -> Value {
    match kind {
        "stat" | "bargauge" => json!({
            "reduceOptions": { "calcs": ["lastNotNull"], "values": false },
            "orientation": "horizontal",
        }),
        "timeseries" => json!({ "legend": { "showLegend": true, "placement": "bottom" } }),
        _ => json!({}),
    }
}

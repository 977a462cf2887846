//! The alerts of runbook 003 as rules for Prometheus.
//!
//! An alert about something that happened looks at when it last happened, not at how a counter grew:
//! a counter that appears with its first failure has not increased, and one that starts again has.

use std::fmt::Write as _;

use crate::names;
pub use crate::service_metrics::ServiceMetrics;

/// How long something that happened is told.
const RECENT: &str = "900";

struct Rule {
    name: &'static str,
    expr: String,
    /// How long it must hold.
    lasting: Option<&'static str>,
    severity: &'static str,
    /// Further labels, which routes match: `page`, `action`.
    labels: &'static [(&'static str, &'static str)],
    summary: &'static str,
    description: &'static str,
}

/// A rules file for `rule_files:`, in YAML. Its labels are for the routes of Alertmanager:
/// `severity` is `critical` or `warning`, `page: "true"` where the runbook pages too, and
/// `action: rollback` where it rolls back.
pub fn rules(service: &ServiceMetrics) -> String {
    let mut text = String::from("groups:\n");
    for (group, rules) in [("critical", critical(service)), ("warning", warnings())] {
        let _ = writeln!(text, "  - name: deploy-guard-{group}\n    rules:");
        for rule in rules {
            rule.write(&mut text);
        }
    }
    text
}

impl Rule {
    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "      - alert: {}", self.name);
        let _ = writeln!(text, "        expr: {}", quoted(&self.expr));
        if let Some(lasting) = self.lasting {
            let _ = writeln!(text, "        for: {lasting}");
        }
        let _ = writeln!(
            text,
            "        labels:\n          severity: {}",
            self.severity
        );
        for (name, value) in self.labels {
            let _ = writeln!(text, "          {name}: {}", quoted(value));
        }
        let _ = writeln!(text, "        annotations:");
        let _ = writeln!(text, "          summary: {}", quoted(self.summary));
        let _ = writeln!(text, "          description: {}", quoted(self.description));
    }
}

/// Between single quotes, where YAML knows no escape but the quote itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn critical(service: &ServiceMetrics) -> Vec<Rule> {
    vec![
        Rule {
            name: "DeploymentFailed",
            expr: format!(
                r#"time() - {}{{status="failure"}} < {RECENT}"#,
                names::LAST_COMPLETED
            ),
            lasting: None,
            severity: "critical",
            labels: &[],
            summary: "A deployment of {{ $labels.service }} to {{ $labels.environment }} failed",
            description: "It failed {{ $value | humanizeDuration }} ago. Look at `incident status`, then at `rollback status`.",
        },
        Rule {
            name: "RollbackTriggered",
            expr: format!("time() - {} < {RECENT}", names::LAST_ROLLBACK),
            lasting: None,
            severity: "critical",
            labels: &[("page", "true")],
            summary: "A deployment of {{ $labels.service }} to {{ $labels.environment }} is rolled back",
            description: "The rollback began {{ $value | humanizeDuration }} ago. Look at `rollback status`.",
        },
        Rule {
            name: "HighErrorRate",
            expr: format!(
                "sum(rate({}[5m])) / sum(rate({}[5m])) > 0.05",
                service.requests(r#"status=~"5..""#),
                service.requests("")
            ),
            lasting: Some("1m"),
            severity: "critical",
            labels: &[("action", "rollback")],
            summary: "More than 5% of the requests fail",
            description: "{{ $value | humanizePercentage }} of the requests of the last 5 minutes failed. Run `rollback decide`.",
        },
        Rule {
            name: "HighLatency",
            expr: format!(
                "histogram_quantile(0.95, sum by (le) (rate({}[5m]))) > 3",
                service.latency()
            ),
            lasting: Some("1m"),
            severity: "critical",
            labels: &[("action", "rollback")],
            summary: "The slowest 5% of the requests take longer than 3 seconds",
            description: "The 95th percentile of the last 5 minutes is {{ $value | humanizeDuration }}. Run `rollback decide`.",
        },
    ]
}

fn warnings() -> Vec<Rule> {
    vec![
        Rule {
            name: "SlowDeployment",
            expr: format!(
                "(time() - {} > 600) or ({} > 600)",
                names::RUNNING_SINCE,
                names::NEWEST_DURATION
            ),
            lasting: None,
            severity: "warning",
            labels: &[],
            summary: "A deployment of {{ $labels.service }} to {{ $labels.environment }} takes longer than 10 minutes",
            description: "The newest deployment took {{ $value | humanizeDuration }} so far or in all.",
        },
        Rule {
            name: "HealthCheckRetries",
            expr: format!("{} > 5", names::NEWEST_RETRIES),
            lasting: None,
            severity: "warning",
            labels: &[],
            summary: "The health checks of {{ $labels.service }} in {{ $labels.environment }} failed more than 5 times",
            description: "{{ $value }} measurements of the newest deployment's gate failed.",
        },
        Rule {
            name: "CanaryTrafficImbalance",
            expr: format!(
                r#"abs({name}{{source="observed"}} - ignoring (source) {name}{{source="configured"}}) > 0.1"#,
                name = names::CANARY_SHARE
            ),
            lasting: Some("2m"),
            severity: "warning",
            labels: &[],
            summary: "The canary of {{ $labels.service }} in {{ $labels.environment }} has another share than configured",
            description: "The observed share differs by {{ $value | humanizePercentage }} of the requests. Look at `traffic status`.",
        },
        Rule {
            name: "DeploymentTargetMissed",
            expr: format!("{} == 0", names::TARGET_MET),
            lasting: None,
            severity: "warning",
            labels: &[],
            summary: "{{ $labels.service }} in {{ $labels.environment }} misses its target for {{ $labels.figure }}",
            description: "Look at `incident metrics` for the value, the target and what is unknown.",
        },
    ]
}

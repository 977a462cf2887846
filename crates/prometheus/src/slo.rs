//! Service level objectives as Prometheus probes.
//!
//! A query returns no number if the value is unknown: without traffic, and if a quantile lies
//! beyond the last bucket of its histogram.

use std::fmt::Write as _;

use config::file::{PolicyOverlay, PrometheusProbe, Slo, SloMetrics, TimeUnit, Undecided};

use crate::query::quoted;

/// One objective: the probe, and what it is about.
pub struct Objective {
    pub probe: PrometheusProbe,
    pub subject: String,
    /// The series that must be there and fresh. Those of failures need not: an instance that is
    /// gone may have been the last to fail.
    pub about: String,
    /// The query with what counters had counted when they were first seen.
    pub counted_in: Option<String>,
}

/// The probes of the objectives that are set. `others` are the section's own Prometheus probes, of
/// which the first knows the server where the objectives do not.
pub fn objectives(slo: &Slo, others: &[PrometheusProbe]) -> Vec<Objective> {
    let Slo {
        server,
        access,
        error_rate,
        p95,
        availability,
        window,
        labels,
        metrics,
        failing_for,
        max_age,
        policy,
        severity,
    } = slo;
    let (server, access) = match (server, others.first()) {
        (Some(server), _) => (server.clone(), access.clone()),
        (None, Some(other)) => (other.server.clone(), other.access.clone()),
        (None, None) => return Vec::new(),
    };
    let policy = PolicyOverlay {
        failing_for: failing_for.or(policy.as_ref().and_then(|policy| policy.failing_for)),
        ..policy.clone().unwrap_or_default()
    };
    let queries = Queries {
        metrics,
        labels: selector(labels),
        window: format!("{}ms", window.get().as_millis()),
    };
    let one = |name: &str, asked: ObjectiveQuery| Objective {
        probe: PrometheusProbe {
            name: name.to_owned(),
            server: server.clone(),
            access: access.clone(),
            query: asked.query,
            min: None,
            max: None,
            reduce: None,
            on_no_data: Undecided::Inconclusive,
            on_nan: Undecided::Inconclusive,
            on_many_series: Undecided::Inconclusive,
            on_warning: Undecided::Inconclusive,
            on_info: Undecided::Pass,
            on_stale: Undecided::Inconclusive,
            max_age: *max_age,
            scrape_interval: None,
            policy: Some(policy.clone()),
            severity: *severity,
        },
        subject: asked.subject,
        about: asked.about,
        counted_in: asked.counted_in,
    };
    let mut found = Vec::new();
    if let Some(max) = error_rate {
        let mut objective = one("error-rate", queries.error_rate());
        objective.probe.max = Some(*max);
        found.push(objective);
    }
    if let Some(max) = p95 {
        let mut objective = one("p95", queries.p95(max.get()));
        objective.probe.max = Some(*max);
        found.push(objective);
    }
    if let Some(min) = availability {
        let mut objective = one("availability", queries.availability());
        objective.probe.min = Some(*min);
        found.push(objective);
    }
    found
}

/// `a="b",c="d"`.
fn selector<'l>(labels: impl IntoIterator<Item = (&'l String, &'l String)>) -> String {
    labels
        .into_iter()
        .fold(String::new(), |mut text, (name, value)| {
            let comma = if text.is_empty() { "" } else { "," };
            let _ = write!(text, "{comma}{name}={}", quoted(value));
            text
        })
}

/// What an objective asks.
struct ObjectiveQuery {
    subject: String,
    query: String,
    about: String,
    counted_in: Option<String>,
}

struct Queries<'s> {
    metrics: &'s SloMetrics,
    labels: String,
    window: String,
}

impl Queries<'_> {
    /// A metric of the service, with one more matcher.
    fn series(&self, name: &str, more: &str) -> String {
        let comma = if self.labels.is_empty() || more.is_empty() {
            ""
        } else {
            ","
        };
        format!("{name}{{{}{comma}{more}}}", self.labels)
    }

    /// Counts requests that have a status: without the label, failures cannot be recognised.
    fn error_rate(&self) -> ObjectiveQuery {
        let SloMetrics {
            requests,
            status_label,
            errors,
            duration: _,
            duration_unit: _,
            up: _,
        } = self.metrics;
        let window = &self.window;
        let all = self.series(requests, &format!("{status_label}!=\"\""));
        let failed = self.series(requests, &format!("{status_label}=~{}", quoted(errors)));
        // A service that never failed has no series of failures: count that as zero.
        let query = format!(
            "(sum(rate({failed}[{window}])) or 0 * sum(rate({all}[{window}]))) \
             / sum(rate({all}[{window}]))"
        );
        let increase = |of: &str| format!("sum(increase({of}[{window}]))");
        let none = format!("0 * {}", increase(&all));
        let born = |of: &str| format!("(sum({}) or {none})", self.born(of));
        let counted_in = format!(
            "(({} or {none}) + {}) / ({} + {})",
            increase(&failed),
            born(&failed),
            increase(&all),
            born(&all)
        );
        ObjectiveQuery {
            subject: format!("share of failed requests of {}", self.series(requests, "")),
            query,
            about: format!("rate({all}[{window}])"),
            counted_in: Some(counted_in),
        }
    }

    /// A quantile beyond the last bucket is reported as that bucket's bound, which would pass if the
    /// bound is below the objective. The query then returns no number: it divides zero by zero.
    fn p95(&self, max: f64) -> ObjectiveQuery {
        let bucket = format!(
            "{}_bucket",
            self.metrics.duration.trim_end_matches("_bucket")
        );
        let window = &self.window;
        let rate = |more: &str| format!("rate({}[{window}])", self.series(&bucket, more));
        let (all, finite, total) = (rate(""), rate("le!=\"+Inf\""), rate("le=\"+Inf\""));
        let quantile = |of: &str| {
            let quantile = format!("histogram_quantile(0.95, {of})");
            match self.metrics.duration_unit {
                TimeUnit::Milliseconds => format!("({quantile} / 1000)"),
                TimeUnit::Seconds => quantile,
            }
        };
        let series = self.series(&bucket, "");
        let grown = format!("sum by (le) (increase({series}[{window}]))");
        let born = format!("sum by (le) ({})", self.born(&series));
        let counted_in = quantile(&format!("({grown} + {born}) or {grown} or {born}"));
        let quantile = quantile(&format!("sum by (le) ({all})"));
        let query = format!(
            "{quantile} + 0 / ((max(sum by (le) ({finite})) >= bool 0.95 * sum({total})) \
             + ({quantile} > bool {max}))"
        );
        let subject = self.series(&self.metrics.duration, "");
        ObjectiveQuery {
            subject: format!("95th percentile of {subject}"),
            query,
            about: all,
            counted_in: Some(counted_in),
        }
    }

    /// What counters that appeared within the window showed at first. `increase` takes that for
    /// old; of a process that began with the deployment, all of it is new. Who was there within the
    /// hour before has only been out of sight.
    fn born(&self, series: &str) -> String {
        let window = &self.window;
        format!(
            "min_over_time({series}[{window}]) unless last_over_time({series}[1h] offset {window})"
        )
    }

    fn availability(&self) -> ObjectiveQuery {
        let up = self.series(&self.metrics.up, "");
        let query = format!("avg(avg_over_time({up}[{}]))", self.window);
        ObjectiveQuery {
            subject: format!("share of successful scrapes, {up}"),
            about: query.clone(),
            query,
            counted_in: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_matchers_and_no_query() {
        let labels = [
            ("job".to_owned(), "shop".to_owned()),
            ("x".to_owned(), "a\"} or b\\\n".to_owned()),
        ];
        let pairs = labels.iter().map(|(name, value)| (name, value));
        assert_eq!(selector(pairs), r#"job="shop",x="a\"} or b\\\n""#);
        let queries = Queries {
            metrics: &SloMetrics::default(),
            labels: "job=\"shop\"".to_owned(),
            window: "300000ms".to_owned(),
        };
        assert_eq!(
            queries.error_rate().query,
            r#"(sum(rate(http_requests_total{job="shop",status=~"5.."}[300000ms])) or 0 * sum(rate(http_requests_total{job="shop",status!=""}[300000ms]))) / sum(rate(http_requests_total{job="shop",status!=""}[300000ms]))"#
        );
        assert_eq!(
            queries.availability().query,
            r#"avg(avg_over_time(up{job="shop"}[300000ms]))"#
        );
        assert!(
            queries
                .p95(3.0)
                .query
                .contains(r#"{job="shop",le="+Inf"}[300000ms]"#)
        );
    }
}

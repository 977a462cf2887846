//! How the service's own metrics are found: requests and their durations, as runbook 003 names them.

use crate::labels::label;

/// Selects the series of `http_requests_total` and `http_request_duration_seconds` that are the
/// service's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceMetrics {
    /// Labels and their values, such as `job` and `shop`; none selects all series.
    pub labels: Vec<(String, String)>,
    /// The label that distinguishes the canary from stable, such as `release`.
    pub release_label: String,
}

impl Default for ServiceMetrics {
    fn default() -> Self {
        ServiceMetrics {
            labels: Vec::new(),
            release_label: "release".to_owned(),
        }
    }
}

impl ServiceMetrics {
    /// Whether each label has a name that Prometheus accepts.
    pub fn is_valid(&self) -> bool {
        let names = self.labels.iter().map(|(name, _)| name);
        names
            .chain([&self.release_label])
            .all(|name| is_label_name(name))
    }

    /// `http_requests_total{job="shop"}`, and further conditions.
    pub(crate) fn requests(&self, condition: &str) -> String {
        self.selector("http_requests_total", condition)
    }

    /// The buckets of the latency.
    pub(crate) fn latency(&self) -> String {
        self.selector("http_request_duration_seconds_bucket", "")
    }

    fn selector(&self, name: &str, condition: &str) -> String {
        let labels = self.labels.iter().map(|(name, value)| label(name, value));
        let conditions = (!condition.is_empty()).then(|| condition.to_owned());
        let all: Vec<String> = labels.chain(conditions).collect();
        format!("{name}{{{}}}", all.join(","))
    }
}

/// "Data model" of Prometheus' documentation; what begins with `__` is its own.
fn is_label_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !name.starts_with("__")
        && name.chars().all(is_word)
}

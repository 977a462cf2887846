//! Labels of series, and text in the formats that Prometheus reads.

/// What each series is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    pub service: String,
    pub environment: String,
}

impl Labels {
    /// `service="shop",environment="production"`, and further ones.
    pub(crate) fn with(&self, others: &[(&str, &str)]) -> String {
        let own = [
            ("service", self.service.as_str()),
            ("environment", self.environment.as_str()),
        ];
        let all = own.iter().chain(others);
        let all: Vec<String> = all.map(|(name, value)| label(name, value)).collect();
        all.join(",")
    }
}

/// One label, its value escaped.
pub(crate) fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", escaped(value))
}

/// A value between double quotes, in the text format as in PromQL.
pub(crate) fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

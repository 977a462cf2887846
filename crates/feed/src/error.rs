//! Why a source gives no interval.

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "metric `{metric}`: `{query}` is not one selector of raw counters, such as \
         `http_requests_total{{…}}`: what `rate()`, `increase()` or a sum make of counters is no \
         whole number of requests, and hides resets"
    )]
    NotASelector { metric: String, query: String },
    #[error("{0}")]
    Prometheus(#[from] prometheus::Error),
    #[error("no complete interval within {} ms", .0.as_millis())]
    Late(std::time::Duration),
}

impl Error {
    /// Whether the configuration is to blame: asking again cannot help.
    pub fn is_usage(&self) -> bool {
        match self {
            Error::NotASelector { .. } => true,
            Error::Prometheus(error) => error.is_refusal(),
            Error::Late(_) => false,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NotASelector { .. } => {
                Some("name the counter alone; the judge counts by itself".to_owned())
            }
            Error::Prometheus(error) => error.hint(),
            Error::Late(_) => None,
        }
    }
}

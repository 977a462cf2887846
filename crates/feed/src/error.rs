//! Why a source gives no interval.

use net::ConnectError;

/// An interval that could not be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "metric `{metric}`: `{query}` is not one selector of raw counters, such as \
         `http_requests_total{{…}}`: what `rate()`, `increase()` or a sum make of counters is not \
         a whole number of requests, and hides resets"
    )]
    NotASelector { metric: String, query: String },
    #[error("{0}")]
    Prometheus(#[from] prometheus::Error),
    /// The shell in which a log is read or a command runs.
    #[error("{0}")]
    Shell(ConnectError),
    #[error("the log `{file}`: {why}")]
    Log { file: String, why: String },
    #[error("{why}")]
    Command { by_hand: String, why: String },
    #[error("no complete interval within {}", model::text::duration(*.0))]
    Late(std::time::Duration),
}

impl Error {
    /// Whether the configuration is to blame: asking again cannot help.
    pub fn is_usage(&self) -> bool {
        match self {
            Error::NotASelector { .. } => true,
            Error::Prometheus(error) => error.is_refusal(),
            Error::Shell(_) | Error::Log { .. } | Error::Command { .. } | Error::Late(_) => false,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NotASelector { .. } => {
                Some("name the counter alone; the judge counts by itself".to_owned())
            }
            Error::Prometheus(error) => error.hint(),
            Error::Log { file, .. } => Some(format!("look at it: `tail -n 3 {file}`")),
            Error::Command { by_hand, .. } => Some(format!("run it {by_hand}")),
            Error::Shell(_) => {
                Some("`deploy-guard doctor` checks the login to each host".to_owned())
            }
            Error::Late(_) => {
                Some("see whether the source answers, and how long it takes".to_owned())
            }
        }
    }
}

impl From<ConnectError> for Error {
    fn from(problem: ConnectError) -> Error {
        Error::Shell(problem)
    }
}

//! What users got of a bad release: the requests that it served, counted after the fact, from a Prometheus server
//! or an access log.
//!
//! [`ExposureWindow`] is the time in which they had it; [`tally`] is what is certain and what is not, by any source.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod gate;
mod log;
mod scraped;
mod stay;
mod tally;

pub use gate::of_gate;
pub use log::of_log;
pub use scraped::{Selectors, of_prometheus};
pub use stay::{ExposureWindow, News, is_settled, news, of_incident, of_left, with_known};

use jiff::Timestamp;

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    #[error(transparent)]
    Prometheus(#[from] prometheus::Error),
    #[error(transparent)]
    Log(#[from] feed::Error),
    #[error(transparent)]
    Shell(#[from] probe::Error),
    #[error("no series of `{0}`")]
    NoSeries(String),
    #[error("the log `{file}` does not reach back to {from:.0}")]
    TooShort { file: String, from: Timestamp },
    #[error("{0} is not a number of requests: `total` and `failed` must select counters")]
    NoCounter(f64),
}

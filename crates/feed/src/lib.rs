//! Where the numbers of a canary and of stable come from while both serve: one interval at a time,
//! as the judge wants them.
//!
//! A source measures and counts; it does not judge. What is wrong with its numbers is a [`DataDefect`]:
//! some take an interval's numbers away, and none is left out silently.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod access_log;
mod command;
mod counters;
mod error;
mod flaw;
mod gauges;
mod increases;
mod metric;
mod native;
mod prometheus_source;
mod replicas;
mod series;
mod side;
mod source;
mod trace_line;

pub use access_log::{
    AccessLog, Field, Format, Layout, LogMetric, LogSettings, PastLog, PastRequest, PastSettings,
    TimeUnit,
};
pub use command::Command;
pub use error::Error;
pub use flaw::DataDefect;
pub use metric::doubt;
pub use prometheus_source::{PrometheusMetric, PrometheusSource, Queries, Settings};
pub use side::{PerSide, SideName};
pub use source::IntervalCounts;
pub use trace_line::trace_line;

//! How deployments are doing over time: DORA's five metrics and the tables of the runbooks.
//!
//! Arithmetic alone: no input, no output, no clock. A history of deployments and incidents goes in;
//! exact figures come out, each with its definition, its target, and what is unknown counted apart.
//! A figure is never better for what is not known.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

pub mod alerts;
pub mod cdevents;
pub mod dashboard;
mod exact;
mod exposition;
mod figure;
mod goal;
mod history;
mod labels;
mod measures;
mod names;
mod service_metrics;
mod spread;
mod tally;
mod text;
pub mod v1;

pub use exact::Ratio;
pub use exposition::{CanaryShare, Exposition};
pub use figure::{Figure, Frequency, Kind, TargetStanding, Value};
pub use goal::{Goal, Limit, Threshold};
pub use history::{Conclusion, Deployment, Errors, Incident, REWORK_WITHIN, Rollback, Window};
pub use labels::Labels;
pub use measures::{HistoryTotals, Incidents, Measures};
pub use spread::{DurationSummary, Statistic};
pub use tally::Tally;

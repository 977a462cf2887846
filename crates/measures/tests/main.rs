//! The figures by their public interface, and what Prometheus and its family make of them.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod alerts;
mod cdevents;
mod dashboard;
mod laws;
mod series;
mod support;
mod truth;
mod views;

//! The judge by its public interface, mostly on simulated traffic: `RUNS=10000` for the figures that
//! a claim of 1 % needs.
#![allow(clippy::cast_precision_loss, reason = "small numbers")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod broken;
mod clustered;
mod detection;
mod futility;
mod gauges;
mod guarantees;
mod latency;
mod plan;
mod properties;
mod several;
mod support;
mod threshold;

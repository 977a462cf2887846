//! Probes that are watched until a verdict.
//!
//! [`policy`] judges a history of measurements without a clock; [`Gate`] waits, and notifies an
//! [`observer`].
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod context;
mod end;
mod gate;
mod gate_loop;
mod gated_probe;
mod group;
mod history;
mod lateness;
pub mod observer;
mod pauses;
pub mod policy;

pub use context::{GateContext, Interrupted};
pub use gate::Gate;

//! Probes that are watched until a verdict.
//!
//! [`policy`] judges a history of measurements and knows no clock; [`Gate`] waits, and tells an
//! [`observer`].
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod end;
mod gate;
mod group;
mod heart;
mod history;
mod lateness;
pub mod observer;
pub mod policy;
pub mod policy_report;
mod watch;
mod watched;
mod watching;

pub use gate::Gate;
pub use watch::{Interrupted, Watch};

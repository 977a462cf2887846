//! Probes: each makes one measurement of one thing, without retry and without opinion about the
//! next one.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod addresses;
mod command;
mod compose;
mod containers;
mod dns;
mod docker;
pub mod ecs;
mod error;
mod grpc;
pub mod http;
pub mod kinds;
pub mod members;
mod postgres;
mod probe;
mod prometheus;
mod reading;
mod redis;
pub mod release;
mod restarts;
pub mod settle;
pub mod shell;
mod smoke;
mod systemd;
mod tcp;
mod tls;

pub use error::Error;
pub use probe::{Measuring, Probe, ProbeContext};
pub use reading::{Outlook, Reading};

//! Probes: each makes one measurement of one thing, without retry and without opinion about the
//! next one.

mod addresses;
mod body;
mod budget;
mod cause;
pub mod certificate;
mod client_tls;
mod command;
mod compose;
pub mod connect;
mod containers;
mod dns;
mod docker;
pub mod ecs;
mod grpc;
pub mod hosts;
pub mod http;
pub mod kinds;
mod limited;
pub mod members;
pub mod party;
mod postgres;
mod probe;
pub mod project;
pub mod prometheus;
mod reading;
mod redis;
pub mod release;
mod restarts;
pub mod settle;
mod shell;
mod slo;
mod smoke;
mod systemd;
mod tcp;
mod tls;
pub mod trust;

pub use addresses::Place;
pub use probe::{Measuring, Probe, Surroundings};
pub use reading::Reading;

/// How probes introduce themselves.
const USER_AGENT: &str = concat!("deploy-guard/", env!("CARGO_PKG_VERSION"));

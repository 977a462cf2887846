//! The places that an operation works at: this machine and the hosts of the configuration, how
//! scripts and files reach them, and which release answers there, also through a proxy.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod context;
mod entrypoint;
mod entrypoints;
mod error;
mod machines;
mod place;
mod question;
mod step;
mod visitor;

pub use context::{Context, Github, LogLine, releases};
pub use entrypoint::{Entrypoint, Standby};
pub use entrypoints::{Entrypoints, PROOFS, Proof, ProvedSwitch, ProxyNames, Streak};
pub use error::{Error, ForeignChange};
pub use machines::{Machines, alone, host};
pub use place::{Effect, Place, PlaceAccess, ended, strict_script, word};
pub use question::{QUERY_TIMEOUT, ReleaseEndpoint};
pub use step::{Step, StepFuture};
pub use visitor::Visitor;

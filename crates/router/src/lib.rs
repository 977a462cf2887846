//! What routes requests to one of two sides: what answers through it and behind it, and what
//! its configuration says about them.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod entrypoint;
mod front;
pub mod haproxy;
pub mod nginx;

pub use entrypoint::{Entrypoint, Standby};
pub use front::{Front, Names, PROOFS, Proof, Proved, Streak};

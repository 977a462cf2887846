//! Runs commands here and on hosts, bounded in time and output. The only user of ssh2.
//!
//! It also handles what can fail on our side before a connection reaches another machine:
//! our resolver ([`resolve`]), and our own limits ([`ours`]).
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

pub mod key;
mod known_hosts;
pub mod local;
pub mod ours;
mod quote;
mod ran;
pub mod resolve;
pub mod ssh;
pub mod sudo;
mod target;

pub use quote::{quote, quote_path};
pub use ran::{CommandResult, Expectation, MAX_KEPT_BYTES, Mismatch};
pub use target::TargetError;

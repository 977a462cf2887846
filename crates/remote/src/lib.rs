//! Runs commands here and on hosts, bounded in time and output. The only user of ssh2.
//!
//! It also handles what can fail on our side before a connection reaches another machine:
//! our resolver ([`resolve`]), and our own limits ([`local_error`]).
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod command_result;
pub mod key;
mod known_hosts;
pub mod local;
pub mod local_error;
mod quote;
pub mod resolve;
pub mod ssh;
pub mod sudo;
mod target;

pub use command_result::{CommandResult, Expectation, MAX_KEPT_BYTES, Mismatch};
pub use quote::{exports, quote, quote_path, with_variables};

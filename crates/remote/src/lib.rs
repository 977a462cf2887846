//! Runs commands here and on hosts, bounded in time and output. The only user of ssh2.

pub mod key;
mod known_hosts;
pub mod local;
mod quote;
mod ran;
pub mod ssh;
mod target;

pub use quote::quote;
pub use ran::{KEPT, Ran, Unmet, Wanted};
pub use target::Unready;

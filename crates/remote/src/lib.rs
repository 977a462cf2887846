//! Runs commands here and on hosts, bounded in time and output. The only user of ssh2.

pub mod key;
mod known_hosts;
pub mod local;
mod quote;
pub mod ssh;
mod target;

pub use quote::quote;
pub use target::Unready;

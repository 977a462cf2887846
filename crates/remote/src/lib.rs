//! Runs commands here and on hosts, bounded in time and output. The only user of ssh2.

pub mod key;
pub mod local;
pub mod ssh;

//! Runs commands here and on hosts, bounded in time and output.

pub mod local;

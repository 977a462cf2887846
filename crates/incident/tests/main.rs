//! The stage as its users meet it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bed;
mod delivery;
mod log;
mod receiver;
mod report;
mod severity;

//! The stage against real databases and real tools.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bed;
mod run;
mod status;

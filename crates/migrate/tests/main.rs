//! The stage against real databases and real tools.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod backup;
mod bed;
mod contract;
mod lint;
mod rehearse;
mod run;
mod runbooks;
mod status;

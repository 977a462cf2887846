//! The crate against real servers.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod keys;
mod shared;
mod ways;

//! The crate from outside: what is read, and what is refused.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod canary;
mod freeze;
mod incident;
mod load;
mod migrate;
mod runners;

//! `rollback` as a user runs it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod e2e;
mod nginx;
mod rollout;
mod targets;

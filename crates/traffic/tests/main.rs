//! `traffic` as a user runs it, against real routers.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bed;
mod nginx;

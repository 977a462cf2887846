//! Sources against real servers.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod prometheus;

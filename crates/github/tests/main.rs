//! The crate against a server.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod dispatch;
mod logs;
mod transport;

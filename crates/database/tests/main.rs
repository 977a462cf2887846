//! Connections to a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod postgres;

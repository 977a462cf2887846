//! What a user of the crate sees: effects against a real server, findings, SARIF.
#![allow(clippy::disallowed_methods, reason = "tests")]

mod lint;
mod sarif;
mod server;

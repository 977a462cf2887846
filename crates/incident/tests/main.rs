//! The stage as its users meet it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bed;
mod delivery;
mod environments;
mod exposure;
mod github;
mod issue;
mod killed;
mod log;
mod outputs;
mod past;
mod report;
mod runbooks;
mod severity;
mod stage;
mod texts;
mod unread;

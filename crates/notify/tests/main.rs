//! The crate from outside: what is sent, and what comes of each answer.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod answers;
mod bed;
mod email;
mod github;
mod hostile;
mod pagerduty;
mod slack;
mod texts;
mod webhook;

//! Hosts as a user meets them: real logins, real facts, and hosts that misbehave.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bed;
mod facts;
mod hostile;
mod logins;

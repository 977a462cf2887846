//! What GitHub's REST API knows. The only user of octocrab.
//!
//! Not being allowed to know is its own answer: a 403, or a 404 on an endpoint for
//! administrators, never means "there is none".

mod client;
mod error;
pub mod runners;

pub use client::Client;
pub use error::Error;
pub use runners::{Judgement, Runner, Scope};

//! Reads GitHub's REST API. The only user of octocrab.
//!
//! A missing permission is its own answer: a 403, or a 404 on an endpoint for administrators,
//! never means "it does not exist".
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod access;
pub mod alerts;
pub mod annotations;
mod answer;
mod app;
pub mod artifacts;
pub mod checks;
mod client;
pub mod commits;
pub mod deployments;
pub mod dispatch;
mod environments;
mod error;
pub mod issues;
pub mod jobs;
mod ledger;
mod limit;
pub mod logs;
mod repository;
mod run_id;
pub mod runners;
pub mod runs;
pub mod secrets;
pub mod token;

pub use access::{Access, Credentials, Needs};
pub use client::{Client, List};
pub use error::Error;
pub use jobs::{Job, Jobs};
pub use repository::Repository;
pub use run_id::RunId;
pub use runners::{Runner, Scope};
pub use runs::Run;

//! The few questions that a gate asks of AWS: what lies in a bucket, a login for ECR, what runs as a
//! service, and which target groups get its requests.
//!
//! Not the SDK, because a gate needs what that does not promise: every answer is bounded in size
//! and time, nothing is looked for outside the environment, its files and the machine's own metadata
//! service, and the signer is the only part that is not ours.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod answer;
mod client;
mod credentials;
mod ecr;
pub mod ecs;
pub mod elb;
mod error;
mod keys;
mod metadata;
mod profile;
mod renewing;
mod s3;
mod xml;

pub use client::Client;
pub use credentials::Source;
pub use ecr::Login;
pub use error::Error;
pub use renewing::Renewing;
pub use s3::{Address, AddressError, Condition, Download, Object, Put};

//! Asks a container registry whether an image is there, by the OCI distribution protocol.
//!
//! Our own client, because a gate needs what general ones do not promise: every body, redirect
//! and wait is bounded, and "not there", "not allowed to know" and "could not ask" are three
//! different answers. It reads manifests; it neither pulls nor pushes.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod answer;
mod challenge;
mod client;
mod credentials;
mod digest;
pub mod docker;
mod error;
mod exchange;
mod manifest;
pub mod nearest;
mod patience;
mod platform;
mod query_error;
mod reference;
mod response;
mod token;

pub use answer::{ImageStatus, ManifestError};
pub use client::{Access, Client, Tags, Want};
pub use credentials::Credentials;
pub use error::Error;
pub use reference::{Reference, ReferenceError};

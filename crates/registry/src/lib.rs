//! Asks a container registry whether an image is there, by the OCI distribution protocol.
//!
//! Our own client, because a gate needs what general ones do not promise: every body, redirect
//! and wait is bounded, and "not there", "not allowed to know" and "could not ask" are three
//! different answers. It reads manifests; it neither pulls nor pushes.

mod answer;
mod challenge;
mod client;
mod error;
mod reference;

pub use answer::Answer;
pub use client::Client;
pub use error::Error;
pub use reference::{Invalid, Reference};

/// A user name with its password or token.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub username: String,
    pub password: secrecy::SecretString,
}

impl Credentials {
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Credentials {
            username: username.into(),
            password: secrecy::SecretString::from(password.into()),
        }
    }
}

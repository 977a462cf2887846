//! The text of a configuration before it is types: its variables, what is secret in it, and its
//! errors, drawn where they are.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod advice;
mod broken;
mod clear_text;
mod error;
mod interpolate;
mod keys;
mod naming;
pub mod secrets;
mod unread;
pub mod unset;

pub use advice::{blank, foreign};
pub use broken::in_broken;
pub use error::{Document, Error};
pub use interpolate::{Paths, RELEASE, Variables, resolve};
pub use secrets::Secrets;

//! The configuration file: found, read, checked as a whole, merged, interpolated, typed.
//!
//! Every binary checks the whole file, so that a typo under `rollback:` fails preflight and not
//! the rollback.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod check;
mod error;
pub mod file;
pub mod freeze;
mod interpolate;
mod load;
mod secrets;
mod section;
mod source;
mod spot;
mod unset;

pub use error::Error;
pub use file::Config;
pub use interpolate::Variables;
pub use load::{LoadError, Loaded, PLACES, Request, healthgate_for, load};
pub use model::Severity;
pub use secrets::{Secrets, in_words as secrets_in_words};
pub use section::Section;
pub use values as value;

/// The JSON Schema of the configuration file.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}

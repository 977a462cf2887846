//! The configuration file: found, read, checked as a whole, merged, interpolated, typed.
//!
//! Every binary checks the whole file, so that a typo under `rollback:` fails preflight and not
//! the rollback.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod check;
pub mod file;
pub mod freeze;
mod load;
mod section;
mod source;
mod spot;
mod unset;

pub use document::secrets::in_words as secrets_in_words;
pub use document::{Error, Secrets, Variables};
pub use file::Config;
pub use load::{Fetch, LoadError, Loaded, PLACES, Request, healthgate_for, load};
pub use model::Severity;
pub use section::Section;
pub use values as value;

/// The JSON Schema of the configuration file.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}

//! The configuration file: found, read, checked as a whole, merged, interpolated, typed.
//!
//! Every binary checks the whole file, so that a typo under `rollback:` fails preflight and not
//! the rollback.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod check;
mod committed;
pub mod file;
pub mod freeze;
mod load;
mod schema;
mod section;
mod source;

pub use committed::committed_schema;
pub use document::{Error, Secrets, Variables};
pub use file::Config;
pub use load::{
    Fetch, LoadError, Loaded, PLACES, Request, healthgate_for, load, planned_canary,
    recorded_canary, unknown_environment,
};
pub use model::Severity;
pub use schema::{SCHEMA_URL, file_schema, schema};
pub use section::Section;
pub use values as value;

/// The secrets in text that is not a file: the words of a command line.
pub fn secrets_in_words(text: &str) -> Secrets {
    document::secrets::in_words(text).secrets
}

//! The contract with the GitHub Actions runner: context, commands, outputs, summary.
//!
//! The only reader of `GITHUB_*`, and the only place where text is escaped for the runner.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

pub mod command;
pub mod context;
pub mod output;
pub mod summary;

pub use context::{Context, Withheld};

//! A repository's first hour: `init` writes its configuration and workflow, `doctor` reports what
//! would stop each stage here.
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")
)]

pub mod doctor;
pub mod init;
mod inventory;

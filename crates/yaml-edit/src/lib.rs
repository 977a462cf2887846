//! YAML that is written: a tree as text, values in the quotes that they need, and items added to a file that keeps each
//! other byte.
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")
)]

pub mod patch;
pub mod text;
pub mod tree;

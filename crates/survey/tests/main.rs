//! Repositories as people have them, and hostile ones.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod choices;
mod claims;
mod field;
mod hostile;
mod small;
mod whole;

//! Runs as GitHub tells of them, and what the diagnosis of each is.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod asked;
mod bounds;
mod made;
mod runs;

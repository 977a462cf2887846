//! The repository itself: its structure, and what its commands make.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod new_kind;
mod release;
mod structure;

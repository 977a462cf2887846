//! What the stages that change something have in common: what is shown of each place while it goes on,
//! and how the requests are shared between two releases.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod context;
pub mod gantt;
pub mod shares;
pub mod standby;
pub mod tree;

pub use context::context;

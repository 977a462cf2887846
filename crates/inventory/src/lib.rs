//! The machines that are reached by SSH: how each one is reached, and which of them a name, a group
//! or a pattern means.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod host;
mod hosts;
mod jump;
mod select;

pub use host::{Client, Host};
pub use hosts::{Groups, Hosts};
pub use jump::{JumpError, link_jumps};
pub use select::selected;

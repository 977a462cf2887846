//! The machines that are reached by SSH: how each one is reached, and which of them a name, a group
//! or a pattern means.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod ansible;
mod arguments;
mod error;
mod host;
mod hosts;
mod inventory;
mod jump;
mod list;
mod read;
mod select;
mod source;

pub use error::Error;
pub use host::{Client, Host};
pub use hosts::{Groups, Hosts};
pub use inventory::Inventory;
pub use jump::{JumpError, link_jumps};
pub use read::MAX_MIB;
pub use select::selected;
pub use source::{HostDefaults, HostsFrom, InventorySource};

//! The pages, each a reader's way through its commands.

pub(crate) mod canary;
pub(crate) mod guide;
pub(crate) mod hosts;
pub(crate) mod incident;
pub(crate) mod install;
pub(crate) mod migrate;
pub(crate) mod readme;
pub(crate) mod runners;
pub(crate) mod seeing;
mod shop;
pub(crate) mod state;
pub(crate) mod traffic;

//! From what the workflows of a repository do to steps that guard it: the gate, the way back, the configuration, and
//! the change of the workflow. Nothing is asked, read or written here.
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")
)]

pub mod additions;
mod again;
pub mod back;
mod checkout;
pub mod dispatch;
pub mod group;
pub mod guarded;
pub mod handed;
pub mod health;
pub mod hosts;
pub mod machine;
mod migration;
pub mod new_workflow;
pub mod platform;
pub mod proposal;
pub mod section;
pub mod shares;
pub mod steps;
pub mod tools;
pub mod words;

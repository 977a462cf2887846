//! What a command line, or an action of the marketplace, does: the tool that makes a release live, the image that is
//! built, the address that is asked; and what the tool's own files add to it. One line at a time: what several make together
//! is `survey`'s.

mod address;
pub mod app_engine;
mod clusters;
mod commands;
pub mod compose;
pub mod compose_config;
mod containers;
mod deed;
pub mod fly;
mod google;
mod harmless;
pub mod kamal;
pub mod manifests;
mod metadata;
mod migrations;
pub mod nginx;
pub mod origin;
mod reach;
mod systemd;
mod tool;
mod uses;
mod wait;
mod web;

pub use address::Address;
pub use commands::{changes, deeds as of_command};
pub use deed::{CommandEffect, With};
pub use harmless::{is_harmless, is_harmless_action, starts_elsewhere, starts_workflow};
pub use metadata::metadata_tag;
pub use reach::{reach, takes_identity, unread_program};
pub use systemd::is_oneshot;
pub use tool::{
    ByHand, ComposeCall, EcsCall, HelmCall, KUBECTL_CHANGES, KamalCall, KubectlCall, Live,
    PlatformCall, Tool, Undo,
};
pub use uses::{calls_of, deeds as of_action};
pub use wait::{Ends, action_ends, ends, waits};
pub use web::{is_of_others, sends};

//! What every binary does around its stage: flags, configuration, logging, progress, signals,
//! and all that is written. A stage is a function from a [`Job`] to a report and never prints.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod args;
mod board;
mod complain;
mod consent;
mod failure;
mod files;
pub mod force;
mod github;
mod help;
pub mod hooks;
mod inputs;
mod interrupt;
mod inventory;
mod job;
mod lease;
mod log;
pub mod login;
mod progress;
mod proxy;
mod publish;
mod recipients;
mod repository;
pub mod rollout;
mod screen;
pub mod scribe;
mod stage;
mod state;
mod text;

pub use args::{Format, Global};
pub use board::{Board, QUIET_FOR, TICK};
pub use consent::Consent;
pub use failure::{Failure, Place};
pub use help::exemplified;
pub use inputs::sha256;
pub use interrupt::{Interrupt, Signal};
pub use job::{Job, Selection};
pub use lease::{LeaseRequest, keep_lease};
pub use model::glob;
pub use progress::Progress;
pub use publish::{Publisher, write_stdout};
pub use scribe::EventWriter;
pub use stage::{Stage, check_release, command, dispatch, parse, process_env, run, worker};
pub use state::{HolderStatus, LEASE};
pub use text::{columns, cut, padded, plain, render as render_text};

/// The version that all binaries share.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

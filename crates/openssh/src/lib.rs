//! What the command lines and the configuration of the `ssh` program say of the way to a host.
//!
//! Nothing is run and no file is read here. A text may still have expressions of GitHub Actions in it (`${{ … }}`):
//! each of them stays whole.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod config;
mod copy;
mod options;
mod text;
mod way;

pub use config::{Config, Settings};
pub use copy::{Copy, split_target};
pub use options::{Options, Program};
pub use text::words;
pub use way::{Hop, HostRoute};

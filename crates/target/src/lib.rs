//! What a release runs on and what routes to it: where that is, how it is read and switched, and
//! whether it could ever be switched.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod command;
mod compose;
mod context;
#[cfg(feature = "ecs")]
mod ecs;
mod error;
pub mod fit;
mod haproxy;
pub mod kinds;
mod looks;
mod machines;
mod nginx;
mod place;
mod proxy;
mod question;
mod systemd;
mod target;
mod workflow;

pub use context::{Context, Github, Say, releases};
pub use error::Error;
pub use place::{Effect, Place, Places, word};
pub use question::{ASK, Question};
pub use target::{
    Applied, Asking, Capabilities, Entrypoint, Observe, Parts, Proving, ReleaseFacts, Route,
    Standby, Step, Switch, Target, Transition,
};

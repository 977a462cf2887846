//! What a release runs on and what routes to it: where that is, how it is read and switched, and
//! whether it could ever be switched.

mod answers;
mod command;
mod compose;
mod context;
#[cfg(feature = "ecs")]
mod ecs;
pub mod fit;
mod haproxy;
pub mod kinds;
mod machines;
mod nginx;
mod place;
mod question;
mod sudo;
mod systemd;
mod target;
mod workflow;

pub use context::{Context, Github, Say, releases};
pub use place::{Effect, Place, Places, word};
pub use question::{ASK, Question, Unanswered};
pub use target::{Asking, Door, Idle, Learned, Move, Parts, Proving, Step, Target};

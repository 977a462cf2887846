//! What a release runs on and what routes to it: where that is, how it is read and switched, and
//! whether it could ever be switched.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod command;
mod compose;
#[cfg(feature = "ecs")]
mod ecs;
pub mod fit;
mod fit_checks;
mod haproxy;
pub mod kinds;
mod nginx;
mod systemd;
mod target;
mod workflow;

pub use place::{
    Context, Effect, Entrypoint, Error, Github, LogLine, Place, PlaceAccess, QUERY_TIMEOUT,
    ReleaseEndpoint, Standby, Step, StepFuture, releases, word,
};
pub use target::{
    Applied, Capabilities, Observe, PlaceParts, Proving, ReleaseFacts, Route, StepEnd, Switch,
    Target, Transition,
};

//! What routes requests to one of two sides: what answers through it and behind it, what its
//! configuration says about them, and how the requests are divided between them.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

mod alb;
mod caddy;
mod command;
pub mod ecs_hook;
pub mod haproxy;
pub mod kinds;
pub mod nginx;
mod router;
mod weights;

pub use config::value::Side;
pub use config::value::Split;
pub use router::{Capabilities, Change, Health, RequestCounts, Router, Splits, leaves_no_split};

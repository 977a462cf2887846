//! Each kind of router before the real thing.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod alb;
mod caddy;
mod ecs_hook;
mod world;

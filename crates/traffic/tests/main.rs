//! `traffic` as a user runs it, against real routers.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bed;
mod canary;
mod ecs_gate;
mod ends;
mod fleet;
mod foreign;
mod haproxy;
mod interventions;
mod kill;
mod lies;
mod load;
mod nginx;
mod plan;
mod runbooks;
mod signals;

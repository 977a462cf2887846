//! Every kind of target on the real thing, from a good release to a bad one and back.

mod ansible;
mod bed;
mod compose;
mod compose_again;
mod decide;
#[cfg(feature = "ecs")]
mod ecs;
mod examples;
mod haproxy;
mod jump;
mod nginx;
mod on_hosts;
mod systemd;
mod twenty;
mod workflow;

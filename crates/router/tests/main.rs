//! Each kind of router on the real thing: what it sets, what it reports, and what it does not believe.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod alb;
mod bed;
mod caddy;
mod ecs_hook;
mod haproxy;
mod haproxy_reload;
mod nginx;
mod nginx_container;
mod nginx_key;
mod nginx_sticky;
mod world;

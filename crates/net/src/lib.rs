//! Servers over the network, as far as a byte stream, TLS and HTTP: what is asked is the caller's.
//!
//! Each error names whose fault it is ([`party`]), and what all answers together take of memory
//! is bounded ([`budget`]).
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

pub mod body;
pub mod budget;
pub mod cause;
pub mod certificate;
pub mod client;
mod connect_error;
pub mod hosts;
pub mod http;
pub mod limited;
pub mod party;
mod place;
mod route;
mod stream;
pub mod tls;
pub mod trust;
mod tunnels;
mod user_agent;

pub use cause::REFUSED;
pub use connect_error::ConnectError;
pub use place::Place;
pub use route::{Endpoint, Route};
pub use stream::Stream;
pub use tunnels::{Opening, Tunnels};
pub use user_agent::USER_AGENT;

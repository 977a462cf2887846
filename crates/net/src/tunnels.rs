//! Connections out of hosts' own networks.

use std::pin::Pin;

use crate::connect_error::ConnectError;
use crate::place::Place;
use crate::stream::Stream;

/// A connection that is being made.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send + 'a>>;

/// Connections out of hosts' own networks, for `via:`.
pub trait Tunnels: Send + Sync {
    /// Connects from `host` to `place`, whose name is looked up there: `127.0.0.1` is the host
    /// itself.
    fn open<'a>(&'a self, host: &'a str, place: &'a Place) -> Opening<'a>;

    /// Whether `host` itself answers at this moment, asked when nothing comes from the place behind
    /// it. Bounded in time.
    fn vouches<'a>(&'a self, host: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
}

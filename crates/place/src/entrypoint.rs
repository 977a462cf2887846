//! The ways in to a service behind a router.

use crate::error::Error;
use crate::place::Place;
use crate::question::ReleaseEndpoint;

/// A way in to the service.
#[derive(Clone, Debug)]
pub struct Entrypoint {
    pub name: String,
    pub question: ReleaseEndpoint,
    /// The server (`host:port`) that is asked instead of the URL's own.
    pub at: Option<String>,
    pub place: Place,
    /// Whether users come this way.
    pub traffic: bool,
    /// Why it is unknown what else answers here: then good answers prove nothing.
    pub unsure: Option<Error>,
}

/// A destination that runs and has no traffic yet.
#[derive(Clone, Debug)]
pub struct Standby {
    /// `host:port`.
    pub at: String,
    /// The front door's URL.
    pub front: String,
}

//! A name and a port, and every address of it.

use std::net::{IpAddr, SocketAddr};

use config::value::Address;
use remote::resolve::{ResolveError, resolve};

use crate::connect_error::ConnectError;
use crate::party::{Party, awaiting};

/// A name and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
}

impl Place {
    pub fn new(address: &Address, usual: u16) -> Place {
        Place {
            host: address.host().to_owned(),
            port: address.port().unwrap_or(usual),
        }
    }

    /// Every address, each once.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let Place { host, port } = self;
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, *port)]);
        }
        let found = awaiting(Party::Resolver, resolve(host, *port)).await;
        let mut addresses = found.map_err(|unresolved| {
            let party = match &unresolved {
                // The resolver's answer, which the service's users get too.
                ResolveError::NoName { .. } => Party::Service,
                ResolveError::NotAsked { .. } => Party::Resolver,
                ResolveError::Ours { .. } => Party::Ourselves,
            };
            ConnectError::new(party, "no address", unresolved.to_string())
        })?;
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

//! One way to a byte stream to `host:port`: to an address of the name, to one that is given
//! instead, or out of a host's own network.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::connect_error::ConnectError;
use crate::hosts::Hosts;
use crate::party::Party;
use crate::place::Place;
use crate::stream::Stream;
use crate::tunnels::Tunnels;

/// Where a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Address(SocketAddr),
    /// The proxy or the host in between resolves the name.
    Beyond,
}

impl Endpoint {
    /// The same machine's other port.
    pub fn with_port(self, port: u16) -> Endpoint {
        match self {
            Endpoint::Address(address) => Endpoint::Address(SocketAddr::new(address.ip(), port)),
            Endpoint::Beyond => Endpoint::Beyond,
        }
    }
}

/// How an endpoint is reached.
#[derive(Clone, Default)]
pub struct Route {
    /// Instead of what the name resolves to.
    resolve: Vec<IpAddr>,
    via: Option<(String, Arc<dyn Tunnels>)>,
}

impl Route {
    /// `resolve` replaces the addresses of the name; `via` is where every connection starts.
    pub fn new(resolve: &[IpAddr], via: Option<&str>, hosts: &Hosts) -> Self {
        let through = |host: &str| {
            let tunnels: Arc<dyn Tunnels> = Arc::new(hosts.clone());
            (host.to_owned(), tunnels)
        };
        Route {
            resolve: resolve.to_vec(),
            via: via.map(through),
        }
    }

    /// Out of a host's own network.
    pub fn out_of(host: &str, hosts: &Hosts) -> Self {
        Route::new(&[], Some(host), hosts)
    }

    /// The way to other places than the one whose addresses are given.
    pub fn elsewhere(&self) -> Self {
        Route {
            resolve: Vec::new(),
            via: self.via.clone(),
        }
    }

    /// Whether the connection is made by ourselves, from here, to what the name resolves to.
    pub fn is_plain(&self) -> bool {
        self.resolve.is_empty() && self.via.is_none()
    }

    /// Whether a place has all addresses that its name resolves to, or those that were given.
    pub fn looks_up(&self) -> bool {
        self.resolve.is_empty()
    }

    /// The host that every connection starts from, where it does not answer itself at this moment:
    /// through a tunnel, a silent service looks the same as a silent host.
    pub async fn silent_host(&self) -> Option<Party> {
        let (host, tunnels) = self.via.as_ref()?;
        let answers = tunnels.vouches(host).await;
        (!answers).then(|| Party::Host(host.as_str().into()))
    }

    /// Each end of a place, once.
    pub async fn ends(&self, place: &Place) -> Result<Vec<Endpoint>, ConnectError> {
        if self.via.is_some() {
            return Ok(vec![Endpoint::Beyond]);
        }
        if self.resolve.is_empty() {
            let found = place.resolve().await?;
            return Ok(found.into_iter().map(Endpoint::Address).collect());
        }
        let end = |ip: &IpAddr| Endpoint::Address(SocketAddr::new(*ip, place.port));
        Ok(self.resolve.iter().map(end).collect())
    }

    /// Connects. The caller bounds the time.
    pub async fn open(&self, place: &Place, end: Endpoint) -> Result<Stream, ConnectError> {
        match (&self.via, end) {
            (Some((host, tunnels)), _) => tunnels.open(host, place).await,
            (None, Endpoint::Address(address)) => match TcpStream::connect(address).await {
                Ok(stream) => {
                    // A request of two writes must not wait for the first one's receipt.
                    let _ = stream.set_nodelay(true);
                    Ok(Box::new(stream))
                }
                Err(error) => Err(ConnectError::broken(&error)),
            },
            (None, Endpoint::Beyond) => {
                Err(ConnectError::of_way("error", "there is nothing between"))
            }
        }
    }
}

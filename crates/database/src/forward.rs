//! A port of this machine that leads to a database behind a host, for programs that only know TCP.

use std::net::Ipv4Addr;

use net::Route;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::address::Address;
use crate::error::Error;
use crate::postgres::stream;

/// Open for as long as this lives.
pub struct Forward {
    port: u16,
    accepting: JoinHandle<()>,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Forward {
    /// Listens on a free port of `127.0.0.1`.
    ///
    /// # Errors
    /// Returns an error if this machine has no port, or the database is not reached.
    pub async fn open(address: &Address, route: &Route) -> Result<Forward, Error> {
        // Why it is not reached must be told now: who connects later only sees the end.
        drop(stream(address, route).await?);
        let ours = |error: std::io::Error| Error::Lost(format!("a port of this machine: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(ours)?;
        let port = listener.local_addr().map_err(ours)?.port();
        let (address, route) = (address.clone(), route.clone());
        let accepting = tokio::spawn(async move {
            let mut passing = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let (address, route) = (address.clone(), route.clone());
                passing.spawn(async move {
                    if let Ok(mut far) = stream(&address, &route).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Ok(Forward { port, accepting })
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

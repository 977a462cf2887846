//! Every address of a name, asked side by side: one healthy address must not hide a broken one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use config::file::Addresses;
use config::value::Address;
use futures_util::future::join_all;
use model::Verdict;

use crate::Reading;

/// The value of a reading where nobody listens.
pub(crate) const REFUSED: &str = "connection refused";

/// A name and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Place {
    pub(crate) fn new(address: &Address, usual: u16) -> Place {
        Place {
            host: address.host().to_owned(),
            port: address.port().unwrap_or(usual),
        }
    }

    /// Every address, each once.
    pub(crate) async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let Place { host, port } = self;
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, *port)]);
        }
        let mut addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), *port))
            .await
            .map_err(|_| format!("the name `{host}` does not resolve"))?
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            return Err(format!("the name `{host}` has no address"));
        }
        Ok(addresses)
    }

    /// One reading that stands for all addresses: the worst, or with [`Addresses::Any`] the best.
    pub(crate) async fn ask(
        &self,
        rule: Addresses,
        timeout: Duration,
        expected: &str,
        ask: impl AsyncFn(SocketAddr) -> Reading,
    ) -> Reading {
        let whole = async {
            let addresses = match self.resolve().await {
                Ok(addresses) => addresses,
                Err(reason) => {
                    return Reading::not(Verdict::Fail, expected, reason.clone(), reason)
                        .value("no address");
                }
            };
            let several = addresses.len() > 1;
            let readings = join_all(addresses.into_iter().map(|address| {
                let ask = &ask;
                async move {
                    // A time for each, so that one silent address is told apart from the others.
                    let own = timeout.mul_f64(0.98);
                    let reading = tokio::time::timeout(own, ask(address)).await;
                    let mut reading = reading.unwrap_or_else(|_| late(timeout, expected));
                    if several && let Some(reason) = &mut reading.reason {
                        *reason = format!("{}: {reason}", address.ip());
                    }
                    reading
                }
            }))
            .await;
            self.judge(rule, expected, readings)
        };
        tokio::time::timeout(timeout, whole)
            .await
            .unwrap_or_else(|_| late(timeout, expected))
    }

    fn judge(&self, rule: Addresses, expected: &str, mut readings: Vec<Reading>) -> Reading {
        let any = rule == Addresses::Any;
        let answered = |reading: &Reading| reading.value.as_deref() != Some(REFUSED);
        if any || self.host == "localhost" && readings.iter().any(answered) {
            // `localhost` is two addresses by convention, and many servers listen on one.
            readings.retain(answered);
        }
        let chosen = if any {
            readings.into_iter().min_by_key(|reading| reading.verdict)
        } else {
            readings.into_iter().max_by_key(|reading| reading.verdict)
        };
        chosen.unwrap_or_else(|| refused(expected))
    }
}

/// Nobody listens.
pub(crate) fn refused(expected: &str) -> Reading {
    Reading::not(Verdict::Fail, expected, REFUSED, REFUSED).value(REFUSED)
}

/// Nobody answers in time.
pub(crate) fn late(timeout: Duration, expected: &str) -> Reading {
    let reason = format!("no complete answer within {} ms", timeout.as_millis());
    Reading::not(Verdict::Fail, expected, reason.clone(), reason).value("timeout")
}

//! A name, as this machine resolves it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use config::file::DnsProbe;
use model::Verdict;
use net::Place;
use net::party::in_measurement;

use crate::addresses::late;
use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;

/// One look-up.
pub(crate) struct Dns {
    probe: DnsProbe,
    place: Place,
}

impl Dns {
    pub(crate) fn new(probe: DnsProbe) -> Result<Self, Error> {
        if probe.host.is_empty() || probe.host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(Error::NoName(probe.host));
        }
        if probe.host.parse::<IpAddr>().is_ok() {
            return Err(Error::IsAddress(probe.host));
        }
        // The port is not asked; a look-up wants one.
        let place = Place {
            host: probe.host.clone(),
            port: 1,
        };
        Ok(Dns { probe, place })
    }

    fn expected(&self) -> String {
        match self.probe.addresses.as_slice() {
            [] => "an address".to_owned(),
            wanted => format!("the addresses {}", listed(wanted)),
        }
    }

    fn judge(&self, found: &[IpAddr]) -> Reading {
        let expected = self.expected();
        let (is, wanted): (BTreeSet<_>, BTreeSet<_>) = (
            found.iter().collect(),
            self.probe.addresses.iter().collect(),
        );
        let actual = listed(found);
        if wanted.is_empty() || is == wanted {
            return Reading::pass(expected, &actual).value(actual);
        }
        let reason = format!("`{}` resolves to {actual}", self.probe.host);
        Reading::unmet(Verdict::Fail, expected, &actual, reason).value(actual)
    }
}

fn listed(addresses: &[IpAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

impl Kind for DnsProbe {
    fn subject(&self) -> String {
        self.host.clone()
    }

    fn make(self, _around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Dns::new(self)?))
    }
}

impl Probe for Dns {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            in_measurement(async {
                let expected = self.expected();
                match tokio::time::timeout(timeout, self.place.resolve()).await {
                    Err(_) => late(timeout, &expected),
                    Ok(Err(problem)) => Reading::of_problem(problem, &expected),
                    Ok(Ok(found)) => {
                        let found: Vec<_> = found.iter().map(SocketAddr::ip).collect();
                        self.judge(&found)
                    }
                }
            })
            .await
        })
    }

    fn hint(&self) -> String {
        format!("look it up: `getent ahosts {}`", self.probe.host)
    }
}

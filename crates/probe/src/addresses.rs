//! A name and a port, every address of it, and what the readings of several addresses mean
//! together.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use config::file::Addresses;
use config::value::Address;
use model::Verdict;

use remote::resolve::{Unresolved, resolve};

use crate::budget;
use crate::connect::Problem;
use crate::party::{Party, debtor, owed_by};
use crate::reading::Reading;
use crate::release::Identity;

/// The value of a reading where nobody listens.
pub(crate) const REFUSED: &str = "connection refused";

/// A name and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
}

impl Place {
    pub(crate) fn new(address: &Address, usual: u16) -> Place {
        Place {
            host: address.host().to_owned(),
            port: address.port().unwrap_or(usual),
        }
    }

    /// Every address, each once.
    pub(crate) async fn resolve(&self) -> Result<Vec<SocketAddr>, Problem> {
        let Place { host, port } = self;
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, *port)]);
        }
        let found = owed_by(Party::Resolver, resolve(host, *port)).await;
        let mut addresses = found.map_err(|unresolved| {
            let party = match &unresolved {
                // The resolver's answer, which the service's users get too.
                Unresolved::NoName { .. } => Party::Service,
                Unresolved::NotAsked { .. } => Party::Resolver,
                Unresolved::Ours { .. } => Party::Ourselves,
            };
            Problem::new(party, "no address", unresolved.to_string())
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

/// The reading that stands for those of all addresses.
pub(crate) fn judge(
    place: &Place,
    rule: Addresses,
    looked_up: bool,
    expected: &str,
    mut readings: Vec<Reading>,
) -> Reading {
    let one = rule == Addresses::One;
    let refused_by = |reading: &Reading| reading.value.as_deref() == Some(REFUSED);
    let localhost = looked_up && place.host == "localhost";
    // Where a machine has only one of the two, its own address of the other kind is none.
    let answered = |reading: &Reading| {
        !(refused_by(reading) || localhost && reading.verdict == Verdict::Error)
    };
    if one || localhost && readings.iter().any(answered) {
        // `localhost` is two addresses by convention, and many servers listen on one.
        readings.retain(answered);
    }
    let rank = |reading: &Reading| (reading.verdict, silence(reading.release.as_ref()));
    if one {
        let best = readings.into_iter().min_by_key(rank);
        return best.unwrap_or_else(|| refused(expected));
    }
    let named = |reading: &Reading| matches!(reading.release, Some(Identity::Matches(_)));
    let (all, named) = (
        readings.len(),
        readings.iter().filter(|it| named(it)).count(),
    );
    let chosen = readings.into_iter().max_by_key(rank);
    let mut chosen = chosen.unwrap_or_else(|| refused(expected));
    if let Some(Identity::Unknown(why)) = &chosen.release
        && named > 0
    {
        let why = format!("{named} of {all} addresses name their release: {why}");
        chosen.release = Some(Identity::Partly(why));
    }
    chosen
}

/// How little an answer tells of its release.
fn silence(release: Option<&Identity>) -> u8 {
    match release {
        Some(Identity::Matches(_)) => 0,
        None => 1,
        Some(Identity::Partly(_)) => 2,
        Some(Identity::Unknown(_) | Identity::Several(_)) => 3,
        Some(Identity::Differs { .. }) => 4,
    }
}

/// Nobody listens.
pub(crate) fn refused(expected: &str) -> Reading {
    Reading::not(Verdict::Fail, expected, REFUSED, REFUSED).value(REFUSED)
}

/// The one that owes the answer does not give it in time; or we had no memory to read it.
pub(crate) fn late(timeout: Duration, expected: &str) -> Reading {
    late_of(debtor(), timeout, expected)
}

/// This one does not.
pub(crate) fn late_of(party: Party, timeout: Duration, expected: &str) -> Reading {
    let reason = party.late(timeout);
    let (party, value, reason) = match budget::was_waiting() {
        Some(why) => (Party::Ourselves, "memory", format!("{reason}: {why}")),
        None => (party, "timeout", reason),
    };
    let reading = Reading::not(party.verdict(), expected, reason.clone(), reason);
    Reading {
        unanswered: Some(party),
        ..reading.value(value)
    }
}

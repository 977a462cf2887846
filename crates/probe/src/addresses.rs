//! Probes every address of an endpoint, and reduces the readings to one.

use std::net::IpAddr;
use std::time::Duration;

use config::file::Addresses;
use futures_util::future::join_all;
use model::Verdict;
use net::party::{Party, awaited_party, in_measurement};
use net::{ConnectError, Endpoint, Place, Route, budget};

use crate::reading::Reading;
use crate::release::Identity;

/// Probes all addresses of an endpoint in parallel: a healthy address must not hide a broken one.
/// Returns the worst reading, or with [`Addresses::One`] the best.
pub(crate) async fn measure_every(
    route: &Route,
    place: &Place,
    rule: Addresses,
    timeout: Duration,
    expected: &str,
    ask: impl AsyncFn(Endpoint) -> Reading,
) -> Reading {
    let whole = async {
        let ends = match route.ends(place).await {
            Ok(ends) => ends,
            Err(problem) => return Reading::of_problem(problem, expected),
        };
        if let [end] = ends.as_slice() {
            return ask(*end).await;
        }
        let readings = join_all(ends.into_iter().map(|end| {
            let ask = &ask;
            async move {
                // Each has its own timeout, so that a silent address is distinguished from the others.
                let own = timeout.mul_f64(0.98);
                let reading = in_measurement(async {
                    let reading = tokio::time::timeout(own, ask(end)).await;
                    reading.unwrap_or_else(|_| late(timeout, expected))
                });
                let reading = reading.await;
                match end {
                    Endpoint::Address(address) => named(reading, address.ip()),
                    Endpoint::Beyond => reading,
                }
            }
        }))
        .await;
        // Of addresses that were given, each is meant.
        let looked_up = route.looks_up();
        judge(place, rule, looked_up, expected, readings)
    };
    let reading = in_measurement(async {
        let reading = tokio::time::timeout(timeout, whole).await;
        reading.unwrap_or_else(|_| late(timeout, expected))
    });
    let reading = reading.await;
    if reading.unanswered == Some(Party::Service)
        && let Some(host) = route.silent_host().await
    {
        return late_of(host, timeout, expected);
    }
    reading
}

/// Says which address gave a reading that is not a pass.
fn named(mut reading: Reading, address: IpAddr) -> Reading {
    if let Some(reason) = &mut reading.reason {
        *reason = format!("{address}: {reason}");
        reading.actual = format!("{address}: {}", reading.actual);
    }
    if let Some(Identity::Unknown(why) | Identity::Several(why)) = &mut reading.release {
        *why = format!("{address}: {why}");
    }
    reading
}

/// Reduces the readings of all addresses to one.
fn judge(
    place: &Place,
    rule: Addresses,
    looked_up: bool,
    expected: &str,
    mut readings: Vec<Reading>,
) -> Reading {
    let one = rule == Addresses::One;
    let localhost = looked_up && place.host == "localhost";
    // A machine with only IPv4 or only IPv6 cannot use its own address of the other kind.
    let answered =
        |reading: &Reading| !(reading.refused || localhost && reading.verdict == Verdict::Error);
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

/// How little an answer reports about its release.
fn silence(release: Option<&Identity>) -> u8 {
    match release {
        Some(Identity::Matches(_)) => 0,
        None => 1,
        Some(Identity::Partly(_)) => 2,
        Some(Identity::Unknown(_) | Identity::Several(_)) => 3,
        Some(Identity::Differs { .. }) => 4,
    }
}

fn refused(expected: &str) -> Reading {
    Reading::of_problem(ConnectError::refused(), expected)
}

/// The one that owes the answer does not give it in time; or we had no memory to read it.
pub(crate) fn late(timeout: Duration, expected: &str) -> Reading {
    late_of(awaited_party(), timeout, expected)
}

/// This one does not.
pub(crate) fn late_of(party: Party, timeout: Duration, expected: &str) -> Reading {
    let reason = party.late(timeout);
    let (party, value, reason) = match budget::was_waiting() {
        Some(why) => (Party::Ourselves, "memory", format!("{reason}: {why}")),
        None => (party, "timeout", reason),
    };
    let reading = Reading::unmet(party.verdict(), expected, reason.clone(), reason);
    Reading {
        unanswered: Some(party),
        ..reading.value(value)
    }
}

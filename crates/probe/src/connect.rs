//! One way to a byte stream to `host:port`: to an address of the name, to one that is given
//! instead, or out of a host's own network.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use config::file::Addresses;
use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::addresses::{Place, REFUSED, judge, late, late_of};
use crate::cause::plain_cause;
use crate::party::{Party, charging, culprit, debtor};
use crate::probe::Surroundings;
use crate::reading::Reading;
use crate::release::Identity;

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, whatever it runs through.
pub type Stream = Box<dyn Duplex>;

/// A connection that is being made.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Stream, Problem>> + Send + 'a>>;

/// Connections out of hosts' own networks, for `via:`.
pub trait Tunnels: Send + Sync {
    /// Connects from `host` to `place`, whose name is looked up there: `127.0.0.1` is the host
    /// itself.
    fn open<'a>(&'a self, host: &'a str, place: &'a Place) -> Opening<'a>;

    /// Whether `host` itself answers at this moment, asked when nothing comes from the place behind
    /// it. Bounded in time.
    fn vouches<'a>(&'a self, host: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    party: Party,
    value: Cow<'static, str>,
    reason: String,
}

impl Problem {
    /// This one lets us through no further.
    pub fn new(
        party: Party,
        value: impl Into<Cow<'static, str>>,
        reason: impl Into<String>,
    ) -> Self {
        Problem {
            party,
            value: value.into(),
            reason: reason.into(),
        }
    }

    /// The thing under test does not let anybody in: its users see the same.
    pub fn of_service(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let value = if reason == REFUSED { REFUSED } else { "error" };
        Problem::new(Party::Service, value, reason)
    }

    /// What we have does not let us ask: that says nothing of the service.
    pub fn of_way(value: &'static str, reason: impl Into<String>) -> Self {
        Problem::new(Party::Ourselves, value, reason)
    }

    /// A connection could not be made, or broke: by the party that the error names, else by the one that
    /// owed the answer.
    pub(crate) fn broken(error: &(dyn std::error::Error + 'static)) -> Self {
        if let Some((party, reason)) = culprit(error) {
            return Problem::new(party, "error", reason);
        }
        match debtor() {
            Party::Service => Problem::of_service(plain_cause(error)),
            party => {
                let reason = format!("through {party}: {}", plain_cause(error));
                Problem::new(party, "error", reason)
            }
        }
    }

    pub fn party(&self) -> &Party {
        &self.party
    }

    /// What was seen, short.
    pub(crate) fn value(mut self, value: impl Into<Cow<'static, str>>) -> Self {
        self.value = value.into();
        self
    }

    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The same of a place that this one keeps: what would be the service's failure is its own.
    pub(crate) fn of(mut self, party: &Party) -> Self {
        if self.party == Party::Service {
            self.party = party.clone();
        }
        self.reason = format!("{party}: {}", self.reason);
        self
    }

    /// The same of another place than the one under test.
    pub(crate) fn at(mut self, place: &impl std::fmt::Display) -> Self {
        self.reason = format!("{place}: {}", self.reason);
        self
    }

    pub(crate) fn reading(self, expected: &str) -> Reading {
        let Problem {
            party,
            value,
            reason,
        } = self;
        Reading::not(party.verdict(), expected, reason.clone(), reason).value(value)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Where a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Address(SocketAddr),
    /// The name is looked up by whoever stands between.
    Beyond,
}

impl End {
    /// The same machine's other port.
    pub(crate) fn with_port(self, port: u16) -> End {
        match self {
            End::Address(address) => End::Address(SocketAddr::new(address.ip(), port)),
            End::Beyond => End::Beyond,
        }
    }
}

/// How a place is reached.
#[derive(Clone, Default)]
pub struct Route {
    /// Instead of what the name resolves to.
    resolve: Vec<IpAddr>,
    via: Option<(String, Arc<dyn Tunnels>)>,
}

impl Route {
    /// `resolve` stands in for what the name resolves to; `via` is where every connection starts.
    pub(crate) fn new(resolve: &[IpAddr], via: Option<&str>, around: &Surroundings) -> Self {
        let through = |host: &str| {
            let tunnels: Arc<dyn Tunnels> = Arc::new(around.hosts.clone());
            (host.to_owned(), tunnels)
        };
        Route {
            resolve: resolve.to_vec(),
            via: via.map(through),
        }
    }

    /// Out of a host's own network.
    pub fn out_of(host: &str, around: &Surroundings) -> Self {
        Route::new(&[], Some(host), around)
    }

    /// The way to other places than the one whose addresses are given.
    pub(crate) fn elsewhere(&self) -> Self {
        Route {
            resolve: Vec::new(),
            via: self.via.clone(),
        }
    }

    /// Whether the connection is made by ourselves, from here, to what the name resolves to.
    pub(crate) fn is_plain(&self) -> bool {
        self.resolve.is_empty() && self.via.is_none()
    }

    /// Each end of a place, once.
    pub(crate) async fn ends(&self, place: &Place) -> Result<Vec<End>, Problem> {
        if self.via.is_some() {
            return Ok(vec![End::Beyond]);
        }
        if self.resolve.is_empty() {
            let found = place.resolve().await?;
            return Ok(found.into_iter().map(End::Address).collect());
        }
        let end = |ip: &IpAddr| End::Address(SocketAddr::new(*ip, place.port));
        Ok(self.resolve.iter().map(end).collect())
    }

    /// Connects. The caller bounds the time.
    pub(crate) async fn open(&self, place: &Place, end: End) -> Result<Stream, Problem> {
        match (&self.via, end) {
            (Some((host, tunnels)), _) => tunnels.open(host, place).await,
            (None, End::Address(address)) => match TcpStream::connect(address).await {
                Ok(stream) => {
                    // A request of two writes must not wait for the first one's receipt.
                    let _ = stream.set_nodelay(true);
                    Ok(Box::new(stream))
                }
                Err(error) => Err(Problem::broken(&error)),
            },
            (None, End::Beyond) => Err(Problem::of_way("error", "nothing stands between")),
        }
    }

    /// Asks every end of a place side by side: one healthy address must not hide a broken one.
    /// One reading stands for all: the worst, or with [`Addresses::One`] the best.
    pub(crate) async fn ask(
        &self,
        place: &Place,
        rule: Addresses,
        timeout: Duration,
        expected: &str,
        ask: impl AsyncFn(End) -> Reading,
    ) -> Reading {
        let whole = async {
            let ends = match self.ends(place).await {
                Ok(ends) => ends,
                Err(problem) => return problem.reading(expected),
            };
            if let [end] = ends.as_slice() {
                return ask(*end).await;
            }
            let readings = join_all(ends.into_iter().map(|end| {
                let ask = &ask;
                async move {
                    // A time for each, so that one silent address is told apart from the others.
                    let own = timeout.mul_f64(0.98);
                    let reading = charging(async {
                        let reading = tokio::time::timeout(own, ask(end)).await;
                        reading.unwrap_or_else(|_| late(timeout, expected))
                    });
                    let reading = reading.await;
                    match end {
                        End::Address(address) => named(reading, address.ip()),
                        End::Beyond => reading,
                    }
                }
            }))
            .await;
            // Of addresses that were given, each is meant.
            let looked_up = self.resolve.is_empty();
            judge(place, rule, looked_up, expected, readings)
        };
        let reading = charging(async {
            let reading = tokio::time::timeout(timeout, whole).await;
            reading.unwrap_or_else(|_| late(timeout, expected))
        });
        let reading = reading.await;
        match (&self.via, &reading.unanswered) {
            // Through a tunnel, a silent service looks the same as a silent host.
            (Some((host, tunnels)), Some(Party::Service)) if !tunnels.vouches(host).await => {
                late_of(Party::Host(host.as_str().into()), timeout, expected)
            }
            _ => reading,
        }
    }
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

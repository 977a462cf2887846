//! HAProxy: the weights of two servers of a backend divide the requests, over the runtime socket.
//!
//! It tells what it uses, and counts what each server got. A reload forgets what was set, except where
//! the state file or its configuration was written too.

pub mod backend;
mod cfg;
mod keep;
pub mod socket;
mod stat;
mod weights;

use std::time::Duration;

use config::file::HaproxyTarget;
use config::value::{Side, Split};
use model::release::Releases;
use place::{Context, Entrypoints, Error, Place, ProxyNames, Standby, StepFuture};

use self::backend::Backend;
use self::stat::Stat;
use crate::kinds::Kind;
use crate::router::{Capabilities, Change, Health, RequestCounts, Router};

const NAMES: ProxyNames = ProxyNames {
    section: "traffic",
    kind: "haproxy",
    shown: "HAProxy",
    behind: "server",
};

struct Haproxy<'a> {
    config: &'a HaproxyTarget,
    front: Entrypoints<'a>,
}

impl Kind for HaproxyTarget {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Router + 'a>, Error> {
        let (hosts, release) = (self.hosts.as_ref(), self.release.as_ref());
        Ok(Box::new(Haproxy {
            config: self,
            front: Entrypoints::new(NAMES, hosts, release, self.timeout, context)?,
        }))
    }
}

impl Haproxy<'_> {
    fn backend(&self) -> Backend<'_> {
        Backend::new(self.config, self.front.machines.places)
    }

    async fn address(&self, place: &Place, side: Side) -> Result<String, Error> {
        let backend = self.backend();
        let mut servers = backend.servers(place).await?;
        let name = backend.name(side);
        let gone = || Error::Missing(format!("{} has no server {name}", self.config.backend));
        let address = servers.remove(name).ok_or_else(gone)?.address;
        // As `show servers state` has a server at a socket.
        if address.starts_with("-:") {
            return Err(Error::Unfit(format!(
                "{name} is at a unix socket, where no request of ours can be made: give it an address"
            )));
        }
        Ok(address)
    }

    async fn checked(&self, place: &Place, split: Split) -> Result<Change, Error> {
        let backend = self.backend();
        let (writes, nearest) = backend.course(place, split).await?;
        backend.may_change(place).await?;
        let kept = [&self.config.state_file, &self.config.config_file];
        let kept = kept.into_iter().flatten().next();
        let kept = kept.map(|file| format!(", keep that in {}", file.display()));
        let stats = backend.stat(place).await?;
        let stay = stats.iter().find_map(Stat::stay);
        Ok(Change {
            does: format!(
                "give {nearest} to the servers of {}{}{}",
                self.config.backend,
                kept.unwrap_or_default(),
                stay.map(|stay| format!(" ({stay})")).unwrap_or_default()
            ),
            writes,
            split: nearest,
        })
    }

    async fn health_of(&self, place: &Place, side: Side) -> Result<Option<Health>, Error> {
        let backend = self.backend();
        let mut health = None;
        for stat in backend.stat(place).await? {
            let row = stat.servers.get(backend.name(side));
            let Some(row) = row.filter(|row| row.is_checked()) else {
                continue;
            };
            if row.is_down() || row.awaits_first_check() {
                return Ok(Some(Health::Down(row.shown())));
            }
            health = Some(Health::Up);
        }
        Ok(health)
    }

    /// What HAProxy says about the two servers, in words.
    async fn observe(&self, place: &Place) -> Result<String, Error> {
        let backend = self.backend();
        let seen = backend.proxy().servers(place).await?;
        let several = seen.len() > 1;
        let mut told = Vec::new();
        for ((socket, servers), stat) in seen.iter().zip(backend.stat(place).await?) {
            let shown = servers.iter().map(|(name, server)| {
                let row = stat.servers.get(name);
                format!(
                    "{name} {}, weight {}, {}",
                    server.state(),
                    server.weight,
                    row.map_or_else(|| "unknown".to_owned(), stat::Row::shown)
                )
            });
            let mut shown: Vec<String> = shown.collect();
            shown.extend(stat.stay());
            let shown = shown.join("; ");
            told.push(if several {
                format!("{}: {shown}", socket.display())
            } else {
                shown
            });
        }
        Ok(format!("HAProxy reports {}", told.join("; ")))
    }
}

impl Router for Haproxy<'_> {
    fn kind(&self) -> &'static str {
        NAMES.kind
    }

    fn releases(&self) -> &Releases {
        &self.front.question.names
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            propagation_time: Duration::ZERO,
            can_sample: true,
        }
    }

    fn places(&self) -> &[Place] {
        self.front.machines.places()
    }

    fn name(&self, side: Side) -> String {
        self.backend().name(side).to_owned()
    }

    fn configured<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Split> {
        Box::pin(async move { self.backend().configured(place).await })
    }

    fn loaded<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Option<Split>> {
        Box::pin(async move { self.backend().loaded(place).await.map(Some) })
    }

    fn check<'a>(&'a self, place: &'a Place, split: Split) -> StepFuture<'a, Change> {
        Box::pin(self.checked(place, split))
    }

    fn snapshot<'a>(&'a self, place: &'a Place) -> StepFuture<'a, String> {
        Box::pin(async move { self.backend().image(place).await })
    }

    fn set<'a>(&'a self, place: &'a Place, split: Split) -> StepFuture<'a, ()> {
        Box::pin(async move { self.backend().set(place, split).await })
    }

    fn restore<'a>(&'a self, place: &'a Place, snapshot: &'a str) -> StepFuture<'a, String> {
        Box::pin(async move { self.backend().put_back(place, snapshot).await })
    }

    fn counts<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Option<RequestCounts>> {
        Box::pin(async move {
            let backend = self.backend();
            let (mut blue, mut green) = (0, 0);
            for stat in backend.stat(place).await? {
                let total = |side| {
                    stat.servers
                        .get(backend.name(side))
                        .map_or(0, |row| row.total)
                };
                blue += total(Side::Blue);
                green += total(Side::Green);
            }
            Ok(Some(RequestCounts { blue, green }))
        })
    }

    fn open<'a>(&'a self, place: &'a Place, side: Side) -> StepFuture<'a, Option<u64>> {
        Box::pin(async move {
            let backend = self.backend();
            let stats = backend.stat(place).await?;
            let rows = stats
                .iter()
                .filter_map(|stat| stat.servers.get(backend.name(side)));
            Ok(Some(rows.map(|row| row.open).sum()))
        })
    }

    fn health<'a>(&'a self, place: &'a Place, side: Side) -> StepFuture<'a, Option<Health>> {
        Box::pin(self.health_of(place, side))
    }

    fn side_release<'a>(
        &'a self,
        place: &'a Place,
        side: Side,
        likely: &'a str,
    ) -> StepFuture<'a, String> {
        Box::pin(async move {
            let at = self.address(place, side).await?;
            let limit = self.front.timeout.get();
            self.front.query(place, Some(&at), likely, limit).await
        })
    }

    fn sample_release<'a>(&'a self, place: &'a Place, likely: &'a str) -> StepFuture<'a, String> {
        let limit = self.front.timeout.get();
        Box::pin(self.front.query(place, None, likely, limit))
    }

    fn standby<'a>(&'a self, place: &'a Place, side: Side) -> StepFuture<'a, Standby> {
        Box::pin(async move {
            let at = self.address(place, side).await?;
            Ok(self.front.standby(&at))
        })
    }

    fn explain<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Option<String>> {
        Box::pin(async move { self.observe(place).await.map(Some) })
    }
}

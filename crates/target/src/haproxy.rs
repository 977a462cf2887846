//! Blue-green behind HAProxy: two servers of a backend, switched over the runtime socket.

use std::time::Duration;

use config::file::HaproxyTarget;
use config::value::{Share, Side};
use futures_util::future::join_all;

use crate::fit::CheckFit;
use crate::kinds::Kind;
use crate::target::{Applied, Capabilities, Observe, Proving, Route, Switch, Target, Transition};
use place::{
    Context, Entrypoint, Entrypoints, Error, PROOFS, Place, Proof, ProxyNames, Standby, Step,
    StepFuture, Streak,
};
use router::Split;
use router::haproxy::backend::Backend;
use router::haproxy::socket::Servers;

/// After an answer of before.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

const NAMES: ProxyNames = ProxyNames {
    section: "rollback",
    kind: "haproxy",
    shown: "HAProxy",
    behind: "server",
};

pub(crate) struct Haproxy<'a> {
    config: &'a HaproxyTarget,
    front: Entrypoints<'a>,
}

impl<'a> Haproxy<'a> {
    pub(crate) fn new(config: &'a HaproxyTarget, context: &Context<'a>) -> Result<Self, Error> {
        let (hosts, release) = (config.hosts.as_ref(), config.release.as_ref());
        let front = Entrypoints::new(NAMES, hosts, release, config.timeout, context)?;
        Ok(Haproxy { config, front })
    }

    fn describe_switch(&self, release: &str) -> String {
        let leave = self.backend().left();
        let kept = [&self.config.state_file, &self.config.config_file];
        let kept = kept.into_iter().flatten().next();
        let kept = kept.map(|file| format!(", keep that in {}", file.display()));
        format!(
            "make the server of {} that runs {release} ready and {leave} the other{}, prove through {}",
            self.config.backend,
            kept.unwrap_or_default(),
            self.front.question.url
        )
    }

    /// The release that is served through HAProxy.
    async fn served(&self, place: &Place, likely: &str) -> Result<Option<String>, Error> {
        let servers = self.backend().servers(place).await?;
        let active = servers.values().filter(|server| server.takes_traffic());
        let active: Vec<&str> = active.map(|server| server.address.as_str()).collect();
        self.front.served(place, &active, likely).await.map(Some)
    }

    /// Whether the release could be made live: one of the servers runs it.
    async fn check(&self, place: &Place, release: &str) -> Result<(), Error> {
        let servers = self.backend().may_change(place).await?;
        self.side_of(place, &servers, release).await.map(drop)
    }

    /// Switches and proves; safe to do twice. What fails leaves the servers as they were before.
    async fn switch_or_not(
        &self,
        place: &Place,
        release: &str,
        before: Option<&str>,
    ) -> Result<String, Error> {
        let backend = self.backend();
        let now = backend.image(place).await?;
        let servers = backend.servers(place).await?;
        let to = self.side_of(place, &servers, release).await?;
        let switched = async {
            backend.set(place, Split::giving(to, Share::ALL)).await?;
            self.prove(place, release).await
        };
        match switched.await {
            Ok(proof) => Ok(format!("{} has the traffic; {proof}", backend.name(to))),
            Err(error) => Err(
                match backend.put_back(place, before.unwrap_or(&now)).await {
                    Ok(_) => error.then("the servers were put back"),
                    Err(back) => error.stuck(back.at("putting the servers back failed too")),
                },
            ),
        }
    }

    async fn prove(&self, place: &Place, release: &str) -> Result<String, Error> {
        let proof = Proof {
            streak: Streak::new(1),
            drain: Duration::ZERO,
            pause: POLL_INTERVAL,
            after: "the switch",
        };
        Ok(self.front.prove(place, release, proof).await?.told)
    }

    /// The side whose server runs this release.
    async fn side_of(
        &self,
        place: &Place,
        servers: &Servers,
        release: &str,
    ) -> Result<Side, Error> {
        let addresses = addresses(servers);
        let (name, _) = self.front.running(place, &addresses, release).await?;
        Ok(if name == self.config.blue {
            Side::Blue
        } else {
            Side::Green
        })
    }

    fn backend(&self) -> Backend<'_> {
        Backend::new(self.config, self.front.machines.places)
    }

    /// What the sockets answer to a question.
    async fn query_sockets(&self, place: &Place, command: &str) -> Result<String, Error> {
        let backend = self.backend();
        let mut told = String::new();
        for socket in backend.proxy().sockets() {
            told.push_str(&backend.proxy().read(place, socket, command).await?);
        }
        Ok(told)
    }
}

impl Kind for HaproxyTarget {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
        Ok(Box::new(Haproxy::new(self, context)?))
    }

    fn fits(&self) -> Option<&dyn CheckFit> {
        Some(self)
    }
}

impl Observe for Haproxy<'_> {
    fn current<'a>(&'a self, step: &'a Step, likely: &'a str) -> StepFuture<'a, Option<String>> {
        Box::pin(self.served(&step.place, likely))
    }

    fn diagnostics<'a>(&'a self, step: &'a Step) -> Vec<(&'static str, StepFuture<'a, String>)> {
        vec![
            (
                "servers",
                Box::pin(self.query_sockets(&step.place, "show servers state")),
            ),
            (
                "stat",
                Box::pin(self.query_sockets(&step.place, "show stat")),
            ),
        ]
    }

    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a> {
        // Every step ended with it.
        Box::pin(async move { Some(self.front.proven(PROOFS, destination)) })
    }
}

impl Switch for Haproxy<'_> {
    fn steps(&self, transition: Transition<'_>) -> Vec<Step> {
        self.front
            .machines
            .steps("haproxy", &self.describe_switch(transition.to))
    }

    fn plan<'a>(&'a self, step: &'a Step, transition: Transition<'a>) -> StepFuture<'a, String> {
        Box::pin(async move {
            self.check(&step.place, transition.to).await?;
            Ok(step.does.clone())
        })
    }

    fn snapshot<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>> {
        Box::pin(async move { self.backend().image(&step.place).await.map(Some) })
    }

    fn apply<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> StepFuture<'a, Applied> {
        Box::pin(async move {
            let place = &step.place;
            let made = self.switch_or_not(place, transition.to, before).await?;
            Ok(made.into())
        })
    }

    fn revert<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> StepFuture<'a, String> {
        Box::pin(async move {
            let before = before.ok_or(Error::Unnoted("what was there before is not known"))?;
            self.backend().put_back(&step.place, before).await
        })
    }
}

impl Route for Haproxy<'_> {
    fn standby<'a>(&'a self, step: &'a Step, destination: &'a str) -> StepFuture<'a, Standby> {
        Box::pin(async move {
            let servers = self.backend().servers(&step.place).await?;
            let addresses = addresses(&servers);
            let found = self.front.running(&step.place, &addresses, destination);
            Ok(self.front.standby(found.await?.1))
        })
    }

    fn entrypoints(&self) -> StepFuture<'_, Vec<Entrypoint>> {
        Box::pin(async move {
            let asking = self.front.machines.places().iter().map(|place| async move {
                // Without its word on where the servers are, the front door can still be asked.
                let (servers, unsure) = match self.backend().servers(place).await {
                    Ok(servers) => (servers, None),
                    Err(error) => (Servers::new(), Some(error)),
                };
                let active = servers.values().filter(|server| server.takes_traffic());
                let active = active.map(|server| server.address.as_str()).collect();
                let active = unsure.map_or(Ok(active), Err);
                self.front.entrypoints(place, &addresses(&servers), active)
            });
            Ok(join_all(asking).await.concat())
        })
    }
}

impl Target for Haproxy<'_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            proves_retention: true,
            self_reverting: true,
            ..Capabilities::default()
        }
    }

    fn router(&self) -> Option<&dyn Route> {
        Some(self)
    }
}

/// Names and addresses.
fn addresses(servers: &Servers) -> Vec<(&str, &str)> {
    let names = servers.keys().map(String::as_str);
    let addresses = servers.values().map(|server| server.address.as_str());
    names.zip(addresses).collect()
}

//! Blue-green behind HAProxy: two servers of a backend, switched over the runtime socket.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use config::file::HaproxyTarget;
use futures_util::future::join_all;

use crate::fit::Fits;
use crate::kinds::Kind;
use crate::target::{Applied, Capabilities, Observe, Proving, Route, Switch, Target, Transition};
use place::{Asking, Context, Effect, Error, Place, Step, word};
use router::haproxy::socket::{Proxy, Server};
use router::{Entrypoint, Front, Names, PROOFS, Proof, Standby, Streak};

/// Between two looks, and after an answer of before.
const PAUSE: Duration = Duration::from_millis(20);

const NAMES: Names = Names {
    section: "rollback",
    kind: "haproxy",
    shown: "HAProxy",
    behind: "server",
};

pub(crate) struct Haproxy<'a> {
    config: &'a HaproxyTarget,
    front: Front<'a>,
}

impl<'a> Haproxy<'a> {
    pub(crate) fn new(config: &'a HaproxyTarget, context: &Context<'a>) -> Result<Self, Error> {
        let (hosts, release) = (config.hosts.as_ref(), config.release.as_ref());
        let front = Front::new(NAMES, hosts, release, config.timeout, context)?;
        Ok(Haproxy { config, front })
    }

    fn does(&self, release: &str) -> String {
        let leave = self.left();
        let kept = self.config.state_file.as_ref();
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
        let servers = self.servers(place).await?;
        let active = servers.values().filter(|server| server.takes_traffic());
        let active: Vec<&str> = active.map(|server| server.address.as_str()).collect();
        self.front.served(place, &active, likely).await.map(Some)
    }

    /// Whether the release could be made live: one of the servers runs it.
    async fn check(&self, place: &Place, release: &str) -> Result<(), Error> {
        if let Some(file) = &self.config.state_file {
            let folder = file.parent().map(word).unwrap_or_default();
            let text =
                format!("[ -w {folder} ] || {{ echo cannot write in {folder} >&2; exit 1; }}");
            let limit = self.config.timeout.get();
            self.front
                .machines
                .places
                .script(place, "the state file", &text, Effect::Changes, limit)
                .await?;
        }
        let servers = self.proxy().switchable(place).await?;
        self.server_of(place, &servers, release).await.map(drop)
    }

    /// The servers as they are, as JSON.
    async fn pre_image(&self, place: &Place) -> Result<String, Error> {
        Ok(serde_json::to_string(&self.servers(place).await?)?)
    }

    /// Switches and proves; safe to do twice. What fails leaves the servers as they were before.
    async fn switch_or_not(
        &self,
        place: &Place,
        release: &str,
        before: Option<&str>,
    ) -> Result<String, Error> {
        let servers = self.servers(place).await?;
        let to = self.server_of(place, &servers, release).await?;
        match self.switch(place, &servers, &to, release).await {
            Ok(proof) => Ok(format!("{to} has the traffic; {proof}")),
            Err(error) => {
                let now = serde_json::to_string(&servers)?;
                Err(match self.put_back(place, before.unwrap_or(&now)).await {
                    Ok(_) => error.then("the servers were put back"),
                    Err(back) => error.stuck(back.at("putting the servers back failed too")),
                })
            }
        }
    }

    /// Lets each server be what it was.
    async fn put_back(&self, place: &Place, before: &str) -> Result<String, Error> {
        let before: BTreeMap<String, Server> =
            serde_json::from_str(before).map_err(|error| Error::from(error).at("the pre-image"))?;
        let mut all: Vec<_> = before.iter().collect();
        // What takes traffic comes first: at every moment one of them does.
        all.sort_by_key(|(_, server)| !server.takes_traffic());
        for (name, server) in all {
            self.set(place, name, &format!("weight {}", server.weight))
                .await?;
            self.set(place, name, &format!("state {}", server.state()))
                .await?;
        }
        self.keep(place).await?;
        let states: Vec<String> = before
            .iter()
            .map(|(name, server)| format!("{name} {}", server.state()))
            .collect();
        Ok(format!("{} again", states.join(", ")))
    }

    async fn switch(
        &self,
        place: &Place,
        servers: &BTreeMap<String, Server>,
        to: &str,
        release: &str,
    ) -> Result<String, Error> {
        if let Some(server) = servers.get(to).filter(|server| server.weight == 0) {
            let weight = if server.first_weight == 0 {
                "weight 100"
            } else {
                "weight 100%"
            };
            self.set(place, to, weight).await?;
        }
        self.set(place, to, "state ready").await?;
        self.wait_for(place, to).await?;
        let other = if to == self.config.blue {
            &self.config.green
        } else {
            &self.config.blue
        };
        self.set(place, other, &format!("state {}", self.left()))
            .await?;
        self.keep(place).await?;
        self.prove(place, release).await
    }

    /// A server that is checked takes requests once its checks have passed; the other must not
    /// leave before.
    async fn wait_for(&self, place: &Place, name: &str) -> Result<(), Error> {
        let end = Instant::now() + self.config.timeout.get();
        loop {
            let servers = self.servers(place).await?;
            if servers
                .get(name)
                .is_some_and(|server| matches!(server.operation, 1 | 2))
            {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Error::Down(format!(
                    "HAProxy does not find {name} healthy within {}",
                    self.config.timeout
                )));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn prove(&self, place: &Place, release: &str) -> Result<String, Error> {
        let proof = Proof {
            streak: Streak::new(1),
            drain: Duration::ZERO,
            pause: PAUSE,
            after: "the switch",
        };
        Ok(self.front.prove(place, release, proof).await?.told)
    }

    /// The name of the server that runs this release.
    async fn server_of(
        &self,
        place: &Place,
        servers: &BTreeMap<String, Server>,
        release: &str,
    ) -> Result<String, Error> {
        let found = self
            .front
            .running(place, &addresses(servers), release)
            .await?;
        Ok(found.0.to_owned())
    }

    fn proxy(&self) -> Proxy<'_> {
        Proxy::new(self.config, self.front.machines.places)
    }

    /// Blue and green as HAProxy sees them.
    async fn servers(&self, place: &Place) -> Result<BTreeMap<String, Server>, Error> {
        self.proxy().servers(place).await
    }

    async fn say(&self, place: &Place, command: &str) -> Result<String, Error> {
        self.proxy().say(place, command).await
    }

    async fn look(&self, place: &Place, command: &str) -> Result<String, Error> {
        self.proxy().look(place, command).await
    }

    /// The state of the server that traffic has left.
    fn left(&self) -> &'static str {
        if self.config.drain { "drain" } else { "maint" }
    }

    async fn set(&self, place: &Place, server: &str, what: &str) -> Result<(), Error> {
        let command = format!("set server {}/{server} {what}", self.config.backend);
        let answer = self.say(place, &command).await?;
        // It only speaks where something is wrong.
        match answer.trim() {
            "" => Ok(()),
            complaint => Err(Error::Refused(complaint.to_owned()).at(format!("`{command}`"))),
        }
    }

    /// What a reload is to find.
    async fn keep(&self, place: &Place) -> Result<(), Error> {
        let Some(file) = &self.config.state_file else {
            return Ok(());
        };
        let all = "show servers state";
        if *place != Place::Here {
            let text = format!(
                "file={file}\n{} >\"$file.deploy-guard-new\"
[ \"$(head -n 1 -- \"$file.deploy-guard-new\")\" = 1 ] || {{ echo HAProxy tells no state >&2; exit 1; }}
sync -- \"$file.deploy-guard-new\"\nmv -T -f -- \"$file.deploy-guard-new\" \"$file\"",
                self.proxy().ask_there(all),
                file = word(file)
            );
            let limit = self.config.timeout.get();
            return self
                .front
                .machines
                .places
                .script(place, "the state file", &text, Effect::Changes, limit)
                .await
                .map(drop);
        }
        let text = self.look(place, all).await?;
        if !text.starts_with("1\n") {
            let what = "HAProxy tells no state that it could read again";
            return Err(Error::Malformed(what.to_owned()));
        }
        state::atomic::replace(file, text.as_bytes())
            .map_err(|error| Error::from(error).at(format!("failed to write {}", file.display())))
    }
}

impl Kind for HaproxyTarget {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
        Ok(Box::new(Haproxy::new(self, context)?))
    }

    fn fits(&self) -> Option<&dyn Fits> {
        Some(self)
    }
}

impl Observe for Haproxy<'_> {
    fn current<'a>(&'a self, step: &'a Step, likely: &'a str) -> Asking<'a, Option<String>> {
        Box::pin(self.served(&step.place, likely))
    }

    fn diagnostics<'a>(&'a self, step: &'a Step) -> Vec<(&'static str, Asking<'a, String>)> {
        vec![
            (
                "servers",
                Box::pin(self.look(&step.place, "show servers state")),
            ),
            ("stat", Box::pin(self.look(&step.place, "show stat"))),
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
            .steps("haproxy", &self.does(transition.to))
    }

    fn plan<'a>(&'a self, step: &'a Step, transition: Transition<'a>) -> Asking<'a, String> {
        Box::pin(async move {
            self.check(&step.place, transition.to).await?;
            Ok(step.does.clone())
        })
    }

    fn snapshot<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
    ) -> Asking<'a, Option<String>> {
        Box::pin(async move { self.pre_image(&step.place).await.map(Some) })
    }

    fn apply<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, Applied> {
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
    ) -> Asking<'a, String> {
        Box::pin(async move {
            let before = before.ok_or(Error::Unnoted("what was there before is not known"))?;
            self.put_back(&step.place, before).await
        })
    }
}

impl Route for Haproxy<'_> {
    fn standby<'a>(&'a self, step: &'a Step, destination: &'a str) -> Asking<'a, Standby> {
        Box::pin(async move {
            let servers = self.servers(&step.place).await?;
            let addresses = addresses(&servers);
            let found = self.front.running(&step.place, &addresses, destination);
            Ok(self.front.standby(found.await?.1))
        })
    }

    fn entrypoints(&self) -> Asking<'_, Vec<Entrypoint>> {
        Box::pin(async move {
            let asking = self.front.machines.all().iter().map(|place| async move {
                // Without its word on where the servers are, the front door can still be asked.
                let (servers, unsure) = match self.servers(place).await {
                    Ok(servers) => (servers, None),
                    Err(error) => (BTreeMap::new(), Some(error)),
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
fn addresses(servers: &BTreeMap<String, Server>) -> Vec<(&str, &str)> {
    let names = servers.keys().map(String::as_str);
    let addresses = servers.values().map(|server| server.address.as_str());
    names.zip(addresses).collect()
}

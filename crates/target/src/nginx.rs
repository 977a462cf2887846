//! Blue-green behind nginx, here or on hosts: one upstream file names the colour that gets the
//! traffic, or both with their weights.
//!
//! `nginx -s reload` ends with 0 while the old configuration stays in force, so only requests
//! through nginx prove a switch; without that proof the file is put back.

use std::path::Path;
use std::time::{Duration, Instant};

use config::file::NginxTarget;
use futures_util::future::join_all;

use crate::fit::CheckFit;
use crate::kinds::Kind;
use crate::target::{Applied, Capabilities, Observe, Proving, Route, Switch, Target, Transition};
use place::{
    Context, Entrypoint, Entrypoints, Error, PROOFS, Place, Proof, ProvedSwitch, ProxyNames,
    Standby, Step, StepFuture, Streak,
};
use router::nginx::division::Division;
use router::nginx::key;
use router::nginx::site::{OVERLAP, Site};

/// After an answer of before, at most.
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(10);

const NAMES: ProxyNames = ProxyNames {
    section: "rollback",
    kind: "nginx",
    shown: "nginx",
    behind: "colour",
};

pub(crate) struct Nginx<'a> {
    site: Site<'a>,
    front: Entrypoints<'a>,
}

impl<'a> Nginx<'a> {
    pub(crate) fn new(config: &'a NginxTarget, context: &Context<'a>) -> Result<Self, Error> {
        let (hosts, release) = (config.hosts.as_ref(), config.release.as_ref());
        let mut front = Entrypoints::new(NAMES, hosts, release, config.timeout, context)?;
        if let Some(key) = &config.sticky {
            front.visitor = key::visitor(key);
            if front.visitor.is_none() {
                return Err(Error::Unconfigured(format!(
                    "users stay on a side by `{key}`, of which all our requests are one: no answers could prove a \
                     switch; `rollback.command` makes it without this proof"
                )));
            }
        }
        let site = Site::new(config, NAMES.section, context.places);
        Ok(Nginx { site, front })
    }

    fn describe_switch(&self, release: &str) -> String {
        format!(
            "let {} give all traffic to the colour that runs {release}, test, reload, prove through {}",
            self.site.config.upstream_file.display(),
            self.front.question.url
        )
    }

    /// The release that is served through nginx. Shortly after a reload workers of before it may
    /// still answer, so it is `likely` only if each colour that gets traffic and every answer say
    /// so.
    async fn served(&self, place: &Place, likely: &str) -> Result<String, Error> {
        let text = self.site.read(place).await?;
        let division = self.site.division(&text)?;
        self.front.served(place, &division.active(), likely).await
    }

    async fn planned(&self, step: &Step, release: &str) -> Result<String, Error> {
        let place = &step.place;
        let address = self.colour_of(place, release).await?;
        let text = self.site.read(place).await?;
        let switched = self.all_to(&text, &address)?;
        self.site.may_change(place).await?;
        let mut does = step.does.clone();
        if switched == text {
            does.push_str(" (the file already does)");
        }
        Ok(does)
    }

    /// The text in which one colour has the traffic.
    fn all_to(&self, text: &str, address: &str) -> Result<String, Error> {
        let all = self.site.division(text)?.all_to(address);
        all.map_err(|error| self.site.unfit(&error))
    }

    fn colours(&self) -> [(&str, &str); 2] {
        let NginxTarget { blue, green, .. } = self.site.config;
        [("blue", blue), ("green", green)]
    }

    /// The address of the colour that runs this release.
    async fn colour_of(&self, place: &Place, release: &str) -> Result<String, Error> {
        let found = self.front.running(place, &self.colours(), release).await?;
        Ok(found.1.to_owned())
    }

    /// Switches and proves. On an error the file is `before` again, and nginx has it.
    async fn switch(
        &self,
        place: &Place,
        release: &str,
        before: Option<&str>,
    ) -> Result<Applied, Error> {
        let address = self.colour_of(place, release).await?;
        let text = self.site.read(place).await?;
        let before = before.unwrap_or(&text);
        let switched = self.all_to(&text, &address)?;
        let (rarest, tells) = match self.site.division(before) {
            Ok(before) => (before.rarest(), !before.may_ask(&address)),
            Err(_) => (1, false),
        };
        if switched != text {
            self.site.write(place, &switched).await?;
        }
        match self.reload_and_prove(place, release, rarest).await {
            Ok(ProvedSwitch { told, first }) => Ok(Applied {
                detail: format!("{address} has the traffic; {told}"),
                // With the old configuration nothing of the destination could have answered, if the
                // first right answer tells.
                answered: Some(if tells { first } else { Instant::now() }),
            }),
            Err(error) => Err(self.site.put_back_after(place, before, error).await),
        }
    }

    /// `rarest`: of how many requests one went to the server that got the fewest.
    async fn reload_and_prove(
        &self,
        place: &Place,
        release: &str,
        rarest: u32,
    ) -> Result<ProvedSwitch, Error> {
        self.site.test_and_reload(place).await?;
        let proof = Proof {
            streak: Streak::new(rarest),
            drain: OVERLAP,
            pause: MAX_POLL_INTERVAL,
            after: "the reload",
        };
        self.front.prove(place, release, proof).await
    }
}

impl Kind for NginxTarget {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
        Ok(Box::new(Nginx::new(self, context)?))
    }

    fn fits(&self) -> Option<&dyn CheckFit> {
        Some(self)
    }
}

impl Observe for Nginx<'_> {
    fn current<'a>(&'a self, step: &'a Step, likely: &'a str) -> StepFuture<'a, Option<String>> {
        Box::pin(async move { self.served(&step.place, likely).await.map(Some) })
    }

    fn diagnostics<'a>(&'a self, step: &'a Step) -> Vec<(&'static str, StepFuture<'a, String>)> {
        let errors = Path::new("/var/log/nginx/error.log");
        vec![
            ("upstream-file", Box::pin(self.site.read(&step.place))),
            self.front
                .machines
                .tail(&step.place, "nginx-errors", errors),
        ]
    }

    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a> {
        // Every step ended with it.
        Box::pin(async move { Some(self.front.proven(PROOFS, destination)) })
    }
}

impl Switch for Nginx<'_> {
    fn steps(&self, transition: Transition<'_>) -> Vec<Step> {
        self.front
            .machines
            .steps("nginx", &self.describe_switch(transition.to))
    }

    fn plan<'a>(&'a self, step: &'a Step, transition: Transition<'a>) -> StepFuture<'a, String> {
        Box::pin(self.planned(step, transition.to))
    }

    fn snapshot<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>> {
        Box::pin(async move { self.site.read(&step.place).await.map(Some) })
    }

    fn apply<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> StepFuture<'a, Applied> {
        Box::pin(self.switch(&step.place, transition.to, before))
    }

    fn revert<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> StepFuture<'a, String> {
        Box::pin(async move {
            let before = before.ok_or(Error::Unnoted("what the file held before is not known"))?;
            self.site.restore(&step.place, before).await
        })
    }
}

impl Route for Nginx<'_> {
    fn standby<'a>(&'a self, step: &'a Step, destination: &'a str) -> StepFuture<'a, Standby> {
        Box::pin(async move {
            let at = self.colour_of(&step.place, destination).await?;
            Ok(self.front.standby(&at))
        })
    }

    fn entrypoints(&self) -> StepFuture<'_, Vec<Entrypoint>> {
        Box::pin(async move {
            let asking = self.front.machines.places().iter().map(|place| async move {
                let text = self.site.read(place).await;
                let division = text.as_ref().map_err(Error::clone);
                let division = division.and_then(|text| self.site.division(text));
                let active = division.as_ref().map(Division::active);
                let active = active.map_err(Error::clone);
                self.front.entrypoints(place, &self.colours(), active)
            });
            Ok(join_all(asking).await.concat())
        })
    }
}

impl Target for Nginx<'_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            proves_retention: true,
            self_reverting: true,
            splits_traffic: true,
            ..Capabilities::default()
        }
    }

    fn router(&self) -> Option<&dyn Route> {
        Some(self)
    }
}

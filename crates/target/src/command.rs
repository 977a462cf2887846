//! A command of the user's makes the switch.
//!
//! Releases and hosts reach it by its environment, never by its text.

use std::time::Instant;

use config::file::{CommandTarget, Hosts};
use model::Redactor;
use model::release::Releases;
use remote::local::Script;
use remote::{CommandResult, exports};

use crate::kinds::Kind;
use crate::target::{Applied, Capabilities, Observe, Proving, Switch, Target, Transition};
use place::{Context, Effect, Error, Place, PlaceAccess, Step, StepFuture, ended};

pub(crate) struct Command<'a> {
    config: &'a CommandTarget,
    hosts: &'a Hosts,
    places: &'a PlaceAccess,
    redactor: &'a Redactor,
    names: Releases,
}

/// A release name is short; a longer text is not a release name.
const MAX_RELEASE: usize = 256;

impl<'a> Command<'a> {
    pub(crate) fn new(config: &'a CommandTarget, context: &Context<'a>) -> Self {
        Command {
            config,
            hosts: &context.config.hosts,
            places: context.places,
            redactor: context.redactor,
            names: context.releases(),
        }
    }

    async fn run(
        &self,
        text: &str,
        transition: Option<Transition<'_>>,
        effect: Effect,
        place: &Place,
    ) -> Result<CommandResult, Error> {
        let mut env = vec![("HOST".to_owned(), self.address(place).to_owned())];
        // Empty rather than inherited: the caller's own RELEASE must not be taken for ours.
        env.push((
            "RELEASE".into(),
            transition.map(|m| m.to.to_owned()).unwrap_or_default(),
        ));
        env.push((
            "PREVIOUS_RELEASE".into(),
            transition
                .and_then(|m| m.from)
                .map(str::to_owned)
                .unwrap_or_default(),
        ));
        let timeout = self.config.timeout.get();
        if self.config.on_hosts {
            // In a shell of its own, which it may leave: a script's end is how it proves that it ran.
            let text = format!("{}(\n{text}\n)", exports(&env));
            return self.places.run(place, &text, effect, timeout).await;
        }
        let script = Script { text, env, timeout };
        let redactor = self.redactor;
        remote::local::run(&script, &mut |_, line| {
            tracing::info!("{}", redactor.redact(line));
        })
        .await
        .map(CommandResult::from)
        .map_err(|cause| Error::NotStarted {
            what: "the command",
            cause: cause.into(),
        })
    }

    /// The release that `current` prints, with `HOST` set to the step's address.
    async fn printed(&self, step: &Step, likely: &str) -> Result<Option<String>, Error> {
        let Some(text) = &self.config.current else {
            return Ok(None);
        };
        let ran = self.run(text, None, Effect::Reads, &step.place).await?;
        let ran = ended(ran, "`rollback.command.current`")?;
        let printed = String::from_utf8_lossy(&ran.stdout);
        let printed = printed.trim();
        if printed.is_empty() || printed.len() > MAX_RELEASE || printed.contains('\n') {
            return Err(Error::Malformed(
                "`rollback.command.current` does not print one release".to_owned(),
            ));
        }
        Ok(Some(self.names.named(printed, likely).to_owned()))
    }

    fn address<'s>(&'s self, place: &'s Place) -> &'s str {
        match place {
            Place::Here => "localhost",
            Place::Host(name) => {
                let host = self.hosts.get(name);
                host.map_or(name.as_str(), |host| host.address.as_str())
            }
        }
    }

    async fn switch(&self, step: &Step, transition: Transition<'_>) -> Result<String, Error> {
        let started = Instant::now();
        let run = self.run(
            &self.config.run,
            Some(transition),
            Effect::Changes,
            &step.place,
        );
        let ran = run.await?;
        match ran.status {
            Some(0) => Ok(format!(
                "exit status 0 after {}",
                model::text::span(started.elapsed())
            )),
            _ => Err(Error::ended(ran)),
        }
    }
}

impl Kind for CommandTarget {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
        Ok(Box::new(Command::new(self, context)))
    }
}

impl Observe for Command<'_> {
    fn current<'a>(&'a self, step: &'a Step, likely: &'a str) -> StepFuture<'a, Option<String>> {
        Box::pin(self.printed(step, likely))
    }

    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a> {
        Box::pin(async move {
            let transition = Transition::to(destination);
            for step in self.steps(transition) {
                match self.printed(&step, destination).await {
                    Ok(Some(current)) if current == destination => {}
                    _ => return None,
                }
            }
            Some(format!("`rollback.command.current` prints {destination}"))
        })
    }
}

impl Switch for Command<'_> {
    fn steps(&self, transition: Transition<'_>) -> Vec<Step> {
        let step = |place: Place| Step {
            name: format!("command/{place}"),
            does: format!(
                "run `rollback.command.run` with RELEASE={} HOST={}",
                transition.to,
                self.address(&place)
            ),
            place,
        };
        if self.config.hosts.is_empty() {
            return vec![step(Place::Here)];
        }
        let hosts = self.config.hosts.iter();
        hosts.map(|name| step(Place::Host(name.clone()))).collect()
    }

    fn plan<'a>(&'a self, step: &'a Step, transition: Transition<'a>) -> StepFuture<'a, String> {
        Box::pin(async move {
            if let Some(text) = &self.config.check {
                let ran = self
                    .run(text, Some(transition), Effect::Reads, &step.place)
                    .await?;
                ended(ran, "`rollback.command.check` fails")?;
            }
            Ok(step.does.clone())
        })
    }

    /// The release that runs; a command can put back no more than that.
    fn snapshot<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>> {
        Box::pin(async move {
            let printed = self.printed(step, transition.to).await.ok().flatten();
            // It goes into the journal: a secret never does.
            let printed = printed.filter(|release| {
                release != transition.to && self.redactor.redact(release) == *release
            });
            Ok(printed.or_else(|| transition.from.map(str::to_owned)))
        })
    }

    fn apply<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        _snapshot: Option<&'a str>,
    ) -> StepFuture<'a, Applied> {
        Box::pin(async move { Ok(self.switch(step, transition).await?.into()) })
    }

    fn revert<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> StepFuture<'a, String> {
        Box::pin(async move {
            let before = before.ok_or(Error::Unnoted("which release ran before is not known"))?;
            let back = Transition {
                to: before,
                from: Some(transition.to),
            };
            let made = self.switch(step, back).await?;
            // A command that has nothing to do for a release it does not know ends well too.
            match self.printed(step, before).await? {
                Some(runs) if runs != before => Err(Error::Contradicts(format!(
                    "{made}, and `rollback.command.current` prints {runs}, not {before}"
                ))),
                _ => Ok(made),
            }
        })
    }
}

impl Target for Command<'_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            proves_retention: self.config.check.is_some(),
            acts_from_here: !self.config.on_hosts,
            ..Capabilities::default()
        }
    }
}

//! A command of the user's makes the switch.
//!
//! Releases and hosts reach it by its environment, never by its text.

use std::collections::BTreeMap;
use std::pin::Pin;

use config::file::{CommandTarget, Host};
use model::Redactor;
use model::release::Releases;
use remote::local::{Captured, Script};

use crate::context::Context;
use crate::place::Place;
use crate::target::{Asking, Move, Step, Target};

pub(crate) struct Command<'a> {
    config: &'a CommandTarget,
    hosts: &'a BTreeMap<String, Host>,
    redactor: &'a Redactor,
    names: Releases,
}

/// A release name is short; what is longer is no release name.
const MAX_RELEASE: usize = 256;

impl<'a> Command<'a> {
    pub(crate) fn new(config: &'a CommandTarget, context: &Context<'a>) -> Self {
        Command {
            config,
            hosts: &context.config.hosts,
            redactor: context.redactor,
            names: context.releases(),
        }
    }

    async fn run(
        &self,
        text: &str,
        moving: Option<Move<'_>>,
        host: &str,
    ) -> Result<Captured, String> {
        let mut env = vec![("HOST".to_owned(), host.to_owned())];
        // Empty rather than inherited: the caller's own RELEASE must not be taken for ours.
        env.push((
            "RELEASE".into(),
            moving.map(|m| m.destination.to_owned()).unwrap_or_default(),
        ));
        env.push((
            "PREVIOUS_RELEASE".into(),
            moving
                .and_then(|m| m.left)
                .map(str::to_owned)
                .unwrap_or_default(),
        ));
        let script = Script {
            text,
            env,
            timeout: self.config.timeout.get(),
        };
        let redactor = self.redactor;
        remote::local::run(&script, &mut |_, line| {
            tracing::info!("{}", redactor.redact(line));
        })
        .await
        .map_err(|error| format!("the command could not be started: {error}"))
    }

    /// The release that `current` prints, with `HOST` set to the step's address.
    async fn printed(&self, step: &Step, likely: &str) -> Result<Option<String>, String> {
        let Some(text) = &self.config.current else {
            return Ok(None);
        };
        let captured = self.run(text, None, self.address(&step.place)).await?;
        if !captured.success() {
            return Err(format!("`rollback.command.current`: {}", captured.told()));
        }
        let printed = captured.stdout.trim();
        if printed.is_empty() || printed.len() > MAX_RELEASE || printed.contains('\n') {
            return Err("`rollback.command.current` does not print one release".to_owned());
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

    async fn switch(&self, step: &Step, moving: Move<'_>) -> Result<String, String> {
        let address = self.address(&step.place);
        let captured = self.run(&self.config.run, Some(moving), address).await?;
        if captured.success() {
            Ok(format!(
                "exit status 0 after {} ms",
                captured.duration.as_millis()
            ))
        } else {
            Err(captured.told())
        }
    }
}

impl Target for Command<'_> {
    fn steps(&self, moving: Move<'_>) -> Vec<Step> {
        let step = |place: Place| Step {
            name: format!("command/{place}"),
            does: format!(
                "run `rollback.command.run` with RELEASE={} HOST={}",
                moving.destination,
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

    fn current<'a>(&'a self, step: &'a Step, likely: &'a str) -> Asking<'a, Option<String>> {
        Box::pin(self.printed(step, likely))
    }

    fn plan<'a>(&'a self, step: &'a Step, moving: Move<'a>) -> Asking<'a, String> {
        Box::pin(async move {
            if let Some(text) = &self.config.check {
                let address = self.address(&step.place);
                let captured = self.run(text, Some(moving), address).await?;
                if !captured.success() {
                    return Err(format!(
                        "`rollback.command.check` says no: {}",
                        captured.told()
                    ));
                }
            }
            Ok(step.does.clone())
        })
    }

    fn proves(&self) -> bool {
        self.config.check.is_some()
    }

    /// The release that runs; a command can put back no more than that.
    fn before<'a>(&'a self, step: &'a Step, moving: Move<'a>) -> Asking<'a, Option<String>> {
        Box::pin(async move {
            let printed = self.printed(step, moving.destination).await.ok().flatten();
            // It goes into the journal: a secret never does.
            let printed = printed.filter(|release| {
                release != moving.destination && self.redactor.redact(release) == *release
            });
            Ok(printed.or_else(|| moving.left.map(str::to_owned)))
        })
    }

    fn act<'a>(
        &'a self,
        step: &'a Step,
        moving: Move<'a>,
        _before: Option<&'a str>,
    ) -> Asking<'a, String> {
        Box::pin(self.switch(step, moving))
    }

    fn undo<'a>(
        &'a self,
        step: &'a Step,
        moving: Move<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, String> {
        Box::pin(async move {
            let before = before.ok_or("which release ran before is not known")?;
            let back = Move {
                destination: before,
                left: Some(moving.destination),
            };
            let made = self.switch(step, back).await?;
            // A command that has nothing to do for a release it does not know ends well too.
            match self.printed(step, before).await? {
                Some(runs) if runs != before => Err(format!(
                    "{made}, and `rollback.command.current` prints {runs}, not {before}"
                )),
                _ => Ok(made),
            }
        })
    }

    fn proof<'a>(
        &'a self,
        destination: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<String>> + 'a>> {
        Box::pin(async move {
            let moving = Move {
                destination,
                left: None,
            };
            for step in self.steps(moving) {
                match self.printed(&step, destination).await {
                    Ok(Some(current)) if current == destination => {}
                    _ => return None,
                }
            }
            Some(format!("`rollback.command.current` prints {destination}"))
        })
    }
}

//! A command of the user's makes the switch.
//!
//! Releases and hosts reach it by its environment, never by its text.

use cli::Job;
use config::file::CommandTarget;
use remote::local::{Captured, Script};

use super::{Move, Step};

pub(crate) struct Command<'a> {
    config: &'a CommandTarget,
    job: &'a Job,
}

/// A release name is short; what is longer is no release name.
const MAX_RELEASE: usize = 256;

impl<'a> Command<'a> {
    pub(crate) fn new(config: &'a CommandTarget, job: &'a Job) -> Self {
        Command { config, job }
    }

    /// Names and addresses to run for.
    fn hosts(&self) -> Vec<(&str, &str)> {
        if self.config.hosts.is_empty() {
            return vec![("localhost", "localhost")];
        }
        let address = |name: &str| {
            self.job
                .config
                .hosts
                .get(name)
                .map(|host| host.address.as_str())
        };
        self.config
            .hosts
            .iter()
            .map(|name| (name.as_str(), address(name).unwrap_or(name.as_str())))
            .collect()
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
        let redactor = &self.job.redactor;
        remote::local::run(&script, &mut |_, line| {
            tracing::info!("{}", redactor.redact(line));
        })
        .await
        .map_err(|error| format!("the command could not be started: {error}"))
    }

    /// What `current` prints.
    pub(crate) async fn current(&self) -> Result<Option<String>, String> {
        let Some(text) = &self.config.current else {
            return Ok(None);
        };
        let captured = self.run(text, None, "localhost").await?;
        if !captured.success() {
            return Err(format!(
                "`rollback.command.current`: {}: {}",
                captured.exit,
                captured.tail()
            ));
        }
        let printed = captured.stdout.trim();
        if printed.is_empty() || printed.len() > MAX_RELEASE || printed.contains('\n') {
            return Err("`rollback.command.current` does not print one release".to_owned());
        }
        Ok(Some(printed.to_owned()))
    }

    pub(crate) fn steps(&self, moving: Move<'_>) -> Vec<Step> {
        self.hosts()
            .into_iter()
            .map(|(name, address)| Step {
                name: format!("command/{name}"),
                does: format!(
                    "run `rollback.command.run` with RELEASE={} HOST={address}",
                    moving.destination
                ),
            })
            .collect()
    }

    pub(crate) async fn plan(&self, moving: Move<'_>) -> Result<Vec<Step>, String> {
        if let Some(text) = &self.config.check {
            for (name, address) in self.hosts() {
                let captured = self.run(text, Some(moving), address).await?;
                if !captured.success() {
                    return Err(format!(
                        "{name}: `rollback.command.check` says no: {}: {}",
                        captured.exit,
                        captured.tail()
                    ));
                }
            }
        }
        Ok(self.steps(moving))
    }

    pub(crate) async fn act(&self, step: &Step, moving: Move<'_>) -> Result<String, String> {
        let name = step.name.trim_start_matches("command/");
        let address = self
            .hosts()
            .into_iter()
            .find(|(host, _)| *host == name)
            .map_or(name, |(_, address)| address);
        let captured = self.run(&self.config.run, Some(moving), address).await?;
        if captured.success() {
            Ok(format!(
                "exit status 0 after {} ms",
                captured.duration.as_millis()
            ))
        } else {
            Err(format!("{}: {}", captured.exit, captured.tail()))
        }
    }
}

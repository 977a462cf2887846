//! What a release runs on, and how another one is made live there.

mod command;
mod nginx;

use std::time::Duration;

use cli::Job;
use config::file::{ReleaseSource, Rollback};

pub(crate) use command::Command;
pub(crate) use nginx::Nginx;

/// How the switch is made. One file per kind.
pub(crate) enum Target<'a> {
    Command(Command<'a>),
    Nginx(Nginx<'a>),
}

/// A place that is switched as a whole: a host, or the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// `command/web-01`, `nginx/switch`.
    pub(crate) name: String,
    /// In words, for a plan.
    pub(crate) does: String,
}

/// From where to where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move<'a> {
    pub(crate) destination: &'a str,
    pub(crate) left: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// The configured target; the configuration has exactly one.
    pub(crate) fn of(section: &'a Rollback, job: &'a Job) -> Result<Self, String> {
        match (&section.command, &section.nginx) {
            (Some(command), _) => Ok(Target::Command(Command::new(command, job))),
            (None, Some(nginx)) => Nginx::new(nginx, job).map(Target::Nginx),
            (None, None) => Err("no target is configured under `rollback:`".to_owned()),
        }
    }

    /// The release that runs, if the target can tell.
    pub(crate) async fn current(&self, likely: &str) -> Result<Option<String>, String> {
        match self {
            Target::Command(target) => target.current().await,
            Target::Nginx(target) => target.current(likely).await.map(Some),
        }
    }

    /// The steps to the destination, proved to be possible without changing anything.
    pub(crate) async fn plan(&self, moving: Move<'_>) -> Result<Vec<Step>, String> {
        match self {
            Target::Command(target) => target.plan(moving).await,
            Target::Nginx(target) => target.plan(moving).await,
        }
    }

    /// The steps, without asking anybody: what a resumed rollback has to make sure of.
    pub(crate) fn steps(&self, moving: Move<'_>) -> Vec<Step> {
        match self {
            Target::Command(target) => target.steps(moving),
            Target::Nginx(target) => vec![target.step(moving)],
        }
    }

    /// What is needed to undo a step.
    pub(crate) fn before(&self) -> Result<Option<String>, String> {
        match self {
            Target::Command(_) => Ok(None),
            Target::Nginx(target) => target.read().map(Some),
        }
    }

    /// Makes a step; safe to do twice. On an error of nginx the file is as `before` again.
    pub(crate) async fn act(
        &self,
        step: &Step,
        moving: Move<'_>,
        before: Option<&str>,
    ) -> Result<String, String> {
        match self {
            Target::Command(target) => target.act(step, moving).await,
            Target::Nginx(target) => target.act(moving, before).await,
        }
    }

    /// Whether a step that failed left everything as it was.
    pub(crate) fn undoes(&self) -> bool {
        matches!(self, Target::Nginx(_))
    }

    /// Whether the switch itself proved which release answers.
    pub(crate) async fn proof(&self, destination: &str) -> Option<String> {
        match self {
            Target::Nginx(target) => Some(target.proof(destination)),
            Target::Command(target) => match target.current().await {
                Ok(Some(current)) if current == destination => {
                    Some(format!("`rollback.command.current` prints {current}"))
                }
                _ => None,
            },
        }
    }
}

/// Where the running release can be asked for, through the front door.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) url: String,
    pub(crate) source: Option<ReleaseSource>,
}

impl Question {
    /// The first probe of the gate that says where its release stands.
    pub(crate) fn of_gate(job: &Job) -> Option<Question> {
        let probes = &job.config.healthgate.as_ref()?.http;
        let probe = probes
            .iter()
            .find(|probe| probe.release.is_some())
            .or(probes.first())?;
        let source = probe.release.clone();
        let url = source
            .as_ref()
            .and_then(|source| source.url.clone())
            .unwrap_or(probe.url.clone());
        Some(Question { url, source })
    }

    pub(crate) async fn ask(
        &self,
        at: Option<&str>,
        likely: &str,
        timeout: Duration,
    ) -> Result<String, String> {
        probe::http::ask_release(&self.url, at, self.source.as_ref(), likely, timeout).await
    }
}

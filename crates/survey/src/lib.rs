//! What a repository contains, and how its workflows deploy.
//!
//! The workflows are read as programs: jobs, steps, shell commands, the scripts and other workflows that they call. A
//! claim carries the line that it is read from. Nothing of the repository is run. All of it may be hostile: files,
//! depths and numbers are bounded, and a text that cannot be read is said to be passed over.
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")
)]

mod actions;
mod assemble;
mod beside;
mod called;
mod called_so;
mod calls;
mod choice;
mod counts;
mod deployment;
mod environment;
mod event;
mod files_of;
mod health;
mod images;
mod jobs;
mod kubernetes;
mod leaves;
mod logins;
mod look;
mod nginx;
mod origin;
mod record;
mod release;
mod remote;
mod run;
mod scope;
mod script;
mod session;
mod ssh;
mod unread;

use std::path::PathBuf;

pub use workflow::expression::{equals, fill, inners};
pub use workflow::rank::Rank;
pub use workflow::{Fact, Job, Known, Line, Step, Text, Value, Workflow};

pub use called_so::Called;
pub use deployment::{
    Choice, Client, Deployment, Environment, Fetched, Health, HealthSource, JobId, Login, Need,
    Origin, OwnImage, Script, SetUp, UNKNOWN_FOLDER,
};
pub use look::look;
pub use tools::compose;
pub use tools::{
    ByHand, ComposeCall, EcsCall, HelmCall, KUBECTL_CHANGES, KamalCall, KubectlCall, Live,
    PlatformCall, Tool, Undo,
};

/// What was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The repository's root.
    pub root: PathBuf,
    /// The folder that was looked at, from the root; empty for all of it.
    pub below: PathBuf,
    pub git: bool,
    /// `owner/name` at the end of `origin`'s address.
    pub origin: Option<String>,
    pub workflows: Vec<Workflow>,
    /// How the workflows deploy: production first, then the others in their order.
    pub deployments: Vec<Deployment>,
    /// Files that could deploy something and that no workflow and no script of one uses.
    pub unused: Vec<Unused>,
    /// Jobs and steps that are called a deployment though nothing that is known to be one is in them.
    pub called_so: Vec<Called>,
    /// Steps and commands that are not understood: what nothing deploys, or nothing uses, is not known as long as there are
    /// any.
    pub not_known: Vec<NotKnown>,
    /// What workflows hand out instead of deploying it: a package, a crate, an image, files of a release.
    pub published: Vec<Fact<String>>,
    /// What could not be read, and why.
    pub passed_over: Vec<String>,
}

impl Survey {
    /// Takes what is called a deployment for one, as a person does who names its address.
    pub fn trust_names(&mut self) {
        let called = self.called_so.iter();
        self.deployments = called
            .filter_map(|one| Some(*one.deployment.clone()?))
            .collect();
    }

    /// Takes what is not understood in a workflow for one, as a person does who names both.
    pub fn trust_unknown(&mut self, workflow: &str) {
        let unknown = self.not_known.iter();
        let of_workflow = unknown.filter(|one| one.what.at.path == workflow);
        self.deployments = of_workflow
            .filter_map(|one| Some(*one.deployment.clone()?))
            .collect();
    }

    /// Whether any workflow deploys.
    pub fn deploys(&self) -> Known {
        let first = self
            .deployments
            .first()
            .map(|one| Known::Yes(one.at.clone()));
        let mut unknown = self.not_known.iter().filter(|one| one.reaches);
        first
            .or_else(|| Some(Known::NotSeen(Some(unknown.next()?.what.clone()))))
            .unwrap_or(Known::No)
    }
}

/// A step, a command or a workflow of another repository of which it is not known what it does.
#[derive(Clone, Debug)]
pub struct NotKnown {
    pub what: Fact<String>,
    /// Whether it could deploy something: it has what lets it into something else, or it sends something there.
    pub reaches: bool,
    /// As a deployment, in case a person says that it is one: the last of its job that could be.
    pub deployment: Option<Box<Deployment>>,
}

/// A file that is there and that nothing uses.
#[derive(Clone, Debug)]
pub struct Unused {
    pub path: String,
    /// "Compose file", "systemd unit", "ECS task definition", "nginx upstream".
    pub what: &'static str,
    /// Whether a workflow uses it all the same: that none does is known where all of them were understood.
    pub used: Known,
}

//! What a target may know of the job that uses it.

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use config::file::Config;
use model::release::Releases;
use model::{Env, Redactor};
use probe::ProbeContext;
use state::Entry;

use crate::place::PlaceAccess;

/// Makes a client of GitHub that asks as this variable says, or as the configuration does. Each
/// question takes at most so long, and rate limits are waited for until then.
pub type Github<'a> =
    Rc<dyn Fn(Option<&str>, Duration, Instant) -> Result<github::Client, github::Error> + 'a>;

/// Shows a line of progress.
pub type LogLine<'a> = Rc<dyn Fn(&str) + 'a>;

/// The configuration, what is known of releases, and the ways to the outside.
#[derive(Clone)]
pub struct Context<'a> {
    pub config: &'a Config,
    pub env: &'a Env,
    pub redactor: &'a Redactor,
    pub places: &'a PlaceAccess,
    /// `--release`.
    pub release: Option<&'a str>,
    /// The repository of the workflow run.
    pub repository: Option<&'a str>,
    /// What the state contains about each release.
    pub known: Vec<Entry>,
    pub github: Github<'a>,
    pub say: LogLine<'a>,
}

impl Context<'_> {
    pub fn releases(&self) -> Releases {
        releases(self.config, self.release, &self.known)
    }

    /// For probes.
    pub fn surroundings(&self) -> ProbeContext {
        ProbeContext {
            env: self.env.clone(),
            hosts: self.places.hosts(),
            redactor: self.redactor.clone(),
        }
    }
}

/// The releases that we have names for: what others tell is called by these. `release` is
/// `--release`.
pub fn releases(config: &Config, release: Option<&str>, known: &[Entry]) -> Releases {
    let names = known.iter().map(|entry| entry.release.clone());
    let releases = Releases::new(config.release_rule(), names);
    releases.with(release.unwrap_or_default())
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("release", &self.release)
            .field("repository", &self.repository)
            .finish_non_exhaustive()
    }
}

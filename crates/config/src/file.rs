//! The configuration file as typed data: what may stand where, and what it defaults to.
//!
//! A type per section and per kind of check or probe. The JSON Schema and the reference pages
//! are generated from these types, so their doc comments are the reference: shape, unit, default.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use inventory::{HostsFrom, selected};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::section::Section;
use crate::source::Source;
use crate::value::StateAddress;
use document::Error;
use document::RELEASE;

mod deploy;
mod healthgate;
mod preflight;
mod rollback;
mod traffic;

pub use deploy::{Deploy, OnUndecided};
pub use healthgate::*;
pub use inventory::{Host, Hosts};
pub use preflight::*;
pub use rollback::*;
pub use sections::incident::Incident;
pub use sections::migrate::*;
pub use sections::runner_check::{Emergency, Pool, RunnerCheck, RunnerHost, RunnerMetric};
pub use sections::{Github, GithubApp, Hook};
pub use traffic::*;

/// deploy-guard.yml
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// Version of this file's format: 1.
    pub version: u32,
    /// What is deployed, as a person calls it.
    pub(crate) service: Option<String>,
    /// The machines that checks, probes and rollbacks speak of, by name.
    #[serde(default)]
    pub hosts: Hosts,
    /// Machines of an inventory that is kept elsewhere, beside those under `hosts:`. Its groups can be
    /// named wherever a pattern of hosts can.
    pub(crate) hosts_from: Option<HostsFrom>,
    /// The login for GitHub, and its address.
    pub(crate) github: Option<Github>,
    /// Self-hosted runners by the names that GitHub lists: where each one lives.
    #[serde(default)]
    pub(crate) runners: BTreeMap<String, RunnerHost>,
    /// May we deploy now?
    pub(crate) preflight: Option<Preflight>,
    /// Check whether a runner will take the job, and choose its labels
    pub(crate) runner_check: Option<RunnerCheck>,
    /// Is what we deployed healthy, and is it the release we deployed?
    pub(crate) healthgate: Option<Healthgate>,
    /// How to put the last-known-good release back.
    pub(crate) rollback: Option<Rollback>,
    /// Which side gets which share of the requests: blue-green and canary.
    pub(crate) traffic: Option<Traffic>,
    /// How the database's schema is changed.
    pub(crate) migrate: Option<Migrate>,
    /// What is recorded when a deployment goes wrong, and who is notified.
    pub(crate) incident: Option<Incident>,
    /// How `deploy-guard run` deploys.
    pub(crate) deploy: Option<Deploy>,
    /// What differs by environment: each is merged over the rest of the file, mappings deeply,
    /// lists replaced.
    #[serde(default)]
    pub environments: BTreeMap<String, Overlay>,
    /// `incident` of the environments that are not selected, where it can be used.
    #[serde(skip)]
    pub incidents: BTreeMap<String, Incident>,
    /// The names of all hosts; `hosts` has those of which every variable is set.
    #[serde(skip)]
    pub(crate) host_names: BTreeSet<String>,
    /// Of each section that cannot be used because a variable is not set: the first such.
    #[serde(skip)]
    pub(crate) unset: BTreeMap<Section, Error>,
    /// The gate without what `${RELEASE}` is part of, where no release is named.
    #[serde(skip)]
    pub(crate) healthgate_of_any: Option<Healthgate>,
    /// Hosts are known that are not in the file, and were not read: any name may be one.
    #[serde(skip)]
    pub(crate) has_more_hosts: bool,
    #[serde(skip)]
    pub(crate) source: Option<Arc<Source>>,
}

impl Config {
    /// What is deployed, as a person calls it.
    pub fn service(&self) -> Result<Option<&str>, Error> {
        self.used(Section::Service, self.service.as_deref())
    }

    pub fn github(&self) -> Result<Option<&Github>, Error> {
        self.used(Section::Github, self.github.as_ref())
    }

    pub fn runners(&self) -> Result<&BTreeMap<String, RunnerHost>, Error> {
        self.used(Section::Runners, &self.runners)
    }

    pub fn preflight(&self) -> Result<Option<&Preflight>, Error> {
        self.used(Section::Preflight, self.preflight.as_ref())
    }

    pub fn runner_check(&self) -> Result<Option<&RunnerCheck>, Error> {
        self.used(Section::RunnerCheck, self.runner_check.as_ref())
    }

    pub fn healthgate(&self) -> Result<Option<&Healthgate>, Error> {
        self.used(Section::Healthgate, self.healthgate.as_ref())
    }

    /// The gate where no release needs to be named: what `${RELEASE}` is part of is left out then.
    pub fn healthgate_of_any(&self) -> Result<Option<&Healthgate>, Error> {
        match self.unset.get(&Section::Healthgate) {
            Some(error) if error.unset().iter().all(|name| name == RELEASE) => {
                Ok(self.healthgate_of_any.as_ref())
            }
            _ => self.healthgate(),
        }
    }

    pub fn rollback(&self) -> Result<Option<&Rollback>, Error> {
        self.used(Section::Rollback, self.rollback.as_ref())
    }

    pub fn traffic(&self) -> Result<Option<&Traffic>, Error> {
        self.used(Section::Traffic, self.traffic.as_ref())
    }

    pub fn migrate(&self) -> Result<Option<&Migrate>, Error> {
        self.used(Section::Migrate, self.migrate.as_ref())
    }

    pub fn incident(&self) -> Result<Option<&Incident>, Error> {
        self.used(Section::Incident, self.incident.as_ref())
    }

    pub fn deploy(&self) -> Result<Option<&Deploy>, Error> {
        self.used(Section::Deploy, self.deploy.as_ref())
    }

    /// Where the state is kept: `rollback.state`, else `traffic.state`, `migrate.state`, `incident.state`.
    pub fn state_address(&self) -> Result<Option<&StateAddress>, Error> {
        if let Some(section) = self.rollback()? {
            return Ok(Some(&section.state));
        }
        let routed = self.traffic()?.and_then(|section| section.state.as_ref());
        let migrated = self.migrate()?.and_then(|section| section.state.as_ref());
        match routed.or(migrated) {
            Some(state) => Ok(Some(state)),
            None => Ok(self.incident()?.and_then(|section| section.state.as_ref())),
        }
    }

    /// For flags that are laid over the section.
    pub fn preflight_mut(&mut self) -> Result<&mut Preflight, Error> {
        self.used(Section::Preflight, ())?;
        Ok(self.preflight.get_or_insert_default())
    }

    pub fn runner_check_mut(&mut self) -> Result<&mut RunnerCheck, Error> {
        self.used(Section::RunnerCheck, ())?;
        Ok(self.runner_check.get_or_insert_default())
    }

    pub fn healthgate_mut(&mut self) -> Result<&mut Healthgate, Error> {
        self.used(Section::Healthgate, ())?;
        Ok(self.healthgate.get_or_insert_default())
    }

    pub fn rollback_mut(&mut self) -> Result<Option<&mut Rollback>, Error> {
        self.used(Section::Rollback, ())?;
        Ok(self.rollback.as_mut())
    }

    /// The sections that cannot be used because a variable is not set in them, or in a host that they
    /// name, and the first such of each.
    pub fn unset(&self) -> impl Iterator<Item = (Section, &Error)> {
        self.unset.iter().map(|(section, error)| (*section, error))
    }

    /// What a section has, where all its variables are set.
    fn used<T>(&self, section: Section, value: T) -> Result<T, Error> {
        match self.unset.get(&section) {
            Some(error) => Err(error.clone()),
            None => Ok(value),
        }
    }

    /// The hosts that a check names: one, those of a pattern, or `all`. Empty where nothing fits.
    pub fn hosts_named(&self, selector: &str) -> Vec<&str> {
        let names = self.host_names.iter().map(String::as_str);
        selected(names, &self.hosts.groups, selector)
    }

    /// The hosts that several selectors name, each once.
    pub fn hosts_of(&self, selectors: &[String]) -> BTreeSet<&str> {
        let each = selectors.iter().map(|one| self.hosts_named(one));
        each.flatten().collect()
    }

    /// How names of releases are compared wherever no probe of the gate does it: in the state, at
    /// `rollback`, in `preflight`. The widest `match` that the file has, because what the gate has
    /// passed must not be denied by what comes after it.
    pub fn release_rule(&self) -> Match {
        Match::widest(self.release_rules())
    }

    /// Every `match` of the file.
    pub fn release_rules(&self) -> Vec<Match> {
        let gate = self.healthgate.iter().flat_map(Healthgate::release_rules);
        let back = self.rollback.iter().flat_map(Rollback::release_rules);
        let routed = self.traffic.iter().flat_map(Traffic::release_rules);
        gate.chain(back).chain(routed).collect()
    }
}

/// A part of the file that replaces the same part at the top level.
///
/// It has the shape of the whole file with every key optional; it is checked after merging, so
/// the schema leaves it open.
#[derive(Clone, Debug, Default)]
pub struct Overlay;

impl<'de> Deserialize<'de> for Overlay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A name alone is an environment that differs in nothing.
        Option::<BTreeMap<String, serde::de::IgnoredAny>>::deserialize(deserializer)
            .map(|_| Overlay)
    }
}

impl JsonSchema for Overlay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Overlay".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["object", "null"],
            "description": "A part of the file that replaces the same part at the top level."
        })
    }
}

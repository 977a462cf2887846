//! The configuration file as typed data: what may stand where, and what it defaults to.
//!
//! A type per section and per kind of check or probe. The JSON Schema and the reference pages
//! are generated from these types, so their doc comments are the reference: shape, unit, default.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

mod deploy;
mod github;
mod healthgate;
mod hook;
mod host;
mod preflight;
mod rollback;
mod runner_check;

pub use deploy::{Deploy, OnUndecided};
pub use github::{Github, GithubApp};
pub use healthgate::*;
pub use hook::Hook;
pub use host::Host;
pub use preflight::*;
pub use rollback::*;
pub use runner_check::{Emergency, Pool, RunnerCheck, RunnerHost, RunnerMetric};

/// deploy-guard.yml
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// Version of this file's format: 1.
    pub version: u32,
    /// What is deployed, as a person calls it.
    pub service: Option<String>,
    /// The machines that checks, probes and rollbacks speak of, by name.
    #[serde(default)]
    pub hosts: BTreeMap<String, Host>,
    /// As whom GitHub is asked, and where.
    pub github: Option<Github>,
    /// Self-hosted runners by the names that GitHub lists: where each one lives.
    #[serde(default)]
    pub runners: BTreeMap<String, RunnerHost>,
    /// May we deploy now?
    pub preflight: Option<Preflight>,
    /// Will a runner take the job, and which labels should it ask for?
    pub runner_check: Option<RunnerCheck>,
    /// Is what we deployed healthy, and is it the release we deployed?
    pub healthgate: Option<Healthgate>,
    /// How to put the last-known-good release back.
    pub rollback: Option<Rollback>,
    /// How `deploy-guard run` deploys.
    pub deploy: Option<Deploy>,
    /// What differs by environment: each is merged over the rest of the file, mappings deeply,
    /// lists replaced.
    #[serde(default)]
    pub environments: BTreeMap<String, Overlay>,
    /// What is not here because it holds a variable that is not set: a section (`deploy`), or one of
    /// its entries (`hosts.web-01`).
    #[serde(skip)]
    pub unresolved: BTreeSet<String>,
}

impl Config {
    /// Whether a section, or something in it, holds a variable that is not set.
    pub fn is_unresolved(&self, section: crate::Section) -> bool {
        let key = section.key();
        let within = |path: &String| path.split('.').next() == Some(key);
        self.unresolved.iter().any(within)
    }

    /// The hosts that a check names: one, those of a pattern, or `all`. None where nothing fits.
    pub fn hosts_named(&self, selector: &str) -> Vec<&str> {
        hosts_named(&self.hosts, selector)
    }

    /// How names of releases are compared wherever no probe of the gate does it: in the state, at
    /// `rollback`, in `preflight`. The widest `match` that the file has, because what the gate has
    /// passed must not be denied by what comes after it.
    pub fn release_rule(&self) -> Match {
        Match::widest(self.release_rules())
    }

    /// Every `match` of the file.
    pub fn release_rules(&self) -> Vec<Match> {
        let gate = self.healthgate.iter().flat_map(|gate| {
            let pages = gate.http.iter().filter_map(|probe| probe.release.as_ref());
            let tasks = gate.ecs.iter().map(|probe| probe.r#match);
            pages.map(|source| source.r#match).chain(tasks)
        });
        let back = self.rollback.iter().flat_map(|rollback| {
            let nginx = rollback.nginx.iter().filter_map(|it| it.release.as_ref());
            let haproxy = rollback.haproxy.iter().filter_map(|it| it.release.as_ref());
            let ways = rollback.decide.iter().map(|way| &way.release);
            nginx
                .chain(haproxy)
                .chain(ways)
                .map(|source| source.r#match)
        });
        gate.chain(back).collect()
    }
}

/// The hosts that fit a selector: one, those of a pattern, or `all`. None where nothing fits.
pub fn hosts_named<'h>(hosts: &'h BTreeMap<String, Host>, selector: &str) -> Vec<&'h str> {
    if let Some((name, _)) = hosts.get_key_value(selector) {
        return vec![name];
    }
    let fits = |name: &&str| selector == "all" || model::glob(selector, name);
    hosts.keys().map(String::as_str).filter(fits).collect()
}

/// A part of the file that replaces the same part at the top level.
///
/// It has the shape of the whole file with every key optional; it is checked after merging, so
/// the schema leaves it open.
#[derive(Clone, Debug, Default)]
pub struct Overlay;

impl<'de> Deserialize<'de> for Overlay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Overlay)
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

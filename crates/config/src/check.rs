//! Rules over the whole file that types cannot express: names that must exist, be unique, or
//! exclude each other. A rule of one kind of probe, check or target is beside its type.

mod healthgate;
mod hosts;
mod preflight;
mod rollback;

use yaml::{Fault, Node};

use crate::file::{Config, Hook};
use crate::section::Section;
use sections::{Defined, KeyPosition};

/// The only version of the file's format.
pub(crate) const VERSION: u32 = 1;

/// What the sections of a file define for one another.
pub(crate) fn defined(config: &Config) -> Defined<'_> {
    let is_unset = |section| config.unset.contains_key(&section);
    let runners = config.runners.keys().map(String::as_str).collect();
    Defined {
        hosts: &config.host_names,
        groups: &config.hosts.groups,
        has_more_hosts: config.has_more_hosts,
        runners: (!is_unset(Section::Runners)).then_some(runners),
        environments: config.environments.keys().map(String::as_str).collect(),
        has_rollback: config.rollback.is_some() || is_unset(Section::Rollback),
    }
}

/// A section that holds a variable that is not set is not there, and is not checked.
pub(crate) fn check(config: &Config, tree: &Node) -> Result<(), Fault> {
    let defined = defined(config);
    let root = KeyPosition::root(tree, &defined);
    let spot = |section: Section| root.key(section.key());
    if config.version != VERSION {
        let fault = root.key("version");
        let fault = fault.fault(format!("version {} is not known", config.version));
        return Err(fault.hint("this release reads `version: 1`"));
    }
    for (name, host) in config.hosts.iter() {
        let spot = spot(Section::Hosts).key(name);
        if let Some((key, why)) = host.misfit() {
            return spot.refuse(key, why);
        }
        hosts::host(host, spot)?;
    }
    if let Some(section) = &config.github {
        section.check(spot(Section::Github))?;
    }
    for (name, runner) in &config.runners {
        runner.check(spot(Section::Runners).key(name))?;
    }
    if let Some(section) = &config.preflight {
        preflight::section(section, spot(Section::Preflight))?;
    }
    if let Some(section) = &config.runner_check {
        section.check(spot(Section::RunnerCheck))?;
    }
    if let Some(section) = &config.healthgate {
        healthgate::section(section, spot(Section::Healthgate))?;
    }
    if let Some(section) = &config.rollback {
        rollback::section(section, spot(Section::Rollback))?;
    }
    if let Some(section) = &config.traffic {
        section.check(config.rollback.as_ref(), spot(Section::Traffic))?;
    }
    if let Some(section) = &config.migrate {
        let state = config.rollback.as_ref().map(|rollback| &rollback.state);
        section.check(state, spot(Section::Migrate))?;
    }
    if let Some(section) = &config.incident {
        let state = config.rollback.as_ref().map(|rollback| &rollback.state);
        section.check(state, spot(Section::Incident))?;
    }
    if let Some(section) = &config.deploy {
        Hook::check(&section.after, spot(Section::Deploy).key("after"))?;
    }
    Ok(())
}

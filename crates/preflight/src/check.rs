//! The checks, one file a kind.

mod artifacts;
mod asked;
mod backup;
mod checks;
mod command;
mod commit;
mod deployments;
mod disk;
mod freeze;
mod hosts;
mod images;
pub(crate) mod release;
mod rollback_ready;
mod runners;
mod scene;
mod secrets;
mod space;
mod variables;
pub(crate) mod waiver;

pub(crate) use scene::{Planned, Scene};

use cli::{Failure, Job};
use config::file::Preflight;

/// Refuses what cannot be asked at all, of the checks that are chosen: the configuration's fault.
pub(crate) fn usable(section: &Preflight, job: &Job) -> Result<(), Failure> {
    // The release is looked up in the state, whose lock may be held by a run of GitHub.
    job.config.rollback()?;
    job.config.github()?;
    if !section.runners.is_empty() {
        job.config.runners()?;
        job.config.runner_check()?;
    }
    let chosen = section.images.iter();
    match images::unreadable(chosen.filter(|check| job.only.selects(&images::id(check)))) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Every configured check, in the order of the section.
pub(crate) fn all<'a>(section: &'a Preflight, scene: &'a Scene<'a>) -> Vec<Planned<'a>> {
    let Preflight {
        pass_score: _,
        commit: _,
        timeout: _,
        deadline: _,
        parallel_hosts: _,
        waivers: _,
        secrets,
        variables,
        freeze,
        images,
        backup,
        rollback_ready,
        artifacts,
        checks,
        staging,
        deployments,
        runners,
        hosts,
        command,
        disk,
    } = section;
    let mut planned = release::plan(scene);
    planned.extend(secrets.iter().flat_map(|check| secrets::plan(check, scene)));
    planned.extend(variables.iter().map(|check| variables::plan(check, scene)));
    planned.extend(
        freeze
            .iter()
            .map(|window| freeze::plan(window, freeze, scene)),
    );
    planned.extend(images.iter().map(|check| images::plan(check, scene)));
    planned.extend(backup.iter().map(|check| backup::plan(check, scene)));
    planned.extend(
        rollback_ready
            .iter()
            .flat_map(|check| rollback_ready::plan(check, scene)),
    );
    planned.extend(artifacts.iter().map(|check| artifacts::plan(check, scene)));
    planned.extend(checks.iter().flat_map(|check| checks::plan(check, scene)));
    planned.extend(
        staging
            .iter()
            .map(|check| deployments::staging(check, scene)),
    );
    planned.extend(
        deployments
            .iter()
            .map(|check| deployments::alone(check, scene)),
    );
    planned.extend(runners.iter().map(|check| runners::plan(check, scene)));
    planned.extend(hosts.iter().flat_map(|check| hosts::plan(check, scene)));
    planned.extend(command.iter().flat_map(|check| command::plan(check, scene)));
    planned.extend(disk.iter().flat_map(|check| disk::plan(check, scene)));
    planned
}

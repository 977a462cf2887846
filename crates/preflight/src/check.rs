//! The checks, one file a kind.

mod hosts;
mod images;
mod release;
mod runners;
mod secrets;

use cli::Job;
use config::file::Preflight;

use crate::Planned;

/// Every configured check, in the order of the section.
pub(crate) fn all<'a>(section: &'a Preflight, job: &'a Job, force: bool) -> Vec<Planned<'a>> {
    let Preflight {
        pass_score: _,
        timeout,
        secrets,
        images,
        runners,
        hosts,
    } = section;
    let timeout = timeout.get();
    let mut planned = release::plan(job, force);
    planned.extend(
        secrets
            .iter()
            .flat_map(|check| secrets::plan(check, job, timeout)),
    );
    planned.extend(images.iter().map(|check| images::plan(check, job, timeout)));
    planned.extend(
        runners
            .iter()
            .map(|check| runners::plan(check, job, timeout)),
    );
    planned.extend(hosts.iter().map(|check| hosts::plan(check, job, timeout)));
    planned
}

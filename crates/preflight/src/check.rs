//! The checks, one file a kind.

mod artifacts;
mod backup;
mod checks;
mod command;
mod commit;
mod context;
mod deployments;
mod disk;
mod freeze;
mod github_query;
mod hosts;
mod images;
mod migrations;
pub(crate) mod release;
mod rollback_ready;
mod runners;
mod secrets;
mod space;
mod variables;
pub(crate) mod waiver;

pub(crate) use context::{Check, Context, Planned};

use cli::{Failure, Job};
use config::file::Preflight;
use model::Verdict;

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

/// Every configured check, in the order of the kinds.
pub(crate) fn plan_checks<'a>(section: &'a Preflight, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
    let mut planned = release::plan(scene);
    macro_rules! plan {
        ($($(#[$attribute:meta])* $kind:ident: $entries:ty,)*) => {$(
            planned.extend(section.$kind.iter().flat_map(|check| check.plan(scene)));
        )*};
    }
    config::check_kinds!(plan);
    planned
}

/// Why a check has no answer, what that means for it, and the next step.
pub(crate) struct CheckError {
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
    pub(crate) hint: String,
}

impl CheckError {
    pub(crate) fn error(reason: impl Into<String>, hint: impl Into<String>) -> CheckError {
        CheckError {
            verdict: Verdict::Error,
            reason: reason.into(),
            hint: hint.into(),
        }
    }
}

//! What the configured checks and targets must be allowed to ask of GitHub.

use cli::Job;
use model::StageName;

/// A permission that a configured check or target cannot do without.
pub(super) struct Permission {
    /// A fine-grained token's word with underscores.
    pub(super) name: &'static str,
    pub(super) stops: Vec<StageName>,
    /// A workflow's own token can never have it.
    pub(super) own_token: bool,
}

pub(super) fn needed(job: &Job) -> Vec<Permission> {
    let config = &job.config;
    let mut all: Vec<Permission> = Vec::new();
    let mut need = |name, who, own_token| match all.iter_mut().find(|one| one.name == name) {
        Some(one) => one.stops.push(who),
        None => all.push(Permission {
            name,
            stops: vec![who],
            own_token,
        }),
    };
    if let Some(section) = config.preflight().ok().flatten() {
        if !section.checks.is_empty() {
            need("checks", StageName::Preflight, false);
            need("statuses", StageName::Preflight, false);
        }
        if !section.artifacts.is_empty() {
            need("actions", StageName::Preflight, false);
        }
        if !section.staging.is_empty() || !section.deployments.is_empty() {
            need("deployments", StageName::Preflight, false);
        }
        for check in &section.runners {
            let name = if check.organization.is_some() {
                "organization_self_hosted_runners"
            } else {
                "administration"
            };
            need(name, StageName::Preflight, true);
        }
    }
    if let Some(section) = config.runner_check().ok().flatten() {
        let name = if section.organization.is_some() {
            "organization_self_hosted_runners"
        } else {
            "administration"
        };
        need(name, StageName::RunnerCheck, true);
    }
    if config
        .rollback()
        .ok()
        .flatten()
        .is_some_and(|section| section.workflow.is_some())
    {
        need("actions", StageName::Rollback, false);
    }
    all
}

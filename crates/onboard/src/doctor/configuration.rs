//! Whether each stage could read the configuration, with the variables that are set here.

use std::collections::BTreeMap;

use cli::Job;
use model::{Outcome, StageName};
use proposal::guarded::runs;
use survey::Line;

use super::finding::{ALL, Finding, USERS_OF_HOSTS, stopped_by};
use super::needed;
use super::repository::Repository;

/// The workflow's own; some questions need one, and report that.
pub(super) const TOKENS: [&str; 4] = [
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
];

/// `alone` is the step that needs none.
pub(super) fn look(job: &Job, repository: &Repository, alone: Option<&Line>) -> Vec<Finding> {
    if let Some(broken) = &job.broken {
        // The lines and the mark are on the terminal already, as every command draws them.
        let hint = broken
            .hint()
            .unwrap_or("fix it; `deploy-guard schema` prints every key");
        let outcome = Outcome::fail("configuration/file", "the configuration")
            .expected("a configuration that every stage reads")
            .actual("it cannot be used")
            .reason(broken.to_string())
            .hint(hint);
        return vec![Finding::new(outcome, &ALL)];
    }
    let Some(path) = &job.config_path else {
        if let Some(step) = alone {
            let outcome = Outcome::pass("configuration/file", "the configuration")
                .expected("what the steps of the workflows need")
                .actual(format!("not needed: {step} probes an address by itself"));
            return vec![Finding::new(outcome, &[])];
        }
        let outcome = Outcome::fail("configuration/file", "the configuration")
            .expected(format!("one of {}", config::PLACES.join(", ")))
            .actual("none")
            .reason("there is no configuration here")
            .hint("write one: `deploy-guard init`; or name it: `--config FILE`");
        return vec![Finding::new(outcome, &ALL)];
    };
    let shown = path.display().to_string();
    let read = Outcome::pass("configuration/file", &shown)
        .expected("a configuration that every stage reads")
        .actual("read");
    let mut findings = vec![Finding::new(read, &[])];
    let mut missing: BTreeMap<&str, Vec<StageName>> = BTreeMap::new();
    for (section, error) in job.config.unset() {
        for name in error.unset() {
            let stops = missing.entry(name).or_default();
            let stopped = stopped_by(section).iter();
            let new: Vec<StageName> = stopped
                .copied()
                .filter(|who| !stops.contains(who))
                .collect();
            stops.extend(new);
        }
    }
    let is_handed = repository
        .survey()
        .is_some_and(|survey| !runs(survey).is_empty());
    for (name, stops) in &missing {
        let is_secret = job.secret_variables.contains(*name);
        let there = match (is_handed, is_secret) {
            (true, true) => format!("whether a workflow hands it over: repository/secret-{name}"),
            (true, false) => {
                format!("whether a workflow hands it over: repository/variable-{name}")
            }
            (false, _) => {
                let context = if is_secret { "secrets" } else { "vars" };
                format!(
                    "there: map it in the step: `env: {{ {name}: ${{{{ {context}.{name} }}}} }}`"
                )
            }
        };
        let outcome = Outcome::fail(format!("variables/{name}"), *name)
            .expected("set")
            .actual("not set")
            .reason(format!("{shown} uses ${{{name}}}, and it is not set here"))
            .hint(format!("here: export {name}=…; {there}"));
        findings.push(Finding::new(outcome, stops));
    }
    let unset = |name: &&String| {
        job.env.non_empty(name).is_none()
            && !TOKENS.contains(&name.as_str())
            && !missing.contains_key(name.as_str())
    };
    for name in needed::by(job).secrets.iter().filter(unset) {
        let stops = uses(name, job);
        let outcome = Outcome::fail(format!("secrets/{name}"), name)
            .expected("set")
            .actual("not set, or empty")
            .reason(format!("{shown} names {name}, and it is not set here"))
            .hint(format!(
                "here: export {name}=…; whether a workflow hands it over: repository/secret-{name}"
            ));
        findings.push(Finding::new(outcome, &stops));
    }
    findings
}

/// The stages that a secret is for, as far as the configuration's parts tell.
pub(super) fn uses(name: &str, job: &Job) -> Vec<StageName> {
    let config = &job.config;
    let named = |of: &Option<String>| of.as_deref() == Some(name);
    let by_hosts = config
        .hosts
        .values()
        .any(|host| named(&host.key_env) || named(&host.passphrase_env));
    if by_hosts {
        return USERS_OF_HOSTS.to_vec();
    }
    let preflight = config.preflight().ok().flatten();
    if preflight
        .into_iter()
        .flat_map(|section| &section.secrets)
        .any(|secret| secret.name == name)
    {
        return vec![StageName::Preflight];
    }
    if config
        .runner_check()
        .ok()
        .flatten()
        .is_some_and(|section| named(&section.token_env))
    {
        return vec![StageName::RunnerCheck];
    }
    if config
        .rollback()
        .ok()
        .flatten()
        .and_then(|section| section.workflow.as_ref())
        .is_some_and(|target| named(&target.token_env))
    {
        return vec![StageName::Rollback];
    }
    vec![StageName::Preflight, StageName::Healthgate]
}

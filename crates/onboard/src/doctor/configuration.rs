//! Whether each stage could read the configuration, with the variables that are set here.

use std::collections::BTreeSet;

use cli::Job;
use config::Section;
use model::Outcome;

use super::finding::{ALL, Finding, Who};

/// More variables that are missing help nobody.
const MOST: usize = 50;
/// The workflow's own; some questions need one, and they say so.
const TOKENS: [&str; 4] = [
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
];

pub(super) fn look(job: &Job) -> Vec<Finding> {
    if let Some(broken) = &job.broken {
        let outcome = Outcome::fail("configuration/file", "the configuration")
            .expected("a configuration that every stage reads")
            .actual("it cannot be used")
            .reason(broken.clone())
            .hint("mend it; `deploy-guard schema` prints every key");
        return vec![Finding::new(outcome, &ALL)];
    }
    let Some(path) = &job.config_path else {
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
    let mut secrets = BTreeSet::new();
    let mut missing: Vec<(String, Vec<Who>)> = Vec::new();
    for who in ALL.into_iter().filter(|who| who.is_configured(&job.config)) {
        findings.extend(stage(who, job, path, &mut missing, &mut secrets));
    }
    for (name, stops) in &missing {
        let outcome = Outcome::fail(format!("variables/{name}"), name)
            .expected("set")
            .actual("not set")
            .reason(format!("{shown} uses ${{{name}}}, and it is not set here"))
            .hint(format!(
                "export {name}=…; in the workflow: {}",
                model::env::mapping_hint(name)
            ));
        findings.push(Finding::new(outcome, stops));
    }
    let unset = |name: &&String| {
        job.env.non_empty(name).is_none()
            && !TOKENS.contains(&name.as_str())
            && !missing.iter().any(|(other, _)| other == *name)
    };
    for name in secrets.iter().filter(unset) {
        let stops = uses(name, job);
        let outcome = Outcome::fail(format!("secrets/{name}"), name)
            .expected("set")
            .actual("not set, or empty")
            .reason(format!("{shown} names {name}, and it is not set here"))
            .hint(model::env::mapping_hint(name));
        findings.push(Finding::new(outcome, &stops));
    }
    findings
}

/// Reads it as the stage would. A variable that is missing is noted and given a value, so that the
/// next one is found too.
fn stage(
    who: Who,
    job: &Job,
    path: &std::path::Path,
    missing: &mut Vec<(String, Vec<Who>)>,
    secrets: &mut BTreeSet<String>,
) -> Option<Finding> {
    let mut env = job.env.clone();
    let folder = std::env::current_dir().unwrap_or_default();
    for _ in 0..MOST {
        let loaded = config::load(config::Request {
            path: Some(path),
            folder: &folder,
            environment: job.environment.as_deref(),
            variables: config::Variables {
                env: &env,
                release: Some(job.release.as_deref().unwrap_or("v0.0.0")),
            },
            sections: who.sections(),
        });
        let error = match loaded {
            Ok(loaded) => {
                secrets.extend(loaded.secrets.variables);
                return None;
            }
            Err(refusal) => refusal.error,
        };
        let text = error.to_string();
        match error.unset() {
            Some(name) if env.get(name).is_none() => {
                match missing.iter_mut().find(|(other, _)| other == name) {
                    Some((_, stops)) => stops.push(who),
                    None => missing.push((name.to_owned(), vec![who])),
                }
                env.set(name, "http://localhost/");
            }
            // With a made-up value it may be wrong in another way, which says nothing.
            _ if missing.iter().any(|(_, stops)| stops.contains(&who)) => return None,
            _ => {
                let outcome = Outcome::fail(
                    format!("configuration/{}", who.name()),
                    path.display().to_string(),
                )
                .expected("a configuration that the stage reads")
                .actual("it cannot be used")
                .reason(text)
                .hint(
                    error
                        .hint()
                        .unwrap_or("mend it; `deploy-guard schema` prints every key"),
                );
                return Some(Finding::new(outcome, &[who]));
            }
        }
    }
    None
}

/// Why a section that holds a variable that is not set cannot be read here.
pub(super) fn unresolved(job: &Job, section: Section) -> Option<String> {
    if !job.config.is_unresolved(section) {
        return None;
    }
    let folder = std::env::current_dir().unwrap_or_default();
    let loaded = config::load(config::Request {
        path: job.config_path.as_deref(),
        folder: &folder,
        environment: job.environment.as_deref(),
        variables: config::Variables {
            env: &job.env,
            release: Some(job.release.as_deref().unwrap_or("v0.0.0")),
        },
        sections: &[section],
    });
    loaded.err().map(|refusal| refusal.error.to_string())
}

/// The stages that a secret is for, as far as the configuration's parts tell.
fn uses(name: &str, job: &Job) -> Vec<Who> {
    let config = &job.config;
    let named = |of: &Option<String>| of.as_deref() == Some(name);
    let by_hosts = config
        .hosts
        .values()
        .any(|host| named(&host.key_env) || named(&host.passphrase_env));
    if by_hosts {
        return vec![
            Who::Preflight,
            Who::RunnerCheck,
            Who::Healthgate,
            Who::Rollback,
        ];
    }
    let preflight = config.preflight.iter();
    if preflight
        .flat_map(|section| &section.secrets)
        .any(|secret| secret.name == name)
    {
        return vec![Who::Preflight];
    }
    if config
        .runner_check
        .as_ref()
        .is_some_and(|section| named(&section.token_env))
    {
        return vec![Who::RunnerCheck];
    }
    if config
        .rollback
        .as_ref()
        .and_then(|section| section.workflow.as_ref())
        .is_some_and(|target| named(&target.token_env))
    {
        return vec![Who::Rollback];
    }
    vec![Who::Preflight, Who::Healthgate]
}

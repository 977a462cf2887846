//! Secrets that must have arrived as environment variables.
//!
//! GitHub passes a missing secret as an empty string, so empty means missing. No part of a value
//! is shown: no prefix, no hash, no length.

mod age;
mod token;
mod value;

use cli::Job;
use config::file::{SecretCheck, SecretKind};
use model::{Outcome, Secret};

use super::{Check, Context, Planned, hosts};

impl Check for SecretCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        plan(self, scene)
    }
}

/// The check itself, and a login for each of its hosts.
fn plan<'a>(check: &'a SecretCheck, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
    let (job, timeout) = (scene.job, scene.timeout);
    let SecretCheck {
        name,
        kind,
        min_days: _,
        token: _,
        max_age,
        stored: _,
        passphrase_env,
        hosts,
        severity,
        weight,
    } = check;
    let id = format!("secrets/{name}");
    let mut planned = vec![Planned {
        id: id.clone(),
        subject: name.clone(),
        severity: *severity,
        weight: *weight,
        asks: format!("look at the variable {name}"),
        needs: None,
        timeout,
        wait: std::time::Duration::ZERO,
        ask: Box::pin(async move { judge(&id, check, job) }),
    }];
    // A token that did not arrive has nothing more to be asked.
    if *kind == SecretKind::Token && job.env.non_empty(name).is_some() {
        planned.push(token::plan(check, scene));
    }
    planned.extend(max_age.map(|limit| age::plan(check, limit, scene)));
    for host in job.config.hosts_of(hosts) {
        let id = format!("secrets/{name}@{host}");
        planned.push(Planned {
            id: id.clone(),
            subject: host.to_owned(),
            severity: *severity,
            weight: *weight,
            asks: format!("log in at {host} with the key in {name}"),
            needs: None,
            // A host waits for its turn; its own time begins then.
            timeout: scene.patient(),
            wait: std::time::Duration::ZERO,
            ask: Box::pin(async move {
                let text = Secret::from(job.env.get(name).unwrap_or_default());
                let key = hosts::Key {
                    text: &text,
                    passphrase_env: passphrase_env.as_ref(),
                };
                hosts::log_in(id, host, Some(key), scene).await
            }),
        });
    }
    planned
}

fn judge(id: &str, check: &SecretCheck, job: &Job) -> Outcome {
    let SecretCheck { name, kind, .. } = check;
    let passphrase = passphrase(check, job);
    let wanted = value::expected_value(check, passphrase);
    match job.env.get(name).map(Secret::from) {
        Some(found) if !found.expose().trim().is_empty() => match (kind, passphrase) {
            (SecretKind::SshPrivateKey, Some(passphrase)) => {
                let set = job.env.non_empty(passphrase).is_some();
                value::protected_key(id, check, &found, passphrase, set)
            }
            _ => value::judge(id, check, &found),
        }
        .expected(wanted),
        found => missing(id, name, wanted, found.is_some(), job),
    }
}

/// The variable with the passphrase of a key: the check's own, else that of its hosts.
fn passphrase<'a>(check: &'a SecretCheck, job: &'a Job) -> Option<&'a String> {
    let names = job.config.hosts_of(&check.hosts);
    let mut hosts = names.iter().filter_map(|name| job.config.hosts.get(*name));
    check
        .passphrase_env
        .as_ref()
        .or_else(|| hosts.find_map(|host| host.passphrase_env.as_ref()))
}

fn missing(id: &str, name: &str, wanted: String, empty: bool, job: &Job) -> Outcome {
    let actual = if empty { "empty" } else { "not set" };
    if let Some(why) = job.actions.secrets_withheld {
        return Outcome::error(id, name)
            .expected(wanted)
            .actual(format!("{actual}: unavailable by design"))
            .reason(format!("unavailable by design: {why}"))
            .hint("deploy from a branch of the repository itself, or keep this job from such runs with `if:`");
    }
    let reason = if empty {
        format!("`{name}` is empty: that is how GitHub hands over a secret that does not exist")
    } else {
        format!("`{name}` is not set")
    };
    Outcome::fail(id, name)
        .expected(wanted)
        .actual(actual)
        .reason(reason)
        .hint(format!(
            "{}, and see `gh secret list`",
            model::env::mapping_hint(name)
        ))
}

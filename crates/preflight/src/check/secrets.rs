//! Secrets that must have arrived as environment variables.
//!
//! GitHub hands over a missing secret as an empty string, so empty is missing. Nothing of a value
//! is told: no prefix, no hash, no length.

use cli::Job;
use config::file::{SecretCheck, SecretKind};
use model::Outcome;

use super::{Planned, Scene, hosts};

/// The check itself, and a login for each of its hosts.
pub(crate) fn plan<'a>(check: &'a SecretCheck, scene: &'a Scene<'a>) -> Vec<Planned<'a>> {
    let (job, timeout) = (scene.job, scene.timeout);
    let SecretCheck {
        name,
        kind,
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
        ask: Box::pin(async move { judge(&id, name, *kind, job) }),
    }];
    for host in hosts {
        let id = format!("secrets/{name}@{host}");
        planned.push(Planned {
            id: id.clone(),
            subject: host.clone(),
            severity: *severity,
            weight: *weight,
            asks: format!("log in at {host} with the key in {name}"),
            needs: None,
            timeout,
            ask: Box::pin(async move {
                let key = job.env.get(name).unwrap_or_default();
                hosts::log_in(id, host, Some(key), job, timeout).await
            }),
        });
    }
    planned
}

fn judge(id: &str, name: &str, kind: SecretKind, job: &Job) -> Outcome {
    let wanted = match kind {
        SecretKind::Text => "a value that is not empty",
        SecretKind::SshPrivateKey => "an SSH private key without passphrase",
    };
    let value = match job.env.get(name) {
        Some(value) if !value.trim().is_empty() => value,
        found => return missing(id, name, wanted, found.is_some(), job),
    };
    if kind == SecretKind::Text {
        return Outcome::pass(id, name).expected(wanted).actual("set");
    }
    match remote::key::inspect(value) {
        Ok(_) => Outcome::pass(id, name)
            .expected(wanted)
            .actual("a private key"),
        Err(problem) => Outcome::fail(id, name)
            .expected(wanted)
            .actual(problem.to_string())
            .reason(format!("the key in `{name}` cannot be used: {problem}"))
            .hint(problem.hint()),
    }
}

fn missing(id: &str, name: &str, wanted: &str, empty: bool, job: &Job) -> Outcome {
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
    Outcome::fail(id, name).expected(wanted).actual(actual).reason(reason).hint(format!(
        "map it in the step: `env: {{ {name}: ${{{{ secrets.{name} }}}} }}`, and see `gh secret list`"
    ))
}

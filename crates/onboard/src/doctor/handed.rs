//! Secrets *there*: whether the workflow hands each one to the step, and whether GitHub has it. Whether it is set *here*
//! is another question.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cli::Job;
use github::secrets::Store;
use github::{Client, Error};
use model::Outcome;
use survey::Line;

use super::configuration::{TOKENS, uses};
use super::finding::Finding;
use super::guarded::{GuardedJob, jobs};
use super::repository::Repository;

const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn look(job: &Job, repository: &Repository) -> Vec<Finding> {
    let Some(survey) = repository.survey() else {
        return Vec::new();
    };
    let guarded = jobs(survey);
    if guarded.is_empty() {
        return Vec::new();
    }
    let client = job
        .github(None, QUERY_TIMEOUT, Instant::now() + QUERY_TIMEOUT)
        .ok();
    let client = client.filter(Client::has_token);
    let parsed = repository
        .name(job)
        .and_then(|name| github::Repository::parse(&name).ok());
    let mut findings = Vec::new();
    let names: BTreeSet<&String> = job
        .secret_variables
        .iter()
        .filter(|name| !TOKENS.contains(&name.as_str()))
        .collect();
    for name in names {
        let given = guarded
            .iter()
            .find_map(|one| Some((*one, one.given(name)?)));
        let id = format!("repository/secret-{name}");
        let outcome = match given {
            None => {
                let at: Vec<String> = guarded.iter().map(|one| one.line().to_string()).collect();
                Outcome::fail(id, at.join(", "))
                    .expected("a step that hands it over")
                    .actual("none does")
                    .reason(format!("the configuration names {name}, and no step that uses deploy-guard hands it over"))
                    .hint(model::env::mapping_hint(name))
            }
            Some((one, (at, value))) => {
                let secrets = value.secrets();
                let missing = match (&client, &parsed) {
                    (Some(client), Some(parsed)) if !secrets.is_empty() && !value.has_default() => {
                        missing(client, parsed, one, &secrets).await
                    }
                    _ => Ok(None),
                };
                told(id, name, &at, missing)
            }
        };
        let stops = uses(name, job);
        findings.push(Finding::new(outcome, &stops));
    }
    findings
}

fn told(id: String, name: &str, at: &Line, missing: Result<Option<String>, Error>) -> Outcome {
    let expected = "a step that hands over a secret that GitHub has";
    match missing {
        Ok(Some(secret)) => Outcome::fail(id, at.to_string())
            .expected(expected)
            .actual(format!("GitHub has no secret {secret}"))
            .reason(format!("{at} hands {name} over from the secret {secret}, and neither the repository nor its environment has one"))
            .hint(format!("gh secret set {secret}")),
        // A token that may not list secrets does not tell that one is missing.
        Ok(None) | Err(_) => Outcome::pass(id, at.to_string()).expected(expected).actual("handed over"),
    }
}

/// The first of the secrets that neither the job's environment, nor the repository, nor its organisation has.
async fn missing(
    client: &Client,
    repository: &github::Repository,
    job: GuardedJob<'_>,
    secrets: &[String],
) -> Result<Option<String>, Error> {
    let mut stores = vec![
        Store::Repository(repository.clone()),
        Store::Shared(repository.clone()),
    ];
    if let Some((_, name)) = job.environment() {
        stores.insert(0, Store::Environment(repository.clone(), name.to_owned()));
    }
    for secret in secrets {
        let mut found = false;
        for store in &stores {
            found |= match client.secret_updated_at(store, secret).await {
                Ok(at) => at.is_some(),
                // An account without an organisation shares nothing.
                Err(_) if matches!(store, Store::Shared(_)) => false,
                Err(error) => return Err(error),
            };
        }
        if !found {
            return Ok(Some(secret.clone()));
        }
    }
    Ok(None)
}

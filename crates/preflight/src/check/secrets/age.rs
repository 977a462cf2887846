//! When a secret was last set, where a token may read it.

use std::time::Duration;

use config::file::{SecretCheck, SecretStore};
use config::value::Age;
use github::secrets::Store;
use jiff::Timestamp;
use model::Outcome;

use super::super::github_query::{Github, QueryError};
use super::super::{Context, Planned};

pub(super) fn plan<'a>(check: &'a SecretCheck, limit: Age, scene: &'a Context<'a>) -> Planned<'a> {
    let id = format!("secrets/{}/age", check.name);
    let store = check.stored.clone().unwrap_or_default();
    let name = store.name.clone().unwrap_or_else(|| check.name.clone());
    Planned {
        id: id.clone(),
        subject: name.clone(),
        severity: check.severity,
        weight: check.weight,
        asks: format!("query GitHub for when the secret {name} was last set"),
        needs: Some(
            "`secrets: read` (an environment's: `environments: read`, an organisation's: `organization_secrets: read`), which GITHUB_TOKEN can never have"
                .to_owned(),
        ),
        timeout: scene.patient(),
        wait: Duration::ZERO,
        ask: Box::pin(async move {
            let expected = format!("set within {limit}");
            match fetch_update_time(&store, &name, scene).await {
                Ok(Some((at, place))) => judge(&id, &name, at, limit, &place),
                Ok(None) => Outcome::fail(&id, &name)
                    .actual("not there")
                    .reason(format!("`{name}` is kept neither in the repository nor shared with it"))
                    .hint("`gh secret list` shows them; `stored:` names where else it is kept, or its name there"),
                Err(unknown) => unknown.outcome(&id, &name, &expected),
            }
            .expected(expected)
        }),
    }
}

/// When it was set, and where it is kept.
async fn fetch_update_time(
    store: &SecretStore,
    name: &str,
    scene: &Context<'_>,
) -> Result<Option<(Timestamp, String)>, QueryError> {
    let SecretStore {
        name: _,
        environment,
        organization,
        repository,
        token_env,
    } = store;
    let mut stores = Vec::new();
    let client = if let Some(organization) = organization {
        stores.push(Store::Organization(organization.clone()));
        scene.github(token_env.as_deref())?
    } else {
        let asked = Github::new(scene, repository.as_deref(), token_env.as_deref())?;
        match environment {
            Some(environment) => stores.push(Store::Environment(
                asked.repository.clone(),
                environment.clone(),
            )),
            // A repository's own secret hides the organisation's of the same name.
            None => stores.extend([
                Store::Repository(asked.repository.clone()),
                Store::Shared(asked.repository.clone()),
            ]),
        }
        asked.client
    };
    for store in &stores {
        if let Some(at) = client.secret_updated_at(store, name).await? {
            return Ok(Some((at, store.to_string())));
        }
    }
    Ok(None)
}

fn judge(id: &str, name: &str, at: Timestamp, max_age: Age, place: &str) -> Outcome {
    let age = Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default();
    let age = Age::from(age);
    let actual = format!("set {age} ago, in {place}");
    if age.get() <= max_age.get() {
        return Outcome::pass(id, name).actual(actual);
    }
    Outcome::fail(id, name)
        .reason(format!(
            "`{name}` was set {age} ago, more than max-age ({max_age})"
        ))
        .actual(actual)
        .hint(format!(
            "make a new one where it is used, then `gh secret set {name}`"
        ))
}

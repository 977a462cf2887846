//! When a secret was last set, and whether a variable is there. GitHub never returns a secret's value.

use jiff::Timestamp;
use serde::Deserialize;

use crate::repository::{is_name, step};
use crate::{Client, Error, Needs, Repository};

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    Repository(Repository),
    /// A repository's environment.
    Environment(Repository, String),
    /// All secrets of an organisation.
    Organization(String),
    /// What an organisation shares with a repository.
    Shared(Repository),
}

impl Store {
    /// `kind` is `secrets` or `variables`.
    fn path(&self, kind: &str) -> Result<String, Error> {
        Ok(match self {
            Store::Repository(repository) => format!("{}/actions/{kind}", repository.path()),
            Store::Environment(repository, name) => {
                format!("{}/environments/{}/{kind}", repository.path(), step(name))
            }
            Store::Shared(repository) => {
                format!("{}/actions/organization-{kind}", repository.path())
            }
            Store::Organization(name) if is_name(name) => format!("/orgs/{name}/actions/{kind}"),
            Store::Organization(name) => {
                return Err(Error::Malformed {
                    reason: format!("`{name}` is not a name of an organisation"),
                });
            }
        })
    }

    /// None of these can be given to GITHUB_TOKEN.
    pub fn needs(&self) -> Needs {
        let permission = match self {
            Store::Repository(_) | Store::Shared(_) => {
                "`secrets: read` on the repository (classic token: `repo`)"
            }
            Store::Environment(..) => {
                "`environments: read` on the repository (classic token: `repo`)"
            }
            Store::Organization(_) => "`organization_secrets: read` (classic token: `admin:org`)",
        };
        Needs::token("read when secrets were set", permission)
    }
}

impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Store::Repository(repository) => write!(f, "{repository}"),
            Store::Environment(repository, name) => write!(f, "{repository}'s environment {name}"),
            Store::Organization(name) => write!(f, "the organisation {name}"),
            Store::Shared(repository) => write!(f, "the organisation of {repository}"),
        }
    }
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    updated_at: Timestamp,
}

impl Client {
    /// When a secret was last set; `None` if the store does not hold it. The whole list is asked
    /// for: a 404 for one name would not tell a missing secret from a missing permission.
    pub async fn secret_updated_at(
        &self,
        store: &Store,
        name: &str,
    ) -> Result<Option<Timestamp>, Error> {
        let found = self.named(store, "secrets", name, store.needs()).await?;
        Ok(found.map(|secret| secret.updated_at))
    }

    /// Whether the store holds a variable.
    pub async fn has_variable(&self, store: &Store, name: &str) -> Result<bool, Error> {
        let needs = Needs::token(
            "list variables",
            "`variables: read` on the repository (classic token: `repo`)",
        );
        let found = self.named(store, "variables", name, needs).await?;
        Ok(found.is_some())
    }

    async fn named(
        &self,
        store: &Store,
        kind: &str,
        name: &str,
        needs: Needs,
    ) -> Result<Option<Listed>, Error> {
        if !self.has_token() {
            return Err(Error::NoToken { needs });
        }
        let list = self.list(&store.path(kind)?, Some(kind), needs).await?;
        let mut items = list.items.into_iter();
        let found = items.find(|one: &Listed| one.name.eq_ignore_ascii_case(name));
        if found.is_none() && list.unlisted > 0 {
            return Err(Error::Malformed {
                reason: format!("it counts {} more {kind} than it shows", list.unlisted),
            });
        }
        Ok(found)
    }
}

//! The environments of a repository.

use serde::Deserialize;

use crate::{Client, Error, Needs, Repository};

const NEEDS: Needs = Needs::token(
    "list the environments",
    "`actions: read` on the repository (classic token: `repo`)",
);

#[derive(Deserialize)]
struct Listed {
    name: String,
}

impl Client {
    /// The names of a repository's environments. A job may name another: GitHub makes it then, without secrets
    /// and without protection.
    pub async fn environments(&self, of: &Repository) -> Result<Vec<String>, Error> {
        let path = format!("{}/environments", of.path());
        let list = self.list(&path, Some("environments"), NEEDS).await?;
        Ok(list.items.into_iter().map(|one: Listed| one.name).collect())
    }
}

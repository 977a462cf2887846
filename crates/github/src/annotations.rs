//! What a job says of itself on its page: errors at places in files, and why GitHub ended it.

use serde::Deserialize;

use crate::{Client, Error, Needs, Repository};

/// One annotation of a check run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Annotation {
    /// `.github` where it is about no file.
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub start_line: Option<u64>,
    /// `notice`, `warning` or `failure`.
    #[serde(default)]
    pub annotation_level: Option<String>,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub message: Option<String>,
}

const NEEDS: Needs = Needs::workflow(
    "read the annotations of a job",
    "checks: read",
    "`checks: read` (classic token: `repo`)",
);

impl Client {
    /// The first hundred annotations of a check run. A job is one, of the same id.
    pub async fn annotations(
        &self,
        repository: &Repository,
        check_run: u64,
    ) -> Result<Vec<Annotation>, Error> {
        let path = format!(
            "{}/check-runs/{check_run}/annotations?per_page=100",
            repository.path()
        );
        self.get(&path, NEEDS).await
    }
}

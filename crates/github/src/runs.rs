//! One workflow run: whether it goes on, and its jobs.

use serde::Deserialize;

use crate::{Client, Error, Job, Needs, Repository};

/// `actions: read`, which GITHUB_TOKEN has unless the workflow takes it away.
const NEEDS: Needs = Needs::workflow(
    "look up a workflow run",
    "actions: read",
    "`actions: read` on the repository",
);

/// How an attempt at a run stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Run {
    /// `completed`, or one of those that mean that it goes on: `queued`, `in_progress`, `waiting`,
    /// `requested`, `pending`.
    pub status: String,
    /// How it ended: `success`, `failure`, `cancelled`, …
    #[serde(default)]
    pub conclusion: Option<String>,
}

impl Run {
    pub fn has_ended(&self) -> bool {
        self.status == "completed"
    }
}

impl Client {
    /// One attempt at a run.
    pub async fn run(&self, repository: &Repository, run: u64, attempt: u32) -> Result<Run, Error> {
        let path = format!(
            "{}/actions/runs/{run}/attempts/{attempt}",
            repository.path()
        );
        self.get(&path, NEEDS).await
    }

    /// The jobs of one attempt at a run.
    pub async fn run_jobs(
        &self,
        repository: &Repository,
        run: u64,
        attempt: u32,
    ) -> Result<Vec<Job>, Error> {
        let path = format!(
            "{}/actions/runs/{run}/attempts/{attempt}/jobs",
            repository.path()
        );
        Ok(self.list(&path, Some("jobs"), NEEDS).await?.items)
    }
}

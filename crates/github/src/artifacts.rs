//! What workflow runs left behind.

use jiff::Timestamp;
use serde::Deserialize;

use crate::repository::step;
use crate::{Client, Error, Needs, Repository};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Artifact {
    pub id: u64,
    pub name: String,
    pub size_in_bytes: u64,
    pub expired: bool,
    pub created_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
}

/// A workflow run that ended with success.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WorkflowRun {
    pub id: u64,
    pub run_number: Option<u64>,
    pub head_sha: Option<String>,
    pub html_url: Option<String>,
}

#[derive(Deserialize)]
struct Runs {
    workflow_runs: Vec<WorkflowRun>,
}

const ARTIFACTS: Needs = Needs::workflow(
    "read workflow runs and artifacts",
    "actions: read",
    "`actions: read` (classic token: `repo`)",
);

impl Client {
    /// All artifacts of a run, the newest first.
    pub async fn artifacts(
        &self,
        repository: &Repository,
        run: &str,
    ) -> Result<Vec<Artifact>, Error> {
        let path = format!("{}/actions/runs/{}/artifacts", repository.path(), step(run));
        let mut all: Vec<Artifact> = self.list(&path, Some("artifacts"), ARTIFACTS).await?.items;
        all.sort_by_key(|artifact| std::cmp::Reverse((artifact.created_at, artifact.id)));
        Ok(all)
    }

    /// The newest run of a workflow, by file name or id, that ended with success.
    pub async fn latest_success(
        &self,
        repository: &Repository,
        workflow: &str,
        branch: Option<&str>,
        commit: Option<&str>,
    ) -> Result<Option<WorkflowRun>, Error> {
        let mut path = format!(
            "{}/actions/workflows/{}/runs?status=success&per_page=1",
            repository.path(),
            step(workflow)
        );
        for (name, value) in [("branch", branch), ("head_sha", commit)] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", step(value)));
            }
        }
        let runs: Runs = self.get(&path, ARTIFACTS).await?;
        Ok(runs.workflow_runs.into_iter().next())
    }
}

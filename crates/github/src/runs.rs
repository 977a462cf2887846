//! One workflow run: whether it goes on, its jobs, and the other runs of its workflow.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;

use crate::checks::{Asker, Began};
use crate::repository::step;
use crate::run_id::RunId;
use crate::{Client, Error, Job, Needs, Repository};

#[derive(Deserialize)]
struct Own {
    workflow_id: u64,
    run_started_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Sibling {
    id: u64,
}

/// `actions: read`, which GITHUB_TOKEN has unless the workflow takes it away.
pub(crate) const NEEDS: Needs = Needs::workflow(
    "look up a workflow run",
    "actions: read",
    "`actions: read` on the repository",
);

/// The status of an attempt at a run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Run {
    /// `completed`, or one of those that mean that it goes on: `queued`, `in_progress`, `waiting`,
    /// `requested`, `pending`.
    pub status: String,
    /// How it ended: `success`, `failure`, `cancelled`, …
    #[serde(default)]
    pub conclusion: Option<String>,
    /// The number of the attempt, from 1.
    #[serde(default)]
    pub run_attempt: Option<u32>,
    /// Its page.
    #[serde(default)]
    pub html_url: Option<String>,
    /// The file of its workflow: `.github/workflows/deploy.yml`.
    #[serde(default)]
    pub path: Option<String>,
}

impl Run {
    pub fn has_ended(&self) -> bool {
        self.status == "completed"
    }
}

impl Client {
    /// All that is known of the run that asks about a commit: when its present attempt began, and
    /// the other runs of its workflow for that commit. What may not be looked up (`actions: read`)
    /// stays unknown.
    pub async fn asker(
        &self,
        repository: &Repository,
        run: Option<RunId>,
        attempt: Option<u32>,
        commit: &str,
    ) -> Asker {
        let mut asker = Asker {
            run,
            attempt_began: (attempt == Some(1)).then_some(Began::First),
            siblings: None,
        };
        let Some(run) = run else { return asker };
        let base = format!("{}/actions", repository.path());
        let own = self.get::<Own>(&format!("{base}/runs/{run}"), NEEDS).await;
        let Ok(own) = own else { return asker };
        let began = own.run_started_at.map(Began::At);
        asker.attempt_began = asker.attempt_began.or(began);
        let siblings = format!(
            "{base}/workflows/{}/runs?head_sha={}",
            own.workflow_id,
            step(commit)
        );
        let siblings = self
            .list::<Sibling>(&siblings, Some("workflow_runs"), NEEDS)
            .await;
        asker.siblings = siblings.ok().map(|list| {
            let ids = list
                .items
                .into_iter()
                .map(|sibling| RunId::from(sibling.id));
            ids.filter(|id| *id != run).collect::<BTreeSet<_>>()
        });
        asker
    }

    /// One attempt at a run.
    pub async fn run(&self, repository: &Repository, run: u64, attempt: u32) -> Result<Run, Error> {
        let path = format!(
            "{}/actions/runs/{run}/attempts/{attempt}",
            repository.path()
        );
        self.get(&path, NEEDS).await
    }

    /// The latest attempt at a run.
    pub async fn latest_run(&self, repository: &Repository, run: RunId) -> Result<Run, Error> {
        let path = format!("{}/actions/runs/{run}", repository.path());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_from_one_that_begins_like_it() {
        let of = |url: &str| RunId::of_url(url);
        let seven = Some(RunId::from(7));
        assert_eq!(of("https://github.com/a/b/actions/runs/7/job/1"), seven);
        assert_eq!(of("https://github.com/a/b/actions/runs/7"), seven);
        assert_ne!(of("https://github.com/a/b/actions/runs/77/job/7"), seven);
        assert_eq!(of("https://ci.example/7"), None);
        assert_eq!(of("https://github.com/a/b/actions/runs/x/job/7"), None);
    }
}

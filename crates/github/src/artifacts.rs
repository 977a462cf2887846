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
    #[serde(default)]
    workflow_run: Option<Origin>,
}

/// Whose code built it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Origin {
    repository_id: Option<u64>,
    head_repository_id: Option<u64>,
}

impl Artifact {
    /// Whether another repository's code built it: a fork's, by a pull request.
    pub fn is_foreign(&self) -> bool {
        self.workflow_run.as_ref().is_some_and(|run| {
            run.head_repository_id.is_some() && run.head_repository_id != run.repository_id
        })
    }
}

/// A workflow run that ended with success.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WorkflowRun {
    pub id: u64,
    pub run_number: Option<u64>,
    pub head_sha: Option<String>,
    pub html_url: Option<String>,
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    repository: Option<Named>,
    /// Null where the fork is gone.
    #[serde(default)]
    head_repository: Option<Named>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Named {
    full_name: String,
}

impl WorkflowRun {
    /// Whether it built what is in the repository. A pull request's run builds what its author
    /// proposes, merged with its base: not the commit that it names, and in a fork's case code
    /// that anyone may have written, on a branch that they may call `main`.
    fn is_of(&self, asked: &Repository) -> bool {
        let asked = asked.to_string();
        let here = self
            .repository
            .as_ref()
            .map_or(&asked, |one| &one.full_name);
        let head = self.head_repository.as_ref();
        let proposes = matches!(
            self.event.as_deref(),
            Some("pull_request" | "pull_request_target")
        );
        !proposes && head.is_none_or(|head| head.full_name.eq_ignore_ascii_case(here))
    }
}

/// What was found of the newest successful run of a workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    pub run: Option<WorkflowRun>,
    /// Newer runs that do not count: of pull requests and of other repositories.
    pub passed_over: usize,
}

#[derive(Deserialize)]
struct Runs {
    total_count: u64,
    workflow_runs: Vec<WorkflowRun>,
}

/// Runs a page, and pages: most often the first run counts, and GitHub shows 1,000 at most.
const RUNS_PER_PAGE: usize = 50;
const MAX_RUN_PAGES: usize = 20;

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

    /// The newest run of a workflow, by file name or id, that ended with success and built what is
    /// in the repository. `commit` is a whole id.
    pub async fn latest_success(
        &self,
        repository: &Repository,
        workflow: &str,
        branch: Option<&str>,
        commit: Option<&str>,
    ) -> Result<Newest, Error> {
        let mut path = format!(
            "{}/actions/workflows/{}/runs?status=success&per_page={RUNS_PER_PAGE}",
            repository.path(),
            step(workflow)
        );
        for (name, value) in [("branch", branch), ("head_sha", commit)] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", step(value)));
            }
        }
        let mut passed_over = 0;
        for number in 1..=MAX_RUN_PAGES {
            let page: Runs = self
                .get(&format!("{path}&page={number}"), ARTIFACTS)
                .await?;
            let shown = page.workflow_runs.len();
            for run in page.workflow_runs {
                if run.is_of(repository) {
                    return Ok(Newest {
                        run: Some(run),
                        passed_over,
                    });
                }
                passed_over += 1;
            }
            if shown == 0 || passed_over as u64 >= page.total_count {
                break;
            }
        }
        Ok(Newest {
            run: None,
            passed_over,
        })
    }
}

//! Jobs that wait, run, or have ended: what a workflow's own token may see of runners.
//!
//! GitHub has no list of jobs over all runs, so a few runs of each kind are inspected. The number
//! of requests is bounded: this is evidence, not an inventory.

use jiff::Timestamp;
use serde::Deserialize;

use crate::{Client, Error, Needs, Scope};

/// `actions: read`, which GITHUB_TOKEN has unless the workflow takes it away.
const NEEDS: Needs = Needs::workflow(
    "look into workflow runs",
    "actions: read",
    "`actions: read` on the repository",
);
/// Runs of one status whose jobs are looked at: one request each.
const RUNS: usize = 5;
/// The most that the API gives at once.
const PER_PAGE: u64 = 100;

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Job {
    pub id: u64,
    pub name: String,
    /// `queued`, `in_progress`, `completed`, `waiting`, …
    pub status: String,
    /// What `runs-on` asked for.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Who took it; empty or missing before that.
    #[serde(default)]
    pub runner_name: Option<String>,
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    /// `success`, `failure`, `cancelled`, …
    #[serde(default)]
    pub conclusion: Option<String>,
    #[serde(default)]
    pub steps: Option<Vec<Step>>,
    /// Its page.
    #[serde(default)]
    pub html_url: Option<String>,
}

/// A part of a job, as its runner reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Step {
    pub name: String,
    /// `completed` at its end.
    pub status: String,
    /// `success`, `failure`, `skipped`, …; a step that may fail (`continue-on-error`) is a success.
    #[serde(default)]
    pub conclusion: Option<String>,
    /// To the second.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
}

/// The last thing that a runner does for a job, also for one that failed or was cancelled.
const LAST_STEP: &str = "Complete job";

impl Job {
    /// Whether GitHub ended it, and not its runner: a runner that is lost leaves a job behind that
    /// counts as completed ("The self-hosted runner lost communication with the server").
    pub fn is_abandoned(&self) -> bool {
        let good = matches!(self.conclusion.as_deref(), None | Some("success"));
        let reported = |steps: &Vec<Step>| {
            steps
                .iter()
                .any(|step| step.name == LAST_STEP && step.status == "completed")
        };
        !good && !self.steps.as_ref().is_none_or(reported)
    }

    /// Whether this runner took it.
    pub fn runner(&self) -> Option<&str> {
        self.runner_name.as_deref().filter(|name| !name.is_empty())
    }
}

/// The jobs of a few runs of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jobs {
    pub jobs: Vec<Job>,
    /// Whether runs that ended were looked into too.
    pub with_finished: bool,
    /// Runs that wait or run and were not looked into, to stay within a few requests.
    pub unseen: u64,
}

#[derive(Deserialize)]
struct Runs {
    total_count: u64,
    workflow_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
}

impl Client {
    /// Jobs that wait and run in a repository, with `finished` also those of the newest runs that
    /// ended.
    pub async fn jobs(&self, repository: &str, finished: bool) -> Result<Jobs, Error> {
        Scope::Repository(repository.to_owned()).check()?;
        let asking = [
            ("queued", true),
            ("in_progress", true),
            ("completed", finished),
        ]
        .into_iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(status, _)| self.runs(repository, status));
        let mut runs = Vec::new();
        let mut unseen = 0;
        for answer in futures_util::future::join_all(asking).await {
            let (some, more) = answer?;
            runs.extend(some);
            unseen += more;
        }
        // One run may change its status between two of the requests.
        runs.sort_unstable();
        runs.dedup();
        let asking = runs.iter().map(|run| self.of_run(repository, *run));
        let mut jobs = Vec::new();
        for answer in futures_util::future::join_all(asking).await {
            jobs.extend(answer?);
        }
        Ok(Jobs {
            jobs,
            with_finished: finished,
            unseen,
        })
    }

    /// Runs of one status, at most [`RUNS`]: those that wait longest, else the newest. And how
    /// many more there are that matter.
    async fn runs(&self, repository: &str, status: &str) -> Result<(Vec<u64>, u64), Error> {
        let waits = status == "queued";
        let size = if waits { PER_PAGE } else { RUNS as u64 };
        let page = |number: u64| {
            let path = format!(
                "/repos/{repository}/actions/runs?status={status}&per_page={size}&page={number}"
            );
            async move { self.get::<Runs>(&path, NEEDS).await }
        };
        let mut runs = page(1).await?;
        // Newest first: the one that has waited longest is on the last page. GitHub shows 1,000 at most.
        let last = runs.total_count.min(1_000).div_ceil(PER_PAGE);
        if waits && last > 1 {
            runs.workflow_runs = page(last).await?.workflow_runs;
        }
        let ids = runs.workflow_runs.iter().map(|run| run.id);
        let some: Vec<u64> = if waits {
            ids.rev().take(RUNS).collect()
        } else {
            ids.take(RUNS).collect()
        };
        let unseen = runs.total_count.saturating_sub(some.len() as u64);
        Ok((some, if status == "completed" { 0 } else { unseen }))
    }

    async fn of_run(&self, repository: &str, run: u64) -> Result<Vec<Job>, Error> {
        let path = format!("/repos/{repository}/actions/runs/{run}/jobs?filter=latest");
        Ok(self.list(&path, Some("jobs"), NEEDS).await?.items)
    }
}

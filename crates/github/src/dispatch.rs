//! Starting a workflow, and finding the run that came of it.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde::Deserialize;
use serde_json::json;

use crate::repository::step;
use crate::{Client, Error, Needs, Repository};

const READ: Needs = Needs::workflow(
    "look up workflows and their runs",
    "actions: read",
    "`actions: read` on the repository",
);
const CONTENTS: Needs = Needs::workflow(
    "read the repository",
    "contents: read",
    "`contents: read` (classic token: `repo`)",
);
const START: Needs = Needs::workflow(
    "start a workflow",
    "actions: write",
    "`actions: write` on the repository (classic token: `repo`)",
);
const SELF: Needs = Needs::token("read its owner", "a token of a person");

/// A workflow of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Workflow {
    pub id: u64,
    /// `.github/workflows/rollback.yml`.
    pub path: String,
    /// `active`, or why it is not: `disabled_manually`, …
    pub state: String,
}

/// A run that was started by hand or by the API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Dispatched {
    pub id: u64,
    /// What `run-name` says.
    #[serde(default)]
    pub display_title: String,
    #[serde(default)]
    pub event: String,
    #[serde(default)]
    pub head_branch: Option<String>,
    /// `completed`, `queued`, `in_progress`, `waiting`, …
    #[serde(default)]
    pub status: Option<String>,
    /// How it ended: `success`, `failure`, `cancelled`, …
    #[serde(default)]
    pub conclusion: Option<String>,
    #[serde(default)]
    pub html_url: String,
    #[serde(default)]
    pub run_attempt: Option<u32>,
    #[serde(default)]
    pub actor: Option<Account>,
}

/// Who started it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Account {
    pub login: String,
}

#[derive(Deserialize)]
struct Runs {
    workflow_runs: Vec<Dispatched>,
}

#[derive(Deserialize)]
struct Details {
    workflow_run_id: u64,
}

#[derive(Deserialize)]
struct Home {
    default_branch: String,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    content: String,
}

impl Dispatched {
    pub fn has_ended(&self) -> bool {
        self.status.as_deref() == Some("completed")
    }

    pub fn has_succeeded(&self) -> bool {
        self.has_ended() && self.conclusion.as_deref() == Some("success")
    }
}

impl Client {
    /// A workflow by its file's name or its id.
    pub async fn workflow(&self, of: &Repository, workflow: &str) -> Result<Workflow, Error> {
        let path = format!("{}/actions/workflows/{}", of.path(), step(workflow));
        self.get(&path, READ).await
    }

    pub async fn default_branch(&self, of: &Repository) -> Result<String, Error> {
        let home: Home = self.get(&of.path(), CONTENTS).await?;
        Ok(home.default_branch)
    }

    /// A file's text at a branch or a tag.
    pub async fn file(&self, of: &Repository, path: &str, at: &str) -> Result<String, Error> {
        let steps: Vec<String> = path.split('/').map(step).collect();
        let path = format!(
            "{}/contents/{}?ref={}",
            of.path(),
            steps.join("/"),
            step(at)
        );
        let file: File = self.get(&path, CONTENTS).await?;
        let packed: String = file.content.split_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(packed);
        let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| Error::Malformed {
            reason: format!("{path} is not a text"),
        })
    }

    /// Starts a workflow, once: if it is uncertain whether the request arrived, that is an error.
    /// Returns the run's id, if this API reports it.
    pub async fn dispatch(
        &self,
        of: &Repository,
        workflow: &str,
        reference: &str,
        inputs: &BTreeMap<String, String>,
    ) -> Result<Option<u64>, Error> {
        let path = format!(
            "{}/actions/workflows/{}/dispatches",
            of.path(),
            step(workflow)
        );
        let mut question = json!({"ref": reference, "inputs": inputs, "return_run_details": true});
        let mut answer = self.post(&path, &question, START).await;
        // A server that is older than this key refuses it, and has started nothing.
        if let Err(Error::Invalid { message, .. }) = &answer
            && message.contains("return_run_details")
        {
            question = json!({"ref": reference, "inputs": inputs});
            answer = self.post(&path, &question, START).await;
        }
        let body = answer?;
        let details: Option<Details> = serde_json::from_slice(&body).ok();
        Ok(details.map(|details| details.workflow_run_id))
    }

    /// The newest runs of a workflow that were started by hand or by the API.
    pub async fn dispatched(
        &self,
        of: &Repository,
        workflow: &str,
    ) -> Result<Vec<Dispatched>, Error> {
        let path = format!(
            "{}/actions/workflows/{}/runs?event=workflow_dispatch&per_page=50",
            of.path(),
            step(workflow)
        );
        let runs: Runs = self.get(&path, READ).await?;
        let mut runs = runs.workflow_runs;
        runs.retain(|run| run.event == "workflow_dispatch");
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        Ok(runs)
    }

    /// The newest attempt at a run.
    pub async fn dispatched_run(&self, of: &Repository, run: u64) -> Result<Dispatched, Error> {
        let path = format!("{}/actions/runs/{run}", of.path());
        self.get(&path, READ).await
    }

    /// Whose token it is; `None` for a workflow's own and an app's, which GitHub shows as bots.
    pub async fn login(&self) -> Result<Option<String>, Error> {
        match self.get::<Account>("/user", SELF).await {
            Ok(account) => Ok(Some(account.login)),
            Err(Error::NoPermission { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

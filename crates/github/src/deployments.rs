//! Deployments as GitHub keeps them: what was deployed where, and how it went.

use jiff::Timestamp;
use serde::Deserialize;

use crate::repository::step;
use crate::run_id::RunId;
use crate::{Client, Error, Needs, Repository};

/// The newest deployments that are looked at: each takes a request of its own, and a workflow's
/// token has a thousand an hour.
pub const LOOKED_AT: usize = 100;

/// A deployment with its statuses, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub id: u64,
    pub sha: String,
    pub created_at: Timestamp,
    pub creator: Option<String>,
    pub statuses: Vec<DeploymentStatus>,
    /// Its run waits for a protection rule of the environment, as the run itself tells.
    held: bool,
}

/// The status of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentProgress {
    /// It no longer changes anything.
    Ended,
    /// It may change what runs at any time.
    InProgress,
    /// It waits for an approval or another protection rule, and has touched nothing.
    Waiting,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DeploymentStatus {
    pub id: u64,
    /// `error`, `failure`, `inactive`, `pending`, `success`, `queued` or `in_progress`.
    pub state: String,
    pub created_at: Timestamp,
    pub log_url: Option<String>,
    pub target_url: Option<String>,
}

impl Deployment {
    /// GitHub's word for how it goes; one that was just made has none yet.
    pub fn state(&self) -> &str {
        self.statuses
            .first()
            .map_or("pending", |status| status.state.as_str())
    }

    /// Whether it may still change what runs.
    pub fn standing(&self) -> DeploymentProgress {
        match self.state() {
            "success" | "failure" | "error" | "inactive" => DeploymentProgress::Ended,
            "waiting" => DeploymentProgress::Waiting,
            _ if self.held => DeploymentProgress::Waiting,
            _ => DeploymentProgress::InProgress,
        }
    }

    /// The workflow run that made it, as its pages tell.
    fn run(&self) -> Option<RunId> {
        self.pages().find_map(|url| RunId::of_url(url))
    }

    fn pages(&self) -> impl Iterator<Item = &String> {
        self.statuses
            .iter()
            .flat_map(|status| [&status.log_url, &status.target_url])
            .flatten()
    }

    /// When it last succeeded. A later deployment makes it inactive, which takes nothing from that.
    pub fn succeeded_at(&self) -> Option<Timestamp> {
        let good = self
            .statuses
            .iter()
            .find(|status| status.state == "success");
        good.map(|status| status.created_at)
    }

    /// Whether this workflow run made it.
    pub fn is_of_run(&self, run: RunId) -> bool {
        self.pages().any(|url| RunId::of_url(url) == Some(run))
    }
}

#[derive(Deserialize)]
struct Listed {
    id: u64,
    sha: String,
    created_at: Timestamp,
    creator: Option<Creator>,
}

#[derive(Deserialize)]
struct Creator {
    login: String,
}

/// An environment whose protection rules a run waits for.
#[derive(Deserialize)]
struct Pending {
    environment: Environment,
}

#[derive(Deserialize)]
struct Environment {
    name: Option<String>,
}

const RUN: Needs = Needs::workflow(
    "look up what a workflow run waits for",
    "actions: read",
    "`actions: read` (classic token: `repo`)",
);

const DEPLOYMENTS: Needs = Needs::workflow(
    "read deployments",
    "deployments: read",
    "`deployments: read` (classic token: `repo_deployment`)",
);

const CHANGE: Needs = Needs::workflow(
    "write deployments",
    "deployments: write",
    "`deployments: write` (classic token: `repo_deployment`)",
);

/// A deployment that is made, or was made, by us.
#[derive(Clone, Copy, Debug)]
pub struct OwnDeployment<'a> {
    /// A commit, a tag or a branch.
    pub reference: &'a str,
    pub environment: &'a str,
    /// At most 140 characters.
    pub description: &'a str,
    /// By it the deployment is found again.
    pub mark: &'a str,
}

/// What happened to it.
#[derive(Clone, Copy, Debug)]
pub struct NewStatus<'a> {
    /// `in_progress`, `success`, `failure`, `inactive` or `error`.
    pub state: &'a str,
    /// At most 140 characters.
    pub description: &'a str,
    pub log_url: Option<&'a str>,
}

/// The key in a deployment's `payload`.
const MARK: &str = "deploy-guard";

#[derive(Deserialize)]
struct Marked {
    id: u64,
    #[serde(default)]
    payload: serde_json::Value,
}

#[derive(Deserialize)]
struct Described {
    state: String,
    description: Option<String>,
}

impl Client {
    /// The deployment of an environment with a mark, among the hundred newest.
    pub async fn deployment_with(
        &self,
        repository: &Repository,
        environment: &str,
        mark: &str,
    ) -> Result<Option<u64>, Error> {
        let path = format!(
            "{}/deployments?environment={}&per_page={LOOKED_AT}",
            repository.path(),
            step(environment)
        );
        let all: Vec<Marked> = self.get(&path, CHANGE).await?;
        let found = all.iter().find(|one| one.payload[MARK] == mark);
        Ok(found.map(|one| one.id))
    }

    /// Whether the token may make deployments here; none is made.
    ///
    /// # Errors
    /// Returns why it may not, or why that is not known.
    pub async fn may_make_deployments(&self, repository: &Repository) -> Result<(), Error> {
        let path = format!("{}/deployments", repository.path());
        self.may_post(&path, CHANGE).await
    }

    /// Makes a deployment, once; its id. No check is waited for: that is preflight's.
    pub async fn make_deployment(
        &self,
        repository: &Repository,
        made: OwnDeployment<'_>,
    ) -> Result<u64, Error> {
        let question = serde_json::json!({
            "ref": made.reference,
            "environment": made.environment,
            "description": made.description,
            "auto_merge": false,
            "required_contexts": [],
            "payload": {MARK: made.mark},
        });
        let path = format!("{}/deployments", repository.path());
        let body = self.post(&path, &question, CHANGE).await?;
        let made: Marked = crate::issues::answer(&body)?;
        Ok(made.id)
    }

    /// Whether a deployment has such a status.
    pub async fn has_status(
        &self,
        repository: &Repository,
        deployment: u64,
        status: NewStatus<'_>,
    ) -> Result<bool, Error> {
        let path = format!("{}/deployments/{deployment}/statuses", repository.path());
        let all: Vec<Described> = self.list(&path, None, CHANGE).await?.items;
        Ok(all.iter().any(|one| {
            one.state == status.state && one.description.as_deref() == Some(status.description)
        }))
    }

    /// Gives a deployment another status, once.
    pub async fn set_status(
        &self,
        repository: &Repository,
        deployment: u64,
        status: NewStatus<'_>,
    ) -> Result<(), Error> {
        let mut question = serde_json::json!({
            "state": status.state,
            "description": status.description,
        });
        if let Some(url) = status.log_url {
            question["log_url"] = url.into();
        }
        let path = format!("{}/deployments/{deployment}/statuses", repository.path());
        self.post(&path, &question, CHANGE).await.map(drop)
    }

    /// The newest deployments of an environment, at most [`LOOKED_AT`]; of one commit if it is
    /// given. No more than it takes until those that were seen are `enough`.
    pub async fn deployments(
        &self,
        repository: &Repository,
        environment: &str,
        commit: Option<&str>,
        enough: impl Fn(&[Deployment]) -> bool,
    ) -> Result<Vec<Deployment>, Error> {
        let base = format!("{}/deployments", repository.path());
        let mut path = format!(
            "{base}?environment={}&per_page={LOOKED_AT}",
            step(environment)
        );
        if let Some(commit) = commit {
            path.push_str(&format!("&sha={}", step(commit)));
        }
        let mut listed: Vec<Listed> = self.get(&path, DEPLOYMENTS).await?;
        listed.sort_by_key(|one| std::cmp::Reverse((one.created_at, one.id)));
        let mut all = Vec::new();
        // Ten at a time: GitHub takes a hundred at once from all that share the token.
        for some in listed.chunks(10) {
            let asking = some.iter().map(|one| self.with_statuses(&base, one));
            all.extend(futures_util::future::try_join_all(asking).await?);
            if enough(&all) {
                break;
            }
        }
        Ok(all)
    }

    async fn with_statuses(&self, base: &str, listed: &Listed) -> Result<Deployment, Error> {
        let path = format!("{base}/{}/statuses", listed.id);
        let mut statuses: Vec<DeploymentStatus> = self.list(&path, None, DEPLOYMENTS).await?.items;
        statuses.sort_by_key(|status| std::cmp::Reverse((status.created_at, status.id)));
        Ok(Deployment {
            id: listed.id,
            sha: listed.sha.clone(),
            created_at: listed.created_at,
            creator: listed.creator.as_ref().map(|creator| creator.login.clone()),
            statuses,
            held: false,
        })
    }

    /// Looks up whether a deployment that has not begun is held back by a protection rule: its
    /// statuses may call it `queued` all the while. What may not be looked up changes nothing.
    pub async fn held_back(
        &self,
        repository: &Repository,
        environment: &str,
        deployment: &mut Deployment,
    ) {
        let not_begun = matches!(deployment.state(), "queued" | "pending");
        let Some(run) = deployment.run().filter(|_| not_begun) else {
            return;
        };
        let path = format!(
            "{}/actions/runs/{run}/pending_deployments",
            repository.path()
        );
        let pending: Vec<Pending> = self.get(&path, RUN).await.unwrap_or_default();
        deployment.held = pending.iter().any(|one| {
            let name = one.environment.name.as_deref();
            name.is_some_and(|name| name.eq_ignore_ascii_case(environment))
        });
    }
}

//! What CI says of a commit: check runs, commit statuses and code scanning alerts.

use serde::Deserialize;

use crate::client::List;
use crate::repository::step;
use crate::{Client, Error, Needs, Repository};

/// What one check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Success,
    /// Skipped or neutral: no objection, and no proof either.
    Neutral,
    Running,
    Failure,
    /// A word that is not known here.
    Unknown,
}

/// A check run or a commit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub state: State,
    /// GitHub's own word for it.
    pub says: String,
    pub url: Option<String>,
}

/// An open code scanning alert.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Alert {
    pub number: u64,
    pub rule: Rule,
    pub html_url: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Rule {
    pub id: Option<String>,
    /// `none`, `note`, `warning` or `error`.
    pub severity: Option<String>,
    /// `low`, `medium`, `high` or `critical`; of security rules only.
    pub security_severity_level: Option<String>,
}

#[derive(Deserialize)]
struct CheckRun {
    name: String,
    status: String,
    conclusion: Option<String>,
    html_url: Option<String>,
    details_url: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    context: String,
    state: String,
    target_url: Option<String>,
}

const CHECKS: Needs = Needs::workflow(
    "read checks",
    "checks: read",
    "`checks: read` (classic token: `repo`)",
);
const STATUSES: Needs = Needs::workflow(
    "read commit statuses",
    "statuses: read",
    "`statuses: read` (classic token: `repo:status`)",
);
const ALERTS: Needs = Needs::workflow(
    "read code scanning alerts",
    "security-events: read",
    "`security-events: read` (classic token: `security_events`), and code scanning must be set up",
);

impl Client {
    /// The latest check runs and all statuses of a commit. `own_run` is the workflow run that
    /// asks: what is unfinished of it is left out, for nobody can wait for himself.
    pub async fn checks(
        &self,
        repository: &Repository,
        commit: &str,
        own_run: Option<&str>,
    ) -> Result<Vec<Check>, Error> {
        let base = format!("{}/commits/{}", repository.path(), step(commit));
        let runs = format!("{base}/check-runs?filter=latest");
        let statuses = format!("{base}/status");
        let (runs, statuses): (Result<List<CheckRun>, _>, Result<List<Status>, _>) = tokio::join!(
            self.list(&runs, Some("check_runs"), CHECKS),
            self.list(&statuses, Some("statuses"), STATUSES)
        );
        let (runs, statuses) = (runs?, statuses?);
        if runs.unlisted + statuses.unlisted > 0 {
            return Err(Error::Malformed {
                reason: format!(
                    "it counts {} more checks than it shows",
                    runs.unlisted + statuses.unlisted
                ),
            });
        }
        let mut checks = Vec::new();
        for run in runs.items {
            let url = run.html_url.or(run.details_url);
            let own = own_run.is_some_and(|run| url.as_deref().is_some_and(|url| is_of(url, run)));
            if own && run.status != "completed" {
                continue;
            }
            let says = run.conclusion.unwrap_or(run.status);
            let state = state(&says);
            checks.push(Check {
                name: run.name,
                state,
                says,
                url,
            });
        }
        checks.extend(statuses.items.into_iter().map(|status| Check {
            name: status.context,
            state: state(&status.state),
            says: status.state,
            url: status.target_url,
        }));
        Ok(checks)
    }

    /// The open alerts of a branch or a pull request, the default branch's without `reference`;
    /// `None` if nothing was ever analysed there.
    pub async fn alerts(
        &self,
        repository: &Repository,
        reference: Option<&str>,
        tool: Option<&str>,
    ) -> Result<Option<Vec<Alert>>, Error> {
        let base = format!("{}/code-scanning", repository.path());
        let mut filter = String::new();
        for (name, value) in [("ref", reference), ("tool_name", tool)] {
            if let Some(value) = value {
                filter.push_str(&format!("&{name}={}", step(value)));
            }
        }
        let analyses = format!("{base}/analyses?per_page=1{filter}");
        let analyses: Vec<serde::de::IgnoredAny> = self.get(&analyses, ALERTS).await?;
        if analyses.is_empty() {
            return Ok(None);
        }
        let alerts = format!("{base}/alerts?state=open{filter}");
        Ok(Some(self.list(&alerts, None, ALERTS).await?.items))
    }
}

/// GitHub's words for the status and the conclusion of a check run, and for a commit's status.
fn state(word: &str) -> State {
    match word {
        "success" => State::Success,
        "neutral" | "skipped" => State::Neutral,
        "queued" | "in_progress" | "pending" | "requested" | "waiting" => State::Running,
        "failure" | "error" | "timed_out" | "cancelled" | "action_required" | "stale"
        | "startup_failure" => State::Failure,
        _ => State::Unknown,
    }
}

/// Whether a page of GitHub's is about this workflow run: `…/actions/runs/7/job/1` is of 7.
pub(crate) fn is_of(url: &str, run: &str) -> bool {
    url.split_once("/actions/runs/")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
        == Some(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_from_one_that_begins_like_it() {
        assert!(is_of("https://github.com/a/b/actions/runs/7/job/1", "7"));
        assert!(is_of("https://github.com/a/b/actions/runs/7", "7"));
        assert!(!is_of("https://github.com/a/b/actions/runs/77/job/7", "7"));
        assert!(!is_of("https://ci.example/7", "7"));
    }
}

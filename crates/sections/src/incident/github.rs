//! GitHub: an issue per incident, and statuses of a deployment.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::sink_config::{SinkConfig, common_fields};
use super::{EventKind, Severity};
use crate::spot::KeyPosition;

/// What is told of an incident, with what people write down.
const OF_INCIDENTS: &[EventKind] = &[
    EventKind::IncidentOpened,
    EventKind::IncidentUpdated,
    EventKind::Note,
    EventKind::SeverityChanged,
    EventKind::Escalated,
    EventKind::IncidentResolved,
];

const OF_DEPLOYMENTS: &[EventKind] = &[EventKind::DeploymentStarted, EventKind::DeploymentEnded];

/// An issue per incident: a comment per event, closed when the incident is resolved.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GithubIssueSink {
    /// The sink's name.
    pub name: String,
    /// `owner/name`. Default: the repository of the run, or of this folder.
    pub repository: Option<String>,
    /// The environment variable that holds a token with `issues: write`. Default: as under `github:`.
    pub token_env: Option<String>,
    /// Labels of a new issue. Default: none.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Only incidents that are or were at least as bad as this. Default: all.
    pub severity: Option<Severity>,
    /// Only what happens in these environments. Default: all.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Which events are sent. Default: incident-opened, incident-updated, note, severity-changed, escalated
    /// and incident-resolved.
    pub events: Option<Vec<EventKind>>,
    /// Of the deployments that end, only those that did not end well. Default: false.
    pub only_failed: Option<bool>,
}

impl SinkConfig for GithubIssueSink {
    common_fields!(
        events: |_| OF_INCIDENTS, only_failed: |_| false, only_notes_of_incidents: true
    );

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        reached(self.repository.as_deref(), self.token_env.as_deref(), spot)?;
        for (nth, label) in self.labels.iter().enumerate() {
            spot.key("labels").item(nth).some_text(label)?;
        }
        Ok(())
    }
}

/// A deployment of GitHub per deployment of ours, with its statuses: in_progress, success, failure, inactive or
/// error.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GithubDeploymentSink {
    /// The sink's name.
    pub name: String,
    /// `owner/name`. Default: the repository of the run, or of this folder.
    pub repository: Option<String>,
    /// The environment variable that holds a token with `deployments: write`. Default: as under `github:`.
    pub token_env: Option<String>,
    /// Only incidents that are or were at least as bad as this. Default: all.
    pub severity: Option<Severity>,
    /// Only what happens in these environments. Default: all.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Which events are sent. Default: deployment-started and deployment-ended.
    pub events: Option<Vec<EventKind>>,
    /// Of the deployments that end, only those that did not end well. Default: false.
    pub only_failed: Option<bool>,
}

impl SinkConfig for GithubDeploymentSink {
    common_fields!(events: |_| OF_DEPLOYMENTS, only_failed: |_| false);

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        reached(self.repository.as_deref(), self.token_env.as_deref(), spot)
    }
}

fn reached(
    repository: Option<&str>,
    token_env: Option<&str>,
    spot: KeyPosition<'_>,
) -> Result<(), Fault> {
    if let Some(repository) = repository {
        let spot = spot.key("repository");
        let parts: Vec<&str> = repository.split('/').collect();
        let [owner, name] = parts[..] else {
            let fault = spot.fault(format!("`{repository}` is not a repository"));
            return Err(fault.hint("write it as `owner/name`"));
        };
        spot.plain(owner, "-_")?;
        spot.plain(name, "-_.")?;
    }
    match token_env {
        Some(token) => spot.key("token-env").a_variable(token),
        None => Ok(()),
    }
}

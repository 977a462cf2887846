//! What the texts may speak of.

use sections::incident::Severity;
use serde::{Deserialize, Serialize};

/// The variables of a template. What is not known is shown as `unknown`, and is false in `{% if … %}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What is deployed.
    pub service: String,
    pub environment: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: Option<Severity>,
    /// How far it is: `investigating`, `rolled back`, …
    pub status: Option<String>,
    /// The release that was deployed: a version or a commit.
    pub version: Option<String>,
    /// The release before it.
    pub previous_version: Option<String>,
    /// The release that serves users now.
    pub current_version: Option<String>,
    /// What failed: build, test, image, migration, deploy, health, smoke or rollback.
    pub stage: Option<String>,
    /// What users notice of it.
    pub impact: Option<String>,
    /// What is being done.
    pub action: Option<String>,
    /// How long until that is done, such as `5 minutes`.
    pub eta: Option<String>,
    /// How far the rollback is: in progress, completed, …
    pub rollback_status: Option<String>,
    /// Whether the service works: operational, degraded, …
    pub service_status: Option<String>,
    /// What is known of the cause.
    pub cause: Option<String>,
    /// What needs to be fixed.
    pub fix: Option<String>,
    /// What comes next: a command, or what a person does.
    pub next_step: Option<String>,
    /// When it is deployed again.
    pub redeployment: Option<String>,
    /// When it began, in UTC.
    pub started: Option<String>,
    /// How long it took, or has taken so far.
    pub duration: Option<String>,
    /// What a person wrote.
    pub text: Option<String>,
    /// The workflow run.
    pub run_url: Option<String>,
}

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

impl Facts {
    /// With each variable known, to try a template with.
    pub(crate) fn sample() -> Facts {
        let known = |text: &str| Some(text.to_owned());
        Facts {
            service: "shop".to_owned(),
            environment: known("production"),
            severity: Some(Severity::High),
            status: known("investigating"),
            version: known("v1.2.4"),
            previous_version: known("v1.2.3"),
            current_version: known("v1.2.3"),
            stage: known("health"),
            impact: known("service degraded"),
            action: known("automatic rollback in progress"),
            eta: known("5 minutes"),
            rollback_status: known("in progress"),
            service_status: known("degraded"),
            cause: known("the health check failed"),
            fix: known("the migration"),
            next_step: known("`incident update`"),
            redeployment: known("tomorrow"),
            started: known("2026-01-01 00:00:00 UTC"),
            duration: known("4 minutes"),
            text: known("checkout answers 500"),
            run_url: known("https://github.com/acme/shop/actions/runs/42"),
        }
    }
}

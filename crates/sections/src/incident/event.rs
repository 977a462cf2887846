//! What happens, and how bad it is.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "IncidentEvent")]
pub enum EventKind {
    /// An incident was opened.
    IncidentOpened,
    /// Something changed in it that people should know.
    IncidentUpdated,
    /// Someone wrote something down.
    Note,
    /// It became worse or better.
    SeverityChanged,
    /// It was passed on, because it was not resolved in time.
    Escalated,
    /// It is over.
    IncidentResolved,
    /// A deployment began.
    DeploymentStarted,
    /// A stage of a deployment ended.
    StageEnded,
    /// A deployment ended, well or badly.
    DeploymentEnded,
    /// How many requests a bad release served became known.
    ExposureMeasured,
}

impl EventKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [EventKind; 10] = [
        EventKind::IncidentOpened,
        EventKind::IncidentUpdated,
        EventKind::Note,
        EventKind::SeverityChanged,
        EventKind::Escalated,
        EventKind::IncidentResolved,
        EventKind::DeploymentStarted,
        EventKind::StageEnded,
        EventKind::DeploymentEnded,
        EventKind::ExposureMeasured,
    ];

    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            EventKind::IncidentOpened => "incident-opened",
            EventKind::IncidentUpdated => "incident-updated",
            EventKind::Note => "note",
            EventKind::SeverityChanged => "severity-changed",
            EventKind::Escalated => "escalated",
            EventKind::IncidentResolved => "incident-resolved",
            EventKind::DeploymentStarted => "deployment-started",
            EventKind::StageEnded => "stage-ended",
            EventKind::DeploymentEnded => "deployment-ended",
            EventKind::ExposureMeasured => "exposure-measured",
        }
    }

    /// Whether it is of an incident, and not of a deployment.
    pub fn is_of_incident(self) -> bool {
        !matches!(
            self,
            EventKind::DeploymentStarted
                | EventKind::StageEnded
                | EventKind::DeploymentEnded
                | EventKind::ExposureMeasured
        )
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

//! The deployments of a history.

use jiff::Timestamp;

use crate::{Conclusion, Counts, Happening, History, IncidentId, RolledBack, Subject};

/// A deployment by `deploy-guard run`, as the log tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    pub id: String,
    pub subject: Subject,
    pub started: Timestamp,
    pub previous: Option<String>,
    pub committed: Option<Timestamp>,
    /// `None` while it goes on, or where it was killed.
    pub conclusion: Option<Conclusion>,
    pub ended: Option<Timestamp>,
    pub failed_stage: Option<String>,
    /// The first evidence that it was bad.
    pub failed_at: Option<Timestamp>,
    /// When what was before it served again, by proof.
    pub restored_at: Option<Timestamp>,
    pub rollback: Option<RolledBack>,
    pub exposure: Option<Counts>,
    /// The incident that it caused.
    pub incident: Option<IncidentId>,
}

/// All deployments, the oldest first.
pub fn deployments(history: &History) -> Vec<Deployment> {
    let mut found: Vec<Deployment> = Vec::new();
    for event in history.events() {
        let Some(id) = &event.subject.deployment else {
            continue;
        };
        if let Happening::DeploymentStarted {
            previous,
            committed_at,
        } = &event.what
        {
            found.push(Deployment {
                id: id.clone(),
                subject: event.subject.clone(),
                started: event.at,
                previous: previous.clone(),
                committed: *committed_at,
                conclusion: None,
                ended: None,
                failed_stage: None,
                failed_at: None,
                restored_at: None,
                rollback: None,
                exposure: None,
                incident: None,
            });
            continue;
        }
        let Some(deployment) = found.iter_mut().rev().find(|one| one.id == *id) else {
            continue;
        };
        match &event.what {
            Happening::DeploymentEnded {
                conclusion,
                failed_stage,
                failed_at,
                rollback,
                exposure,
                ..
            } => {
                deployment.conclusion = Some(*conclusion);
                deployment.ended = Some(event.at);
                deployment.failed_stage.clone_from(failed_stage);
                deployment.failed_at = *failed_at;
                deployment.rollback = *rollback;
                deployment.exposure = *exposure;
                if *conclusion == Conclusion::RolledBack {
                    deployment.restored_at = Some(event.at);
                }
            }
            Happening::IncidentOpened { .. } => {
                deployment.incident.clone_from(&event.subject.incident);
            }
            Happening::IncidentResolved { .. } if deployment.restored_at.is_none() => {
                deployment.restored_at = Some(event.at);
            }
            _ => {}
        }
    }
    found
}

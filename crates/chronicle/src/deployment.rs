//! The deployments of a history.

use jiff::Timestamp;

use crate::{Conclusion, Exposure, Happening, History, IncidentId, RolledBack, Subject};

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
    /// What it served, as far as it is known.
    pub exposure: Option<Exposure>,
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
                deployment.exposure.clone_from(exposure);
                if *conclusion == Conclusion::RolledBack {
                    deployment.restored_at = Some(event.at);
                }
            }
            Happening::ExposureMeasured {
                exposure: Some(exposure),
                ..
            } => deployment.exposure = Some(exposure.clone()),
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

#[cfg(test)]
mod tests {
    use sections::incident::Severity;

    use super::*;
    use crate::sample::{Past, ended, note, resolved, second, started};

    #[test]
    fn a_deployment_goes_on_until_its_end() {
        let mut past = Past::new();
        past.about(Some("d1"), None);
        past.add(started());
        past.add(note("meanwhile"));
        let all = deployments(&past.history());
        assert_eq!(
            (all.len(), all[0].conclusion, all[0].ended),
            (1, None, None)
        );
        assert_eq!(all[0].previous.as_deref(), Some("v1"));
        assert_eq!(all[0].committed, Some(second(-100)));
        past.add(ended(Conclusion::Succeeded));
        let all = deployments(&past.history());
        assert_eq!(all[0].conclusion, Some(Conclusion::Succeeded));
        assert_eq!(all[0].ended, Some(second(2)));
        assert_eq!((all[0].restored_at, all[0].incident.as_ref()), (None, None));
    }

    #[test]
    fn what_was_before_is_restored_by_the_rollback_else_by_the_resolution() {
        for (conclusion, restored) in [(Conclusion::RolledBack, 2), (Conclusion::Failed, 3)] {
            let mut past = Past::new();
            past.about(Some("d1"), None);
            past.add(started());
            let id = past.open(Severity::High);
            past.add(ended(conclusion));
            past.add(resolved("back"));
            let all = deployments(&past.history());
            assert_eq!(all[0].restored_at, Some(second(restored)), "{conclusion:?}");
            assert_eq!(all[0].incident, Some(id));
        }
    }

    #[test]
    fn the_same_run_deploys_twice_and_the_later_one_learns() {
        let mut past = Past::new();
        past.about(Some("d1"), None);
        past.add(started());
        past.add(started());
        past.add(ended(Conclusion::Cancelled));
        let all = deployments(&past.history());
        let conclusions: Vec<_> = all.iter().map(|one| one.conclusion).collect();
        assert_eq!(conclusions, [None, Some(Conclusion::Cancelled)]);
    }

    #[test]
    fn what_is_of_no_deployment_or_of_one_that_never_started_is_none() {
        let mut past = Past::new();
        past.add(started());
        past.about(Some("d1"), None);
        past.add(ended(Conclusion::Failed));
        assert_eq!(deployments(&past.history()), []);
    }
}

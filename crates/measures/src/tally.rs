//! How many deployments there were of each kind.

use crate::history::{Conclusion, Deployment};

/// Deployments by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub started: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub rolled_back: u64,
    pub refused: u64,
    pub cancelled: u64,
    pub undecided: u64,
    pub running: u64,
    /// Rollbacks that were triggered, whether they worked or not.
    pub rollbacks: u64,
}

impl Tally {
    /// By what became of them.
    pub(crate) fn of<'a>(deployments: impl IntoIterator<Item = &'a Deployment>) -> Tally {
        Tally::by(deployments, |deployment| deployment.conclusion)
    }

    /// By how their own runs ended: none of the numbers ever falls while a history grows, but those that run.
    pub(crate) fn of_runs<'a>(deployments: impl IntoIterator<Item = &'a Deployment>) -> Tally {
        Tally::by(deployments, |deployment| {
            deployment.ended_as.unwrap_or(Conclusion::Running)
        })
    }

    fn by<'a>(
        deployments: impl IntoIterator<Item = &'a Deployment>,
        conclusion: impl Fn(&Deployment) -> Conclusion,
    ) -> Tally {
        let mut tally = Tally::default();
        for deployment in deployments {
            tally.started += 1;
            tally.rollbacks += rollbacks(deployment);
            *match conclusion(deployment) {
                Conclusion::Succeeded => &mut tally.succeeded,
                Conclusion::Failed => &mut tally.failed,
                Conclusion::RolledBack => &mut tally.rolled_back,
                Conclusion::Refused => &mut tally.refused,
                Conclusion::Cancelled => &mut tally.cancelled,
                Conclusion::Undecided => &mut tally.undecided,
                Conclusion::Running => &mut tally.running,
            } += 1;
        }
        tally
    }

    /// Those that changed production and came to an end.
    pub fn decided(&self) -> u64 {
        self.succeeded + self.intervened()
    }

    /// Those that required immediate intervention.
    pub fn intervened(&self) -> u64 {
        self.failed + self.rolled_back
    }
}

/// How many rollbacks took its release back, or put it back.
fn rollbacks(deployment: &Deployment) -> u64 {
    let others = deployment.other_rollbacks.len() as u64;
    others + u64::from(triggered_rollback(deployment))
}

/// Whether a deployment was followed by a rollback, even where no more than that is known of it.
pub(crate) fn triggered_rollback(deployment: &Deployment) -> bool {
    deployment.rollback.is_some() || deployment.conclusion == Conclusion::RolledBack
}

//! What a run that has not ended waits for.

use github::{Job, Run};

/// What keeps a run from going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// A reviewer, or another protection rule of a job's environment.
    Approval,
    /// A runner that takes its next job.
    Runner,
    /// Another run of its concurrency group.
    OtherRun,
}

impl Waiting {
    /// `None` where it has ended, or a job of it runs.
    pub(crate) fn of(run: &Run, jobs: &[Job]) -> Option<Waiting> {
        let is = |status: &str| jobs.iter().any(|job| job.status == status);
        if run.has_ended() {
            let is_held = run.conclusion.as_deref() == Some("action_required");
            return is_held.then_some(Waiting::Approval);
        }
        let waits_as = |status: &str| run.status == status || is(status);
        match () {
            () if is("in_progress") => None,
            () if waits_as("waiting") => Some(Waiting::Approval),
            () if waits_as("queued") || waits_as("requested") => Some(Waiting::Runner),
            () if waits_as("pending") => Some(Waiting::OtherRun),
            () => None,
        }
    }

    /// The next step for a person, who has the run's page.
    pub fn hint(self) -> &'static str {
        match self {
            Waiting::Approval => "a reviewer approves or rejects it there",
            Waiting::Runner => {
                "`runner-check` shows whether a runner with the labels of its job is there"
            }
            Waiting::OtherRun => "it begins when the run before it has ended, or is cancelled",
        }
    }
}

/// Fits after the number of a run.
impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Waiting::Approval => "waits for an approval",
            Waiting::Runner => "waits for a runner",
            Waiting::OtherRun => "waits for another run of its concurrency group",
        })
    }
}

//! What is measured: deployments, incidents, and the time that is looked at.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A deployment that begins so soon after one before it was found bad or taken back is rework. DORA names no time.
pub const REWORK_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// How a deployment ended, so far as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conclusion {
    /// The release serves, and was not found bad since.
    Succeeded,
    /// The release was found bad, at its gate or later, and was not taken back: people fixed
    /// forward, or still have to.
    Failed,
    /// The release was found bad, and the one before it serves again.
    RolledBack,
    /// A rule or a check said no before anything changed.
    Refused,
    /// A person or GitHub ended it.
    Cancelled,
    /// Something changed, and it was never decided whether it was good.
    Undecided,
    Running,
}

impl Conclusion {
    pub const ALL: [Conclusion; 7] = [
        Conclusion::Succeeded,
        Conclusion::Failed,
        Conclusion::RolledBack,
        Conclusion::Refused,
        Conclusion::Cancelled,
        Conclusion::Undecided,
        Conclusion::Running,
    ];

    /// Whether it required immediate intervention; `None` where that is not known. Only what
    /// changed production and came to an end is a success or a failure.
    pub fn needed_intervention(self) -> Option<bool> {
        match self {
            Conclusion::Succeeded => Some(false),
            Conclusion::Failed | Conclusion::RolledBack => Some(true),
            Conclusion::Refused
            | Conclusion::Cancelled
            | Conclusion::Undecided
            | Conclusion::Running => None,
        }
    }
}

/// One attempt to bring a release into production.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deployment {
    pub release: String,
    pub started: Timestamp,
    /// When its verdict was reached; `None` while it runs, or where that was not recorded.
    pub ended: Option<Timestamp>,
    /// What became of it, as far as that is known by now: a later rollback changes it.
    pub conclusion: Conclusion,
    /// How its own run ended, which nothing changes afterwards: what counters count. `None` while it runs, and where it
    /// never told.
    pub ended_as: Option<Conclusion>,
    /// When the release's commit was made.
    pub committed: Option<Timestamp>,
    /// Whether it was unplanned and made because of an incident: it began within [`REWORK_WITHIN`] of one before it that
    /// was found bad or taken back, and that no good one had followed. `None` where that is not known.
    pub rework: Option<bool>,
    /// When the first evidence against the release was seen.
    pub failed_at: Option<Timestamp>,
    /// When a good release was proved to serve again.
    pub restored_at: Option<Timestamp>,
    /// The rollback that it triggered.
    pub rollback: Option<Rollback>,
    /// The others that took its release back, or put it back after that.
    pub other_rollbacks: Vec<Rollback>,
    /// Requests that the release served until the deployment's end; `None` where they were not counted.
    pub errors_after: Option<Errors>,
    /// Measurements of its gate that failed, whether the gate passed in the end or not.
    pub health_retries: Option<u64>,
}

/// One rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rollback {
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// Whether the earlier release was proved to serve again; `None` where that is not known.
    pub restored: Option<bool>,
}

/// Requests, and those of them that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Errors {
    pub failed: u64,
    pub total: u64,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    pub opened: Timestamp,
    pub resolved: Option<Timestamp>,
    /// The severity that it was opened with, which nothing changes afterwards; as the runbook calls it, such as
    /// `critical`.
    pub opened_as: String,
    /// The worst that it has been.
    pub severity: String,
    /// Whether it is known when it was opened: else that is at the latest by `opened`.
    pub is_opening_known: bool,
}

/// The time that is looked at: `from` belongs to it, `until` does not. A deployment is in it if it
/// started in it, an incident if it was opened in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Window {
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    /// Nothing where it ends before it begins.
    pub fn length(&self) -> Duration {
        elapsed(self.from, self.until).unwrap_or_default()
    }
}

/// In whole milliseconds, both times cut to theirs; `None` where the second is before the first,
/// which means that two clocks differ and nothing is known.
pub(crate) fn elapsed(from: Timestamp, until: Timestamp) -> Option<Duration> {
    let millis = until.as_millisecond().checked_sub(from.as_millisecond())?;
    u64::try_from(millis).ok().map(Duration::from_millis)
}

/// Between two times, where both are known and in order.
pub(crate) fn between(from: Option<Timestamp>, until: Option<Timestamp>) -> Option<Duration> {
    elapsed(from?, until?)
}

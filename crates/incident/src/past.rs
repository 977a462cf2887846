//! The deployments and incidents that are measured: those of the log, and those that only the state remembers.

use chronicle::{
    Bound, Conclusion as Ended, Deployment as Logged, Exposure, History, deployments, incidents,
};
use jiff::{SignedDuration, Timestamp};
use measures::{Conclusion, Deployment, Errors, Incident, Rollback};
use model::Verdict;
use state::{Document, Entry, Status};

/// A deployment that begins so soon after one that went wrong is rework.
const REWORK_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// What the state records of a deployment is written while it goes on, or this long after it.
const RECORDED_WITHIN: SignedDuration = SignedDuration::from_mins(2);

/// What is measured.
pub(crate) struct Past {
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) incidents: Vec<Incident>,
}

impl Past {
    /// `document` is the state, where there is one.
    pub(crate) fn of(history: &History, document: Option<&Document>) -> Past {
        let logged = deployments(history);
        let entries = document.map_or(&[][..], |document| &document.history);
        let unlogged = entries
            .iter()
            .filter(|entry| !logged.iter().any(|one| is_same(one, entry)));
        let running = document
            .and_then(|document| document.lock.as_ref())
            .is_some();
        let recorded = unlogged.map(|entry| from_state(entry, running));
        let mut all: Vec<Deployment> = logged.iter().map(from_log).chain(recorded).collect();
        all.sort_by_key(|one| one.started);
        mark_rework(&mut all);
        Past {
            deployments: all,
            incidents: incidents(history)
                .into_iter()
                .map(|incident| Incident {
                    opened: incident.opened,
                    resolved: incident.resolution.as_ref().map(|end| end.at),
                    severity: incident.worst.word().to_owned(),
                    caused_by_deployment: Some(incident.subject.deployment.is_some()),
                })
                .collect(),
        }
    }

    /// When the first of it happened.
    pub(crate) fn began(&self) -> Option<Timestamp> {
        let started = self.deployments.iter().map(|one| one.started);
        let opened = self.incidents.iter().map(|one| one.opened);
        started.chain(opened).min()
    }
}

/// Whether an entry of the state is of a deployment of the log.
fn is_same(logged: &Logged, entry: &Entry) -> bool {
    let end = logged.ended.unwrap_or(Timestamp::MAX);
    let latest = end.checked_add(RECORDED_WITHIN).unwrap_or(Timestamp::MAX);
    logged.subject.release.as_ref() == Some(&entry.release)
        && logged.started <= entry.deployed_at
        && entry.deployed_at <= latest
}

fn from_log(logged: &Logged) -> Deployment {
    let conclusion = match logged.conclusion {
        None => Conclusion::Running,
        Some(Ended::Succeeded) => Conclusion::Succeeded,
        Some(Ended::Failed) => Conclusion::Failed,
        Some(Ended::RolledBack) => Conclusion::RolledBack,
        Some(Ended::Refused) => Conclusion::Refused,
        Some(Ended::Cancelled) => Conclusion::Cancelled,
        Some(Ended::Undecided) => Conclusion::Undecided,
    };
    Deployment {
        release: logged.subject.release.clone().unwrap_or_default(),
        started: logged.started,
        ended: logged.ended,
        conclusion,
        committed: logged.committed,
        rework: None,
        failed_at: logged.failed_at,
        restored_at: logged.restored_at,
        rollback: logged.rollback.map(|rollback| {
            let took = i64::try_from(rollback.duration_ms).unwrap_or(i64::MAX);
            let ended = rollback
                .started_at
                .checked_add(SignedDuration::from_millis(took));
            Rollback {
                started: rollback.started_at,
                ended: ended.ok(),
                restored: Some(rollback.verdict == Verdict::Pass),
            }
        }),
        errors_after: logged.exposure.as_ref().and_then(errors),
        health_retries: None,
    }
}

/// The requests that failed, where that is known exactly.
fn errors(exposure: &Exposure) -> Option<Errors> {
    let is_exact = match exposure.bound {
        Bound::Exact => true,
        Bound::AtMost(most) => most.failed == exposure.failed,
        Bound::AtLeast => false,
    };
    is_exact.then_some(Errors {
        failed: exposure.failed,
        total: exposure.total,
    })
}

/// A deployment of which only the state knows: what became of it, and not how long it took.
fn from_state(entry: &Entry, running: bool) -> Deployment {
    let conclusion = match entry.status {
        Status::Good => Conclusion::Succeeded,
        Status::Bad | Status::RolledBack => Conclusion::RolledBack,
        Status::Pending if running => Conclusion::Running,
        Status::Pending => Conclusion::Undecided,
    };
    let left = entry
        .changed_at
        .filter(|_| conclusion == Conclusion::RolledBack);
    Deployment {
        release: entry.release.clone(),
        started: entry.deployed_at,
        ended: None,
        conclusion,
        committed: None,
        rework: None,
        failed_at: None,
        restored_at: left,
        rollback: (conclusion == Conclusion::RolledBack).then(|| Rollback {
            started: left.unwrap_or(entry.deployed_at),
            ended: None,
            restored: None,
        }),
        errors_after: None,
        health_retries: None,
    }
}

/// A deployment is rework if the one before it went wrong a short time ago. `all` are in the order of time.
fn mark_rework(all: &mut [Deployment]) {
    let mut went_wrong: Option<Timestamp> = None;
    for deployment in all {
        let since = went_wrong.map(|at| deployment.started.duration_since(at));
        deployment.rework = Some(since.is_some_and(|since| since <= REWORK_WITHIN));
        match deployment.conclusion.needed_intervention() {
            Some(true) => went_wrong = Some(deployment.ended.unwrap_or(deployment.started)),
            Some(false) => went_wrong = None,
            None => {}
        }
    }
}

//! The deployments and incidents that are measured: those of the log, and those that only the state remembers.

use chronicle::{
    Bound, Conclusion as Ended, Deployment as Logged, Exposure, History, RolledBack, deployments,
    incidents,
};
use jiff::{SignedDuration, Timestamp};
use measures::{Conclusion, Deployment, Errors, Incident, Rollback};
use model::Verdict;
use state::{Document, Entry, Status};

/// A deployment that begins so soon after one that went wrong is rework.
const REWORK_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// What the state records of a deployment is written while it goes on, or this long after it.
const RECORDED_WITHIN: SignedDuration = SignedDuration::from_mins(2);

/// A deployment that never told its end was cut off where it began longer ago than any job runs.
const LONGEST: SignedDuration = SignedDuration::from_hours(5 * 24);
/// The same where no process holds the lock; the window ends up to an hour later than now.
const LONGEST_UNLOCKED: SignedDuration = SignedDuration::from_hours(2);

/// What is measured.
pub(crate) struct Past {
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) incidents: Vec<Incident>,
}

impl Past {
    /// `document` is the state, where there is one; `until` is the end of what is looked at.
    pub(crate) fn of(history: &History, document: Option<&Document>, until: Timestamp) -> Past {
        let logged = deployments(history);
        let entries = document.map_or(&[][..], |document| &document.history);
        let unlogged = entries
            .iter()
            .filter(|entry| !logged.iter().any(|one| is_same(one, entry)));
        let running = document
            .and_then(|document| document.lock.as_ref())
            .is_some();
        let recorded = unlogged.map(|entry| from_state(entry, running));
        // A run holds the lock from its deployment on.
        let longest = match document {
            Some(document) if document.lock.is_none() => LONGEST_UNLOCKED,
            _ => LONGEST,
        };
        let known = logged.iter().enumerate();
        let known = known.map(|(nth, one)| {
            let is_young = until.duration_since(one.started) <= longest;
            let entry = entries.iter().find(|entry| is_same(one, entry));
            from_log(one, entry, !is_young || is_cut_off(&logged[nth + 1..]))
        });
        let mut all: Vec<Deployment> = known.chain(recorded).collect();
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

/// Whether a deployment that told no end does not go on: one at a time changes what users have, so one that came after it
/// and did so tells that it was killed.
fn is_cut_off(later: &[Logged]) -> bool {
    let changed = |one: &Logged| {
        let ended = one.conclusion;
        ended.is_some_and(|ended| !matches!(ended, Ended::Refused | Ended::Cancelled))
    };
    later.iter().any(changed)
}

/// How it ended, and whether it was taken back since. That a person cancelled one tells nothing of its release.
fn conclusion(logged: &Logged, is_taken_back: bool, is_cut_off: bool) -> Conclusion {
    match (logged.conclusion, is_taken_back) {
        (Some(Ended::Refused), _) => Conclusion::Refused,
        (Some(Ended::Cancelled), _) => Conclusion::Cancelled,
        (Some(Ended::RolledBack), _) | (_, true) => Conclusion::RolledBack,
        (Some(Ended::Succeeded), false) => Conclusion::Succeeded,
        (Some(Ended::Failed), false) => Conclusion::Failed,
        (Some(Ended::Undecided), false) => Conclusion::Undecided,
        (None, false) if is_cut_off => Conclusion::Undecided,
        (None, false) => Conclusion::Running,
    }
}

/// `entry` is what the state has of it: a rollback that was made without the log is there.
fn from_log(logged: &Logged, entry: Option<&Entry>, is_cut_off: bool) -> Deployment {
    // What its own run tells of its rollback is the more exact.
    let later = logged.taken_back.as_ref();
    let later = later.filter(|_| logged.conclusion != Some(Ended::RolledBack));
    let rollback = later.map_or(logged.rollback, |(rollback, _)| Some(*rollback));
    let reported = logged.reported_at;
    let reported = reported.filter(|at| later.is_some_and(|(_, back)| at <= back));
    let recorded = match (logged.conclusion, later, entry) {
        (Some(Ended::Succeeded), None, Some(entry)) => left_since(entry, logged.ended),
        _ => None,
    };
    Deployment {
        release: logged.subject.release.clone().unwrap_or_default(),
        started: logged.started,
        ended: logged.ended,
        conclusion: conclusion(
            logged,
            logged.taken_back.is_some() || recorded.is_some(),
            is_cut_off,
        ),
        committed: logged.committed,
        rework: None,
        failed_at: logged.failed_at.or(reported),
        restored_at: later.map(|(_, at)| *at).or(logged.restored_at).or(recorded),
        rollback: rollback
            .map(of_known_speed)
            .or_else(|| recorded.map(of_unknown_speed)),
        errors_after: logged.exposure.as_ref().and_then(errors),
        health_retries: logged.retries,
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
        rollback: (conclusion == Conclusion::RolledBack)
            .then(|| of_unknown_speed(left.unwrap_or(entry.deployed_at))),
        errors_after: None,
        health_retries: None,
    }
}

/// When the state found it bad, where that was after its end.
fn left_since(entry: &Entry, ended: Option<Timestamp>) -> Option<Timestamp> {
    let is_left = matches!(entry.status, Status::Bad | Status::RolledBack);
    entry.changed_at.filter(|at| is_left && Some(*at) > ended)
}

fn of_known_speed(rollback: RolledBack) -> Rollback {
    let took = i64::try_from(rollback.duration_ms).unwrap_or(i64::MAX);
    let ended = rollback
        .started_at
        .checked_add(SignedDuration::from_millis(took));
    Rollback {
        started: rollback.started_at,
        ended: ended.ok(),
        restored: Some(rollback.verdict == Verdict::Pass),
    }
}

/// A rollback of which only the state knows.
fn of_unknown_speed(started: Timestamp) -> Rollback {
    Rollback {
        started,
        ended: None,
        restored: None,
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

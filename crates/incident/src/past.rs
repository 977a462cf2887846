//! The deployments and incidents that are measured: those of the log, and those that only the state remembers.

use chronicle::{
    Conclusion as Ended, CountBound, Deployment as Logged, Event, Exposure, Happening, History,
    RolledBack, deployments, incidents,
};
use jiff::{SignedDuration, Timestamp};
use measures::{Conclusion, Deployment, Errors, Incident, REWORK_WITHIN, Rollback};
use model::release::Match;
use model::{StageName, Verdict};
use state::{Document, Entry, Status};

/// What the state records of a deployment is written while it goes on, or this long after it.
const RECORDED_WITHIN: SignedDuration = SignedDuration::from_mins(2);

/// A deployment that never told its end was cut off where it began longer ago than any job runs.
const MAX_JOB_TIME: SignedDuration = SignedDuration::from_hours(5 * 24);
/// The same where no process holds the lock; the window ends up to an hour later than now.
const LONGEST_UNLOCKED: SignedDuration = SignedDuration::from_hours(2);

/// What is measured.
pub(crate) struct MeasuredHistory {
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) incidents: Vec<Incident>,
}

impl MeasuredHistory {
    /// `document` is the state, where there is one; `until` is the end of what is looked at.
    pub(crate) fn of(
        history: &History,
        document: Option<&Document>,
        until: Timestamp,
    ) -> MeasuredHistory {
        let logged = deployments(history);
        let entries = document.map_or(&[][..], |document| &document.history);
        let rule = document.map_or(Match::Exact, |document| document.rule);
        let unlogged = entries.iter().filter(|entry| {
            let is_of = |one: &Logged| is_same(rule, one, entry) || is_of_rollback(one, entry);
            !logged.iter().any(is_of)
        });
        let running = document
            .and_then(|document| document.lock.as_ref())
            .is_some();
        let recorded = unlogged.map(|entry| from_state(entry, running, history));
        // A run holds the lock from its deployment on.
        let longest = match document {
            Some(document) if document.lock.is_none() => LONGEST_UNLOCKED,
            _ => MAX_JOB_TIME,
        };
        let known = logged.iter().enumerate();
        let known = known.map(|(nth, one)| {
            let is_young = until.duration_since(one.started) <= longest;
            let entry = entries.iter().find(|entry| is_same(rule, one, entry));
            from_log(one, entry, !is_young || is_cut_off(&logged[nth + 1..]))
        });
        let mut all: Vec<Deployment> = known.chain(recorded).collect();
        all.sort_by_key(|one| one.started);
        mark_rework(&mut all);
        MeasuredHistory {
            deployments: all,
            incidents: incidents(history)
                .into_iter()
                .map(|incident| Incident {
                    opened: incident.opened,
                    resolved: incident.resolution.as_ref().map(|end| end.at),
                    opened_as: incident.opened_as.word().to_owned(),
                    severity: incident.worst.word().to_owned(),
                    is_opening_known: !incident.is_opening_unread,
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
fn is_same(rule: Match, logged: &Logged, entry: &Entry) -> bool {
    let end = logged.ended.unwrap_or(Timestamp::MAX);
    let latest = end.checked_add(RECORDED_WITHIN).unwrap_or(Timestamp::MAX);
    let release = logged.subject.release.as_deref();
    release.is_some_and(|release| rule.same(&entry.release, release))
        && logged.started <= entry.deployed_at
        && entry.deployed_at <= latest
}

/// Whether an entry was made by a rollback, in the run of that deployment or later from it, and tells of no deployment: the
/// target called the release otherwise than `--release` does, or the state did not know where the rollback led. Whoever
/// rolls back has the lock, so that nobody else records anything meanwhile.
fn is_of_rollback(logged: &Logged, entry: &Entry) -> bool {
    let at = entry.deployed_at;
    let own = logged.rollback.zip(logged.ended);
    let mut rollbacks = own.into_iter().chain(logged.taken_back);
    rollbacks.any(|(rollback, ended)| rollback.started_at <= at && at <= ended)
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

/// How its own run ended.
fn ended_as(ended: Ended) -> Conclusion {
    match ended {
        Ended::Succeeded => Conclusion::Succeeded,
        Ended::Failed => Conclusion::Failed,
        Ended::RolledBack => Conclusion::RolledBack,
        Ended::Refused => Conclusion::Refused,
        Ended::Cancelled => Conclusion::Cancelled,
        Ended::Undecided => Conclusion::Undecided,
    }
}

/// What became of a deployment after its own run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Nothing,
    TakenBack,
    /// Another one came after it, though its own run told no end.
    CutOff,
}

/// How it ended, and whether it was taken back or fixed forward since. That a person cancelled one tells nothing of its
/// release, unless its gate had failed by then.
fn conclusion(logged: &Logged, since: Since) -> Conclusion {
    match logged.conclusion.map(ended_as) {
        Some(Conclusion::Refused) => Conclusion::Refused,
        Some(Conclusion::Cancelled) if logged.gate_failed_at.is_none() => Conclusion::Cancelled,
        _ if since == Since::TakenBack => Conclusion::RolledBack,
        Some(Conclusion::Cancelled) => Conclusion::Failed,
        Some(Conclusion::Succeeded) if logged.fixed_forward.is_some() => Conclusion::Failed,
        Some(ended_as) => ended_as,
        None if since == Since::CutOff => Conclusion::Undecided,
        None => Conclusion::Running,
    }
}

/// `entry` is what the state has of it: a rollback that was made without the log is there.
fn from_log(logged: &Logged, entry: Option<&Entry>, is_cut_off: bool) -> Deployment {
    // What its own run tells of its rollback is the more exact.
    let later = logged.taken_back.as_ref();
    let later = later.filter(|_| logged.conclusion != Some(Ended::RolledBack));
    let rollback = later.map_or(logged.rollback, |(rollback, _)| Some(*rollback));
    let mut other_rollbacks = logged.other_rollbacks.clone();
    other_rollbacks.extend(logged.rollback);
    other_rollbacks.extend(logged.taken_back.map(|(rollback, _)| rollback));
    // What a run tells of its rollback is also among what became of its release.
    other_rollbacks.sort_by_key(|one| one.started_at);
    other_rollbacks.dedup_by_key(|one| one.started_at);
    other_rollbacks.retain(|one| rollback.is_none_or(|known| known.started_at != one.started_at));
    let reported = logged.reported_at;
    let reported = reported.filter(|at| later.is_some_and(|(_, back)| at <= back));
    // What the state found of it while another one was put back is no finding.
    let settled = logged.ended.max(logged.put_back).max(logged.made_room);
    let recorded = match (logged.conclusion, logged.is_taken_back(), entry) {
        (Some(Ended::Succeeded), false, Some(entry)) => left_since(entry, settled),
        _ => None,
    };
    let since = if logged.is_taken_back() || recorded.is_some() {
        Since::TakenBack
    } else if is_cut_off {
        Since::CutOff
    } else {
        Since::Nothing
    };
    Deployment {
        release: logged.subject.release.clone().unwrap_or_default(),
        started: logged.started,
        ended: logged.ended,
        conclusion: conclusion(logged, since),
        ended_as: logged.conclusion.map(ended_as),
        committed: logged.committed,
        rework: None,
        failed_at: logged
            .failed_at
            .or(logged.gate_failed_at)
            .or(reported)
            .or(logged.fixed_forward),
        restored_at: later.map(|(_, at)| *at).or(logged.restored_at).or(recorded),
        rollback: rollback
            .map(of_known_speed)
            .or_else(|| recorded.map(of_unknown_speed)),
        other_rollbacks: other_rollbacks.into_iter().map(of_known_speed).collect(),
        errors_after: logged.exposure.as_ref().and_then(errors),
        health_retries: logged.retries,
    }
}

/// The requests that failed, where that is known exactly.
fn errors(exposure: &Exposure) -> Option<Errors> {
    let is_exact = match exposure.bound {
        CountBound::Exact => true,
        CountBound::AtMost(most) => most.failed == exposure.failed,
        CountBound::AtLeast => false,
    };
    is_exact.then_some(Errors {
        failed: exposure.failed,
        total: exposure.total,
    })
}

/// A deployment of which only the state knows what became of it; how long it took, its steps tell, if the log has them.
fn from_state(entry: &Entry, running: bool, history: &History) -> Deployment {
    let conclusion = match entry.status {
        Status::Good => Conclusion::Succeeded,
        Status::Bad | Status::RolledBack => Conclusion::RolledBack,
        Status::Pending if running => Conclusion::Running,
        Status::Pending => Conclusion::Undecided,
    };
    let left = entry
        .changed_at
        .filter(|_| conclusion == Conclusion::RolledBack);
    let ended_as = match conclusion {
        _ if was_good(entry, history) => Some(Conclusion::Succeeded),
        Conclusion::Succeeded | Conclusion::RolledBack => Some(conclusion),
        // It is not recorded yet whether it is good.
        _ => None,
    };
    let steps = Steps::of(entry, history);
    let is_back = conclusion == Conclusion::RolledBack;
    let rollback = steps.rollback.filter(|_| is_back);
    Deployment {
        release: entry.release.clone(),
        started: steps
            .began
            .map_or(entry.deployed_at, |at| at.min(entry.deployed_at)),
        ended: steps.ended.filter(|_| ended_as.is_some()),
        conclusion,
        ended_as,
        committed: None,
        rework: None,
        failed_at: steps.failed_at.filter(|_| is_back),
        restored_at: rollback.and_then(|rollback| rollback.ended()).or(left),
        rollback: match rollback {
            Some(rollback) => Some(of_known_speed(rollback)),
            None => is_back.then(|| of_unknown_speed(left.unwrap_or(entry.deployed_at))),
        },
        other_rollbacks: Vec::new(),
        errors_after: None,
        health_retries: steps.retries,
    }
}

/// What the log has of a deployment that is in the state alone: each stage was a step of its own.
#[derive(Default)]
struct Steps {
    /// Of the first step and of the last one, in the workflow run that deployed it.
    began: Option<Timestamp>,
    ended: Option<Timestamp>,
    /// When the gate that failed had ended.
    failed_at: Option<Timestamp>,
    /// The rollback that took it back, in that run or in a later one.
    rollback: Option<RolledBack>,
    retries: Option<u64>,
}

impl Steps {
    /// Those of the workflow run that recorded it, or whose rollback made the entry of a release that was never recorded:
    /// without a run they cannot be told from others.
    fn of(entry: &Entry, history: &History) -> Steps {
        let mut steps = Steps::default();
        let recorded = entry.run.as_ref();
        let recorded = recorded.map(|run| format!("{}#{run}", entry.release));
        let Some(id) = recorded.or_else(|| deployment_left(entry, history)) else {
            return steps;
        };
        let run = id.rsplit_once('#').map(|(_, run)| run);
        for event in history.events() {
            if event.subject.deployment.as_ref() == Some(&id) {
                steps.learn(event, entry, event.by.run.as_deref() == run);
            }
        }
        steps
    }

    fn learn(&mut self, event: &Event, entry: &Entry, is_of_run: bool) {
        let Happening::StageEnded {
            stage,
            verdict,
            restored,
            started_at,
            duration_ms,
            retries,
            ..
        } = &event.what
        else {
            return;
        };
        let step = RolledBack {
            started_at: *started_at,
            duration_ms: *duration_ms,
            verdict: *verdict,
        };
        let ended = step.ended().unwrap_or(event.at);
        self.retries = retries.or(self.retries);
        let takes_back = restored.as_ref().is_some_and(|to| *to != entry.release);
        let stage = StageName::of(stage);
        let is_watched = matches!(stage, Some(StageName::Healthgate | StageName::Traffic));
        if takes_back && *verdict == Verdict::Pass {
            self.rollback = Some(step);
        } else if is_watched && *verdict > Verdict::Pass {
            self.failed_at.get_or_insert(ended);
        }
        if is_of_run {
            self.began = Some(self.began.map_or(*started_at, |at| at.min(*started_at)));
            // What only looks, such as `rollback decide`, is no part of it.
            if takes_back || is_watched || stage == Some(StageName::Record) {
                self.ended = self.ended.max(Some(ended));
            }
        }
    }
}

/// The deployment that a rollback left, where it made the entry.
fn deployment_left(entry: &Entry, history: &History) -> Option<String> {
    let made_it = |event: &&Event| match &event.what {
        Happening::StageEnded {
            stage, started_at, ..
        } => {
            StageName::of(stage) == Some(StageName::Rollback)
                && event.subject.release.as_ref() == Some(&entry.release)
                && *started_at <= entry.deployed_at
                && entry.deployed_at <= event.at
        }
        _ => false,
    };
    let rollback = history.events().find(made_it)?;
    rollback.subject.deployment.clone()
}

/// Whether the release of an entry was good before its status was set: its gate passed, or it was recorded and no gate
/// asked.
fn was_good(entry: &Entry, history: &History) -> bool {
    let set = entry.changed_at.unwrap_or(entry.deployed_at);
    let (mut gates, mut records) = (Vec::new(), Vec::new());
    for event in history.events().filter(|event| event.at < set) {
        let Happening::StageEnded { stage, verdict, .. } = &event.what else {
            continue;
        };
        match StageName::of(stage) {
            _ if event.subject.release.as_ref() != Some(&entry.release) => {}
            Some(StageName::Healthgate) => gates.push(*verdict),
            Some(StageName::Record) => records.push(*verdict),
            _ => {}
        }
    }
    let asked = if gates.is_empty() { records } else { gates };
    asked.contains(&Verdict::Pass)
}

/// When the state found it bad, where that was after its end.
fn left_since(entry: &Entry, ended: Option<Timestamp>) -> Option<Timestamp> {
    let is_left = matches!(entry.status, Status::Bad | Status::RolledBack);
    entry.changed_at.filter(|at| is_left && Some(*at) > ended)
}

fn of_known_speed(rollback: RolledBack) -> Rollback {
    Rollback {
        started: rollback.started_at,
        ended: rollback.ended(),
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

/// A deployment is rework if it began within [`REWORK_WITHIN`] of one before it that was found bad or taken back, and none
/// has succeeded since. `all` are in the order of time.
fn mark_rework(all: &mut [Deployment]) {
    let mut wrong: Vec<BadPeriod> = Vec::new();
    for deployment in all {
        let started = deployment.started;
        wrong.retain(|wrong| started.duration_since(wrong.until) <= REWORK_WITHIN);
        deployment.rework = Some(wrong.iter().any(|wrong| wrong.from <= started));
        match deployment.conclusion.needed_intervention() {
            Some(true) => wrong.push(BadPeriod::of(deployment)),
            Some(false) => wrong.retain(|wrong| wrong.from > started),
            None => {}
        }
    }
}

/// While a deployment was known to be bad, and not taken back or fixed yet.
struct BadPeriod {
    from: Timestamp,
    until: Timestamp,
}

impl BadPeriod {
    fn of(deployment: &Deployment) -> BadPeriod {
        let started = deployment.started;
        // The end of a run that ended well tells nothing: it was found bad later.
        let is_good = deployment.ended_as == Some(Conclusion::Succeeded);
        let ended = deployment.ended.filter(|_| !is_good);
        let back = deployment.rollback.map(|rollback| rollback.started);
        let from = deployment.failed_at.or(back).or(ended).unwrap_or(started);
        let until = ended.max(back).unwrap_or(from).max(from);
        BadPeriod { from, until }
    }
}

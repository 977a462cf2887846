//! From a history to its figures.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::exact::Ratio;
use crate::figure::{Figure, Frequency, Kind, Value};
use crate::history::{
    Conclusion, Deployment, Errors, Incident, Rollback, Window, between, elapsed,
};
use crate::spread::DurationSummary;
use crate::tally::{Tally, triggered_rollback};

/// All figures of one service in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measures {
    pub window: Window,
    /// One of each [`Kind`], in their order; over the window.
    pub figures: Vec<Figure>,
    /// Over the window.
    pub tally: Tally,
    /// Over the whole history.
    pub whole: HistoryTotals,
    /// Lines of the log that could not be read: their events are in no figure.
    pub unread_lines: u64,
}

/// What is counted over the whole history. What a counter counts is never taken back: a deployment counts by how its
/// own run ended, and an incident by the severity that it was opened with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryTotals {
    pub tally: Tally,
    /// Of the deployments whose run succeeded, failed or rolled back, where both times are known;
    /// the shortest first.
    pub durations: Vec<Duration>,
    /// When a deployment last ended so; the start, where the end is not known.
    pub last: BTreeMap<&'static str, Timestamp>,
    /// When a rollback was last triggered.
    pub last_rollback: Option<Timestamp>,
    /// The deployment that started last.
    pub newest: Option<Deployment>,
    /// When the first of those started that are running. It may not be the newest: one that finds the
    /// lock held is refused meanwhile.
    pub running_since: Option<Timestamp>,
    /// Incidents by severity.
    pub incidents: BTreeMap<String, Incidents>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incidents {
    /// Those that were opened with this severity.
    pub all: u64,
    /// Those that are open, and whose worst severity it is.
    pub open: u64,
}

impl Measures {
    /// The order of the history does not matter.
    pub fn of(deployments: &[Deployment], incidents: &[Incident], window: Window) -> Measures {
        let within: Vec<&Deployment> = deployments
            .iter()
            .filter(|deployment| window.holds(deployment.started))
            .collect();
        let opened: Vec<&Incident> = incidents
            .iter()
            .filter(|incident| window.holds(incident.opened))
            .collect();
        Measures {
            window,
            figures: Kind::ALL
                .into_iter()
                .map(|kind| figure(kind, &within, &opened, window))
                .collect(),
            tally: Tally::of(within.iter().copied()),
            whole: HistoryTotals::of(deployments, incidents),
            unread_lines: 0,
        }
    }

    pub fn figure(&self, kind: Kind) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.kind == kind)
    }
}

fn figure(
    kind: Kind,
    deployments: &[&Deployment],
    incidents: &[&Incident],
    window: Window,
) -> Figure {
    // Those that changed production and came to an end.
    let decided = || {
        let all = deployments.iter().copied();
        all.filter(|deployment| deployment.conclusion.needed_intervention().is_some())
    };
    let ended_so = |conclusion: Conclusion| {
        let all = deployments.iter().copied();
        all.filter(move |deployment| deployment.conclusion == conclusion)
    };
    // Of one that was never decided it is not known whether it counts, whatever else is known of it.
    let undecided = || ended_so(Conclusion::Undecided);
    let untimed = || undecided().map(|_| None);
    match kind {
        Kind::ChangeLeadTime => times(
            kind,
            ended_so(Conclusion::Succeeded)
                .map(|deployment| between(deployment.committed, deployment.ended))
                .chain(untimed()),
        ),
        Kind::DeploymentFrequency => {
            let succeeded = count(ended_so(Conclusion::Succeeded));
            let within = window.length();
            let value = (!within.is_zero()).then_some(Value::Frequency(Frequency {
                deployments: succeeded,
                within,
            }));
            let unknown = count(undecided());
            Figure::new(kind, value, succeeded, unknown)
        }
        Kind::FailedDeploymentRecoveryTime => times(
            kind,
            decided()
                .filter(|deployment| deployment.conclusion.needed_intervention() == Some(true))
                .map(|deployment| between(deployment.failed_at, deployment.restored_at))
                .chain(untimed()),
        ),
        Kind::ChangeFailRate => ratio(kind, deployments, |deployment| {
            deployment.conclusion.needed_intervention()
        }),
        Kind::DeploymentReworkRate => ratio(kind, deployments, |deployment| deployment.rework),
        Kind::SuccessRate => ratio(kind, deployments, |deployment| {
            deployment
                .conclusion
                .needed_intervention()
                .map(|needed| !needed)
        }),
        Kind::RollbackRate => ratio(kind, deployments, |deployment| {
            Some(triggered_rollback(deployment))
        }),
        Kind::RollbackTime => times(
            kind,
            decided()
                .filter(|deployment| triggered_rollback(deployment))
                .flat_map(|deployment| {
                    let others = deployment.other_rollbacks.iter().copied().map(Some);
                    std::iter::once(deployment.rollback).chain(others)
                })
                .map(|rollback| restoring_time(rollback?))
                .chain(untimed()),
        ),
        Kind::DeploymentDuration => times(kind, decided().map(duration).chain(untimed())),
        Kind::MeanTimeToRecovery => times(
            kind,
            incidents.iter().map(|incident| {
                let opened = incident.is_opening_known.then_some(incident.opened);
                between(opened, incident.resolved)
            }),
        ),
        Kind::PostDeploymentErrors => {
            let known = decided().map(|it| it.errors_after);
            errors(kind, known.chain(undecided().map(|_| None)))
        }
    }
}

/// Of the deployments that changed production, those of which `is_part` says so. Unknown are those
/// of which it says nothing, and those that were never decided.
fn ratio(
    kind: Kind,
    deployments: &[&Deployment],
    is_part: impl Fn(&Deployment) -> Option<bool>,
) -> Figure {
    let (mut part, mut whole, mut unknown) = (0, 0, 0);
    for deployment in deployments {
        match deployment.conclusion {
            Conclusion::Succeeded | Conclusion::Failed | Conclusion::RolledBack => {
                match is_part(deployment) {
                    Some(is_part) => {
                        part += u64::from(is_part);
                        whole += 1;
                    }
                    None => unknown += 1,
                }
            }
            Conclusion::Undecided => unknown += 1,
            Conclusion::Refused | Conclusion::Cancelled | Conclusion::Running => {}
        }
    }
    let value = Ratio::of(part, whole).map(Value::Ratio);
    Figure::new(kind, value, whole, unknown)
}

/// Of durations, those that are known.
fn times(kind: Kind, all: impl Iterator<Item = Option<Duration>>) -> Figure {
    let (mut known, mut unknown) = (Vec::new(), 0);
    for time in all {
        match time {
            Some(time) => known.push(time),
            None => unknown += 1,
        }
    }
    let spread = DurationSummary::of(known);
    let counted = spread.map_or(0, |spread| spread.counted());
    Figure::new(kind, spread.map(Value::Times), counted, unknown)
}

/// The sum of what is known.
fn errors(kind: Kind, all: impl Iterator<Item = Option<Errors>>) -> Figure {
    let (mut sum, mut counted, mut unknown) = (Errors::default(), 0, 0);
    for errors in all {
        match errors {
            Some(Errors { failed, total }) => {
                sum.failed = sum.failed.saturating_add(failed);
                sum.total = sum.total.saturating_add(total);
                counted += 1;
            }
            None => unknown += 1,
        }
    }
    let value = (counted > 0).then_some(Value::Errors(sum));
    Figure::new(kind, value, counted, unknown)
}

fn count<'a>(all: impl Iterator<Item = &'a Deployment>) -> u64 {
    all.map(|_| 1).sum()
}

fn duration(deployment: &Deployment) -> Option<Duration> {
    between(Some(deployment.started), deployment.ended)
}

/// How long a rollback took to restore a release. One that did not restore it has no such time, however soon it gave
/// up.
fn restoring_time(rollback: Rollback) -> Option<Duration> {
    if rollback.restored != Some(true) {
        return None;
    }
    elapsed(rollback.started, rollback.ended?)
}

impl HistoryTotals {
    fn of(deployments: &[Deployment], incidents: &[Incident]) -> HistoryTotals {
        let mut whole = HistoryTotals {
            tally: Tally::of_runs(deployments),
            ..HistoryTotals::default()
        };
        for deployment in deployments {
            let ended_as = deployment.ended_as;
            if ended_as.and_then(Conclusion::needed_intervention).is_some() {
                whole.durations.extend(duration(deployment));
            }
            if deployment.conclusion == Conclusion::Running {
                let since = whole.running_since.unwrap_or(deployment.started);
                whole.running_since = Some(since.min(deployment.started));
            }
            if let Some(status) = ended_as.and_then(status) {
                let at = deployment.ended.unwrap_or(deployment.started);
                let last = whole.last.entry(status).or_insert(at);
                *last = at.max(*last);
            }
            if triggered_rollback(deployment) {
                let all = deployment
                    .rollback
                    .iter()
                    .chain(&deployment.other_rollbacks);
                let newest = all.map(|rollback| rollback.started).max();
                let at = newest.or(deployment.ended).unwrap_or(deployment.started);
                whole.last_rollback = whole.last_rollback.max(Some(at));
            }
        }
        whole.durations.sort_unstable();
        // Of two that started together any may be the newest, but always the same one.
        let newest = deployments
            .iter()
            .max_by(|one, other| (one.started, one).cmp(&(other.started, other)));
        whole.newest = newest.cloned();
        for incident in incidents {
            let opened_as = whole.incidents.entry(incident.opened_as.clone());
            opened_as.or_default().all += 1;
            let worst = whole.incidents.entry(incident.severity.clone());
            worst.or_default().open += u64::from(incident.resolved.is_none());
        }
        whole
    }
}

/// The label `status` of a deployment that came to an end. Runbook 003 has `success` and `failure`;
/// what was rolled back failed.
pub(crate) fn status(conclusion: Conclusion) -> Option<&'static str> {
    match conclusion {
        Conclusion::Succeeded => Some("success"),
        Conclusion::Failed | Conclusion::RolledBack => Some("failure"),
        Conclusion::Refused => Some("refused"),
        Conclusion::Cancelled => Some("cancelled"),
        Conclusion::Undecided => Some("undecided"),
        Conclusion::Running => None,
    }
}

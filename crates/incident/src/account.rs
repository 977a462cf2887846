//! What is told of an incident afterwards: a pure function of the log, so that it is the same each time.

use std::time::Duration;

use chronicle::{
    ClockSkew, Deployment, Entry, Evidence, Exposure, Happening, History, Incident, deployments,
    timeline,
};
use jiff::Timestamp;
use model::incident::UnreadLine;
use model::text::span;

/// Everything that the report of an incident holds.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) incident: Incident,
    /// The deployment that caused it.
    pub(crate) deployment: Option<Deployment>,
    pub(crate) timeline: Vec<Row>,
    /// What the bad release served.
    pub(crate) exposure: Exposed,
    pub(crate) times: Times,
    /// Where the clocks of the writers disagree.
    pub(crate) skew: Option<ClockSkew>,
    /// The lines of the log that could not be read.
    pub(crate) unread: Vec<UnreadLine>,
    /// What the stages reported of the cause.
    pub(crate) findings: Vec<String>,
    /// What people were told, in order.
    pub(crate) updates: Vec<(Timestamp, String)>,
}

/// What the bad release served, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exposed {
    pub(crate) known: Option<Exposure>,
    /// Why it is not known, where it was asked.
    pub(crate) unknown: Option<String>,
}

impl std::fmt::Display for Exposed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.known, &self.unknown) {
            (Some(exposure), _) => exposure.fmt(f),
            (None, Some(why)) => write!(f, "unknown: {why}"),
            (None, None) => f.write_str("unknown"),
        }
    }
}

/// A row of the timeline.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) at: Timestamp,
    pub(crate) kind: &'static str,
    pub(crate) what: String,
    pub(crate) by: String,
    pub(crate) evidence: Vec<Evidence>,
    /// The event's line in the log.
    pub(crate) place: String,
}

/// How long each part of it took; `None` where it did not happen, or is not known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// From the start of the deployment until the first evidence that it was bad.
    pub(crate) detection: Option<Duration>,
    /// From the opening until a person acted.
    pub(crate) response: Option<Duration>,
    /// From the first evidence until the service was restored.
    pub(crate) recovery: Option<Duration>,
    /// From the opening until the resolution.
    pub(crate) whole: Option<Duration>,
}

impl Account {
    /// What a reader of the timeline must know, where there is something.
    pub(crate) fn cautions(&self) -> impl Iterator<Item = String> {
        let skew = self.skew.iter().map(|skew| format!(
            "The {skew}. The rows are in the order of the log; a time between two clocks is unknown, or wrong by as much."
        ));
        let missing = |unread| format!("Missing: {unread}. Its events are not in this report.");
        skew.chain(self.unread.iter().map(missing))
    }

    /// From its beginning to its end; unknown where clocks disagree.
    pub(crate) fn lasted(&self) -> String {
        match &self.incident.resolution {
            None => "not over yet".to_owned(),
            Some(_) => known(self.times.whole),
        }
    }

    pub(crate) fn of(history: &History, incident: Incident) -> Account {
        // The command may name no environment, and see those of all.
        let history = &history.clone().of_owner(&incident.subject.owner());
        let deployment = incident.subject.deployment.as_ref();
        let deployment = deployment.and_then(|id| {
            let all = deployments(history);
            all.into_iter().rev().find(|one| one.id == *id)
        });
        let records = timeline(history, &incident);
        let rows = records.iter().map(|record| Row {
            at: record.event.at,
            kind: record.event.what.kind().map_or("", |kind| kind.word()),
            what: record.event.sentence(),
            by: record.event.by.actor.clone(),
            evidence: record.event.evidence.clone(),
            place: record.place.clone(),
        });
        let mut findings: Vec<String> = records
            .iter()
            .filter_map(|record| match &record.event.what {
                Happening::StageEnded {
                    stage,
                    verdict,
                    reason,
                    ..
                } if *verdict > model::Verdict::Pass => {
                    Some(format!("{stage}: {verdict}: {reason}"))
                }
                _ => None,
            })
            .collect();
        // Some parts of a run write no end of their own, such as the deployment.
        if let Some(failed) = &incident.failed_stage
            && !findings.iter().any(|finding| finding.starts_with(failed))
        {
            findings.insert(0, format!("{failed}: {}", incident.text));
        }
        let updates = records
            .iter()
            .filter_map(|record| match &record.event.what {
                Happening::IncidentOpened { text, .. }
                | Happening::IncidentUpdated { text, .. }
                | Happening::IncidentResolved { text, .. } => Some((record.event.at, text.clone())),
                _ => None,
            });
        Account {
            timeline: rows.collect(),
            findings,
            updates: updates.collect(),
            exposure: exposed(&records),
            times: times(&incident, deployment.as_ref()),
            skew: ClockSkew::of(records.iter().map(|record| &record.event)),
            unread: history.unread().to_vec(),
            deployment,
            incident,
        }
    }
}

/// What all answers come to; one that is known is not forgotten for a later one that is not.
fn exposed(records: &[Entry<'_>]) -> Exposed {
    let mut exposed = Exposed::default();
    for record in records {
        match &record.event.what {
            Happening::DeploymentEnded {
                exposure: Some(exposure),
                ..
            }
            | Happening::ExposureMeasured {
                exposure: Some(exposure),
                ..
            } => {
                let known = exposed.known.as_ref();
                let better = known.map(|known| known.or_later(exposure));
                exposed.known = Some(better.unwrap_or_else(|| exposure.clone()));
            }
            Happening::ExposureMeasured { unknown, .. } => exposed.unknown.clone_from(unknown),
            _ => {}
        }
    }
    exposed
}

fn times(incident: &Incident, deployment: Option<&Deployment>) -> Times {
    let resolved = incident.resolution.as_ref().map(|end| end.at);
    // A person who opens it is the first evidence where no stage saw any.
    let failed = deployment.and_then(|one| one.failed_at);
    let opened = (!incident.is_opening_unread).then_some(incident.opened);
    let failed = failed.or(opened);
    let began = [failed, opened].into_iter().flatten().min();
    let taken_back = deployment.and_then(Deployment::taken_back_at);
    let restored = deployment.and_then(|one| one.restored_at);
    let restored = taken_back.or(restored);
    let restored = restored.filter(|at| Some(*at) >= began).or(resolved);
    Times {
        detection: deployment.and_then(|one| between(Some(one.started), failed)),
        response: between(opened, incident.acknowledged),
        recovery: between(began, restored),
        whole: between(opened, resolved),
    }
}

/// A duration, or that it is not known.
pub(crate) fn known(time: Option<Duration>) -> String {
    time.map_or_else(|| "unknown".to_owned(), span)
}

/// `None` also where the second is before the first: two clocks differ, and nothing is known.
fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<Duration> {
    Duration::try_from(to?.duration_since(from?)).ok()
}

/// What a machine cannot know.
pub(crate) const QUESTIONS: [&str; 6] = [
    "What was the root cause, beyond the stage that noticed it?",
    "Why did the checks before the deployment not notice it?",
    "Who was affected, and what did they see?",
    "What went well, and what was luck?",
    "What would have shortened the time until someone acted?",
    "Has it happened before?",
];

/// What follows, as the runbooks have it.
pub(crate) const ACTIONS: [&str; 6] = [
    "Fix the root cause",
    "Add a test for this failure",
    "Add or tighten the check, probe or alert that should have noticed it",
    "Update the runbook",
    "Plan the redeployment",
    "Hold the post-mortem meeting",
];

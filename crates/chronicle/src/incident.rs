//! The incidents of a history: when each was opened, how bad it is, and what became of it.

use jiff::{SignedDuration, Timestamp};
use sections::incident::{Impact, Severity};

use crate::{Event, Happening, History, IncidentId, Phase, Subject, Writer};

/// An incident as the log tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    pub id: IncidentId,
    /// What it is about; the deployment that caused it, where one did.
    pub subject: Subject,
    pub opened: Timestamp,
    pub opened_by: Writer,
    pub text: String,
    pub severity: Severity,
    /// By which rule it has this severity.
    pub why: String,
    /// The worst that it has been.
    pub worst: Severity,
    pub impact: Impact,
    pub failed_stage: Option<String>,
    /// What is being done, and how long it takes, in milliseconds, where that is known.
    pub action: Option<String>,
    pub eta_ms: Option<u64>,
    pub phase: Phase,
    /// When a person first did something about it.
    pub acknowledged: Option<Timestamp>,
    pub resolution: Option<Resolution>,
    /// The rules under `escalate:` that were applied, by their places.
    pub escalated: Vec<usize>,
    /// The newest text that tells what is going on.
    pub latest: String,
}

/// How an incident ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    pub at: Timestamp,
    pub by: Writer,
    pub text: String,
    pub serving: Option<String>,
}

impl Incident {
    fn opened(event: &Event, id: &IncidentId) -> Option<Incident> {
        let Happening::IncidentOpened {
            severity,
            why,
            text,
            impact,
            failed_stage,
            action,
            eta_ms,
        } = &event.what
        else {
            return None;
        };
        let by_hand = !event.by.automatic;
        Some(Incident {
            id: id.clone(),
            subject: event.subject.clone(),
            opened: event.at,
            opened_by: event.by.clone(),
            text: text.clone(),
            severity: *severity,
            why: why.clone(),
            worst: *severity,
            impact: *impact,
            failed_stage: failed_stage.clone(),
            action: action.clone(),
            eta_ms: *eta_ms,
            phase: Phase::Investigating,
            acknowledged: by_hand.then_some(event.at),
            resolution: None,
            escalated: Vec::new(),
            latest: text.clone(),
        })
    }

    fn learn(&mut self, event: &Event) {
        match &event.what {
            Happening::IncidentUpdated { text, phase } => {
                self.latest.clone_from(text);
                self.phase = phase.unwrap_or(self.phase);
            }
            Happening::SeverityChanged { to, why, .. } => {
                self.severity = *to;
                self.worst = self.worst.max(*to);
                self.why.clone_from(why);
            }
            Happening::Escalated { rule, .. } => self.escalated.push(*rule),
            Happening::IncidentResolved { text, serving } if self.resolution.is_none() => {
                self.latest.clone_from(text);
                self.phase = Phase::Resolved;
                self.resolution = Some(Resolution {
                    at: event.at,
                    by: event.by.clone(),
                    text: text.clone(),
                    serving: serving.clone(),
                });
            }
            _ => {}
        }
        let is_act = event.what.kind().is_some();
        if is_act && !event.by.automatic && self.acknowledged.is_none() {
            self.acknowledged = Some(event.at);
        }
    }

    pub fn is_open(&self) -> bool {
        self.resolution.is_none()
    }

    /// How long it lasted, or has lasted until `now`.
    pub fn lasted(&self, now: Timestamp) -> SignedDuration {
        let end = self.resolution.as_ref().map_or(now, |end| end.at);
        end.duration_since(self.opened).max(SignedDuration::ZERO)
    }

    /// How long it took until a person did something, or has taken until `now`.
    pub fn response(&self, now: Timestamp) -> SignedDuration {
        let end = self.resolution.as_ref().map(|end| end.at);
        let answered = self.acknowledged.or(end).unwrap_or(now);
        answered
            .duration_since(self.opened)
            .max(SignedDuration::ZERO)
    }
}

/// All incidents, the oldest first.
pub fn incidents(history: &History) -> Vec<Incident> {
    let mut incidents: Vec<Incident> = Vec::new();
    for event in history.events() {
        let Some(id) = &event.subject.incident else {
            continue;
        };
        match incidents.iter_mut().find(|one| one.id == *id) {
            Some(incident) => incident.learn(event),
            None => incidents.extend(Incident::opened(event, id)),
        }
    }
    incidents
}

/// The incident that is open: the newest, if there are several.
pub fn open(history: &History) -> Option<Incident> {
    let found = incidents(history);
    found.into_iter().rev().find(Incident::is_open)
}

//! The incidents of a history: when each was opened, how bad it is, and what became of it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use sections::incident::{Impact, Severity};

use crate::{
    AppliedRule, Eta, Event, Happening, History, Hosts, IncidentId, Phase, Subject, Writer,
};

/// An incident as the log tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    pub id: IncidentId,
    /// What it is about; the deployment that caused it, where one did.
    pub subject: Subject,
    /// Where the line that opened it cannot be read: when the first event that can be read was written.
    pub opened: Timestamp,
    pub opened_by: Writer,
    /// The line that opened it cannot be read: what it was, and since when, is not known.
    pub is_opening_unread: bool,
    pub text: String,
    pub severity: Severity,
    /// By which rule it has this severity, or why a person set it.
    pub why: String,
    /// A person set the severity: it holds until another person changes it, or until it is worse than that person knew.
    pub by_hand: bool,
    /// The severity that it was opened with.
    pub opened_as: Severity,
    /// The worst that it has been.
    pub worst: Severity,
    /// Why it was that.
    pub worst_why: String,
    pub impact: Impact,
    /// How many of the hosts have it, where that is known.
    pub hosts: Option<Hosts>,
    pub failed_stage: Option<String>,
    /// What is being done, and how long it takes, where that is known.
    pub action: Option<String>,
    pub eta: Option<Eta>,
    pub phase: Phase,
    /// The newest update that reports that the cause is identified.
    pub identified: Option<String>,
    /// When a person first did something about it.
    pub acknowledged: Option<Timestamp>,
    pub resolution: Option<Resolution>,
    /// The rules under `escalate:` that were applied, with their places.
    pub escalated: Vec<(usize, Option<AppliedRule>)>,
    /// The sinks that were told any of its events.
    pub told: BTreeSet<String>,
    /// Those of them that it was passed on to.
    pub passed_on_to: BTreeSet<String>,
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
    /// What has to be fixed, and when it is deployed again, as the person says who resolved it.
    pub fix: Option<String>,
    pub redeployment: Option<String>,
}

impl Incident {
    fn opened(event: &Event, id: &IncidentId) -> Option<Incident> {
        let Happening::IncidentOpened {
            severity,
            why,
            by_hand,
            text,
            impact,
            hosts,
            failed_stage,
            action,
            eta_ms,
            eta_by,
        } = &event.what
        else {
            return None;
        };
        Some(Incident {
            id: id.clone(),
            subject: event.subject.clone(),
            opened: event.at,
            opened_by: event.by.clone(),
            is_opening_unread: false,
            text: text.clone(),
            severity: *severity,
            why: why.clone(),
            by_hand: *by_hand,
            opened_as: *severity,
            worst: *severity,
            worst_why: why.clone(),
            impact: *impact,
            hosts: *hosts,
            failed_stage: failed_stage.clone(),
            action: action.clone(),
            eta: eta_ms.map(|takes_ms| Eta {
                takes_ms,
                by: *eta_by,
            }),
            phase: Phase::Investigating,
            identified: None,
            // A step that runs `if: failure()` opens one, and no person has seen it yet.
            acknowledged: event.by.is_person().then_some(event.at),
            resolution: None,
            escalated: Vec::new(),
            told: event.sinks.iter().cloned().collect(),
            passed_on_to: BTreeSet::new(),
            latest: text.clone(),
        })
    }

    /// One whose opening cannot be read, by the first of its events that can be: it counts as the worst, so that people
    /// are called.
    fn of_rest(event: &Event, id: &IncidentId) -> Incident {
        let severity = match event.what {
            Happening::SeverityChanged { from, .. } => from,
            _ => Severity::Critical,
        };
        let why = "the line that opened it cannot be read";
        let mut incident = Incident {
            id: id.clone(),
            subject: event.subject.clone(),
            opened: event.at,
            opened_by: Writer {
                actor: "unknown".to_owned(),
                run: None,
                automatic: true,
            },
            is_opening_unread: true,
            text: why.to_owned(),
            severity,
            why: why.to_owned(),
            by_hand: false,
            opened_as: severity,
            worst: severity,
            worst_why: why.to_owned(),
            impact: Impact::Unknown,
            hosts: None,
            failed_stage: None,
            action: None,
            eta: None,
            phase: Phase::Investigating,
            identified: None,
            acknowledged: None,
            resolution: None,
            escalated: Vec::new(),
            told: BTreeSet::new(),
            passed_on_to: BTreeSet::new(),
            latest: why.to_owned(),
        };
        incident.learn(event);
        incident
    }

    /// The incident once these events are written, too.
    #[must_use]
    pub fn after(mut self, events: &[Event]) -> Incident {
        for event in events {
            if event.subject.incident.as_ref() == Some(&self.id) {
                self.learn(event);
            }
        }
        self
    }

    fn learn(&mut self, event: &Event) {
        self.told.extend(event.sinks.iter().cloned());
        match &event.what {
            Happening::IncidentUpdated {
                text,
                phase,
                impact,
                hosts,
                action,
            } => {
                self.latest.clone_from(text);
                // Who opened it may not have known of which release it was.
                let release = &event.subject.release;
                self.subject.release = self.subject.release.take().or_else(|| release.clone());
                self.phase = phase.unwrap_or(self.phase);
                if *phase == Some(Phase::Identified) {
                    self.identified = Some(text.clone());
                }
                self.by_hand &= !self.is_worse(*impact, *hosts);
                self.impact = impact.unwrap_or(self.impact);
                self.hosts = hosts.or(self.hosts);
                if action.is_some() {
                    self.action.clone_from(action);
                    // It was the time that the action before would take.
                    self.eta = None;
                }
            }
            Happening::SeverityChanged { to, why, .. } => {
                self.severity = *to;
                self.by_hand = !event.by.automatic;
                if *to >= self.worst {
                    self.worst = *to;
                    self.worst_why.clone_from(why);
                }
                self.why.clone_from(why);
            }
            Happening::Escalated { rule, applied, .. } => {
                self.escalated.push((*rule, applied.clone()));
                self.passed_on_to.extend(event.sinks.iter().cloned());
            }
            Happening::IncidentResolved {
                text,
                serving,
                fix,
                redeployment,
            } if self.resolution.is_none() => {
                self.latest.clone_from(text);
                self.phase = Phase::Resolved;
                self.resolution = Some(Resolution {
                    at: event.at,
                    by: event.by.clone(),
                    text: text.clone(),
                    serving: serving.clone(),
                    fix: fix.clone(),
                    redeployment: redeployment.clone(),
                });
            }
            _ => {}
        }
        let is_act = event.what.kind().is_some();
        if is_act && event.by.is_person() && self.acknowledged.is_none() {
            self.acknowledged = Some(event.at);
        }
    }

    /// Whether users, or more of the hosts, fare worse than is known.
    pub fn is_worse(&self, impact: Option<Impact>, hosts: Option<Hosts>) -> bool {
        let known = self.hosts.map_or(0, |known| known.affected);
        impact.is_some_and(|impact| impact.is_worse_than(self.impact))
            || hosts.is_some_and(|hosts| hosts.affected > known)
    }

    pub fn is_open(&self) -> bool {
        self.resolution.is_none()
    }

    /// How long it lasted, or has lasted until `now`; negative where clocks disagree.
    pub fn lasted(&self, now: Timestamp) -> SignedDuration {
        let end = self.resolution.as_ref().map_or(now, |end| end.at);
        end.duration_since(self.opened)
    }

    /// How long it took until a person did something, or has taken until `now`; negative where clocks disagree.
    pub fn response(&self, now: Timestamp) -> SignedDuration {
        let end = self.resolution.as_ref().map(|end| end.at);
        let answered = self.acknowledged.or(end).unwrap_or(now);
        answered.duration_since(self.opened)
    }
}

/// All incidents, the oldest first. One is known by its other events where a line cannot be read, which opened it then;
/// only the whole log shows that none of its lines that can be read did.
pub fn incidents(history: &History) -> Vec<Incident> {
    let may_be_unread = !history.unread().is_empty() && !history.is_cut();
    let mut incidents: Vec<Incident> = Vec::new();
    for event in history.events() {
        let Some(id) = &event.subject.incident else {
            continue;
        };
        if let Some(incident) = incidents.iter_mut().find(|one| one.id == *id) {
            incident.learn(event);
        } else {
            let rest = || may_be_unread.then(|| Incident::of_rest(event, id));
            incidents.extend(Incident::opened(event, id).or_else(rest));
        }
    }
    incidents
}

/// Incidents of several environments are open, and which of them is meant is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("incidents are open in several environments: {}", .0.join(", "))]
pub struct Several(pub Vec<String>);

/// The incident that is open in exactly this environment, the newest if there are several. Without a name it is one
/// that names none, because what goes well in one environment tells nothing of an incident elsewhere.
pub fn open_in(history: &History, environment: Option<&str>) -> Option<Incident> {
    let is_there = |one: &Incident| one.subject.environment.as_deref() == environment;
    let mut all = incidents(history).into_iter().rev();
    all.find(|one| one.is_open() && is_there(one))
}

/// The incident that a person means who names this environment, or none: the one that is open there, else the newest
/// of those that are open.
///
/// # Errors
/// Returns the environments where the incidents of more than one are open: only a command that names none sees those.
pub fn open(history: &History, environment: Option<&str>) -> Result<Option<Incident>, Several> {
    if let Some(incident) = open_in(history, environment) {
        return Ok(Some(incident));
    }
    let mut found = incidents(history);
    found.retain(Incident::is_open);
    let named = found.iter().map(|one| &one.subject.environment);
    let environments: BTreeSet<&str> = named.filter_map(Option::as_deref).collect();
    if environments.len() > 1 {
        return Err(Several(
            environments.into_iter().map(str::to_owned).collect(),
        ));
    }
    Ok(found.pop())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{SampleHistory, note, opened, resolved, second};

    fn open_id(past: &SampleHistory) -> Option<IncidentId> {
        open(&past.history(), None).expect("one").map(|one| one.id)
    }

    #[test]
    fn an_incident_is_opened_and_resolved_once() {
        let mut past = SampleHistory::new();
        past.about(Some("d1"), None);
        let id = past.open(Severity::High);
        assert_eq!(open_id(&past), Some(id.clone()));
        past.add(resolved("rolled back"));
        past.add(resolved("again"));
        let all = incidents(&past.history());
        assert_eq!(all.len(), 1);
        let end = all[0].resolution.as_ref();
        assert_eq!(end.map(|end| end.text.as_str()), Some("rolled back"));
        assert_eq!(end.and_then(|end| end.serving.as_deref()), Some("v1"));
        assert_eq!((all[0].phase, all[0].is_open()), (Phase::Resolved, false));
        assert_eq!(all[0].lasted(second(99)), SignedDuration::from_secs(1));
        assert_eq!(open_id(&past), None);
    }

    #[test]
    fn of_two_open_incidents_the_newest_is_the_open_one() {
        let mut past = SampleHistory::new();
        past.about(None, None);
        let first = past.open(Severity::Low);
        past.about(None, None);
        let second = past.open(Severity::High);
        assert_eq!(incidents(&past.history()).len(), 2);
        assert_eq!(open_id(&past), Some(second));
        past.add(resolved("done"));
        assert_eq!(open_id(&past), Some(first));
    }

    #[test]
    fn of_open_incidents_of_two_environments_none_is_the_open_one() {
        let mut past = SampleHistory::new();
        for environment in ["staging", "production"] {
            past.about(None, None);
            past.environment(environment);
            past.open(Severity::High);
        }
        let told = open(&past.history(), None).map_err(|several| several.to_string());
        let expected = "incidents are open in several environments: production, staging";
        assert_eq!(told, Err(expected.to_owned()));
        past.add(resolved("done"));
        let left = open(&past.history(), None);
        let left = left.map(|one| one.and_then(|one| one.subject.environment));
        assert_eq!(left, Ok(Some("staging".to_owned())));
    }

    #[test]
    fn an_incident_that_names_no_environment_is_open_in_none_and_a_person_can_mean_it() {
        let mut past = SampleHistory::new();
        past.about(None, None);
        let nameless = past.open(Severity::Critical);
        let history = past.history();
        assert_eq!(open_in(&history, Some("staging")), None);
        let of = |one: Option<Incident>| one.map(|one| one.id);
        assert_eq!(of(open_in(&history, None)), Some(nameless.clone()));
        let meant = open(&history, Some("staging")).expect("one");
        assert_eq!(of(meant), Some(nameless.clone()));

        past.about(None, None);
        past.environment("staging");
        let staging = past.open(Severity::Low);
        let history = past.history();
        assert_eq!(of(open_in(&history, Some("staging"))), Some(staging));
        // Both are seen by who names none.
        assert_eq!(of(open(&history, None).expect("one")), Some(nameless));
    }

    #[test]
    fn a_second_opening_of_the_same_incident_changes_nothing_of_it() {
        let mut past = SampleHistory::new();
        past.open(Severity::Low);
        past.add(opened(Severity::Critical));
        let all = incidents(&past.history());
        assert_eq!((all.len(), all[0].severity), (1, Severity::Low));
    }

    #[test]
    fn the_severity_is_the_newest_and_the_worst_is_kept() {
        let mut past = SampleHistory::new();
        past.open(Severity::High);
        for (from, to) in [
            (Severity::High, Severity::Critical),
            (Severity::Critical, Severity::Low),
        ] {
            past.add(Happening::SeverityChanged {
                from,
                to,
                why: format!("now {to}"),
            });
        }
        let all = incidents(&past.history());
        assert_eq!(all[0].severity, Severity::Low);
        assert_eq!(all[0].worst, Severity::Critical);
        assert_eq!(all[0].why, "now low");
        assert_eq!(all[0].worst_why, "now critical");
    }

    #[test]
    fn a_person_acknowledges_by_any_act_and_a_stage_by_none() {
        let mut past = SampleHistory::new();
        past.open(Severity::High);
        past.add(note("by a stage"));
        let of = |past: &SampleHistory| incidents(&past.history()).remove(0);
        assert_eq!(of(&past).acknowledged, None);
        assert_eq!(of(&past).response(second(9)), SignedDuration::from_secs(9));
        past.by(Some("ann"));
        past.add(note("I look at it"));
        past.add(note("still"));
        assert_eq!(of(&past).acknowledged, Some(second(2)));
        assert_eq!(of(&past).response(second(9)), SignedDuration::from_secs(2));

        let mut by_hand = SampleHistory::new();
        by_hand.by(Some("ann"));
        by_hand.open(Severity::High);
        assert_eq!(of(&by_hand).acknowledged, Some(second(0)));

        // A step of a workflow opens it, and a person takes it up.
        for event in &mut by_hand.events {
            event.by.run = Some("77/1".to_owned());
        }
        assert_eq!(of(&by_hand).acknowledged, None);
        by_hand.add(note("a step writes it"));
        by_hand.events[1].by.run = Some("77/1".to_owned());
        assert_eq!(of(&by_hand).acknowledged, None);
        by_hand.add(note("mine"));
        assert_eq!(of(&by_hand).acknowledged, Some(second(2)));
    }

    #[test]
    fn an_update_without_a_phase_keeps_the_phase() {
        let mut past = SampleHistory::new();
        past.open(Severity::High);
        for (text, phase) in [("found", Some(Phase::Identified)), ("later", None)] {
            past.add(Happening::IncidentUpdated {
                text: text.to_owned(),
                phase,
                impact: None,
                hosts: None,
                action: None,
            });
        }
        let all = incidents(&past.history());
        assert_eq!(
            (all[0].phase, all[0].latest.as_str()),
            (Phase::Identified, "later")
        );
        assert_eq!(all[0].identified.as_deref(), Some("found"));
    }

    #[test]
    fn a_severity_by_hand_holds_until_it_is_worse_than_the_person_knew() {
        let mut past = SampleHistory::new();
        past.open(Severity::High);
        past.by(Some("ann"));
        past.add(Happening::SeverityChanged {
            from: Severity::High,
            to: Severity::Low,
            why: "a test account only".to_owned(),
        });
        let of = |past: &SampleHistory| incidents(&past.history()).remove(0);
        assert!(of(&past).by_hand);
        past.by(None);
        let affected = |count| Hosts {
            affected: count,
            all: 12,
        };
        for (impact, hosts, holds) in [
            (None, None, true),
            // It was down when it was opened.
            (Some(Impact::Degraded), None, true),
            (Some(Impact::Down), Some(affected(2)), false),
        ] {
            past.add(Happening::IncidentUpdated {
                text: "later".to_owned(),
                phase: None,
                impact,
                hosts,
                action: None,
            });
            assert_eq!(of(&past).by_hand, holds, "{impact:?}");
        }
        assert_eq!(of(&past).hosts, Some(affected(2)));
        past.add(Happening::SeverityChanged {
            from: Severity::Low,
            to: Severity::High,
            why: "a rule".to_owned(),
        });
        assert!(!of(&past).by_hand);
    }

    #[test]
    fn what_is_about_an_incident_that_the_log_did_not_open_is_none() {
        let mut past = SampleHistory::new();
        let id = SampleHistory::new().open(Severity::High);
        past.about(None, Some(&id));
        past.add(resolved("of what?"));
        assert_eq!(incidents(&past.history()), []);
    }
}

//! One event, as a line of the log.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use model::Verdict;
use model::incident::Phase;
use model::outcome::Requests;
use sections::incident::{EventKind, Impact, Severity};
use serde::{Deserialize, Serialize};
use state::Holder;

use crate::Exposure;

/// The format of the lines that this build writes; each line names it, because builds may take turns.
pub const SCHEMA: &str = "deploy-guard/event/v1";

/// What names an event: unique, and sorted by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(String);

impl EventId {
    /// A new one: milliseconds since 1970 in hexadecimal, and a random number.
    pub fn new(at: Timestamp) -> EventId {
        let millis = at.as_millisecond().max(0);
        EventId(format!("{millis:011x}{:016x}", rand::random::<u64>()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What names an incident: short enough to be said aloud.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(String);

impl IncidentId {
    /// That of the incident that this event opens.
    pub fn of(event: &EventId) -> IncidentId {
        let id = event.as_str();
        IncidentId(format!("inc-{}", &id[id.len().saturating_sub(8)..]))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// [`SCHEMA`].
    pub schema: String,
    pub id: EventId,
    pub at: Timestamp,
    #[serde(flatten)]
    pub subject: Subject,
    pub by: Writer,
    /// What shows that it is so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The names of the sinks that must hear it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<String>,
    #[serde(flatten)]
    pub what: Happening,
}

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The same for all events of one deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Sinks show the incident by itself, and not with the deployment that it is about: the deployment's own run did not
    /// open it, or opened another one before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub apart: bool,
}

/// Who wrote it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Writer {
    /// A person, or what acted for one.
    pub actor: String,
    /// The workflow run and its attempt: `123/1`. `None` on a laptop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Written by a stage on its own, and not because a person told it to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
}

impl Writer {
    /// Whether a person acted: a step of a workflow is none, whoever started it.
    pub fn is_person(&self) -> bool {
        !self.automatic && self.run.is_none()
    }
}

/// Where it can be seen that an event is true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// A report's file.
    Report(String),
    /// A journal beside the state.
    Journal(String),
    /// A page, such as the workflow run's.
    Url(String),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Happening {
    /// `deploy-guard run` began to deploy.
    DeploymentStarted {
        /// The release that was good before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<String>,
        /// When its commit was made, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        committed_at: Option<Timestamp>,
    },
    /// A stage reported its verdict.
    StageEnded {
        stage: String,
        verdict: Verdict,
        reason: String,
        /// The next step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// What users get, where the stage looked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        impact: Option<Impact>,
        /// The release that it put back, by proof.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restored: Option<String>,
        /// A signal asked it to stop.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cancelled: bool,
        /// It finished a rollback that was interrupted.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        resumed: bool,
        started_at: Timestamp,
        duration_ms: u64,
        /// What the release served while the stage compared it with the one before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counted: Option<Requests>,
        /// The hosts that do not have what they should, where the stage looked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hosts: Option<Hosts>,
        /// Measurements of the gate that failed, whatever its verdict is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retries: Option<u64>,
    },
    /// A deployment came to an end.
    DeploymentEnded {
        conclusion: Conclusion,
        reason: String,
        started_at: Timestamp,
        duration_ms: u64,
        /// The stage that did not pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed_stage: Option<String>,
        /// The first evidence that it was bad.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed_at: Option<Timestamp>,
        /// What serves now, as far as it was proved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serving: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rollback: Option<RolledBack>,
        /// What the release served until it was gone, or until then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exposure: Option<Exposure>,
    },
    /// It was asked what a bad release served.
    ExposureMeasured {
        /// `None`: it is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exposure: Option<Exposure>,
        /// Why it is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unknown: Option<String>,
    },
    IncidentOpened {
        severity: Severity,
        /// By which rule it has this severity, or why a person set it.
        why: String,
        /// A person set the severity in the place of the rules.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_hand: bool,
        text: String,
        impact: Impact,
        /// How many of the hosts have it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hosts: Option<Hosts>,
        /// The stage of the deployment that did not pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed_stage: Option<String>,
        /// What is being done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<String>,
        /// How long that takes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        eta_ms: Option<u64>,
        /// How that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        eta_by: Option<EtaBy>,
    },
    IncidentUpdated {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase: Option<Phase>,
        /// What users get by now, where that changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        impact: Option<Impact>,
        /// How many of the hosts have it by now, where that changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hosts: Option<Hosts>,
        /// What is being done by now, where that changed: what people were told of it holds no more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<String>,
    },
    Note {
        text: String,
    },
    SeverityChanged {
        from: Severity,
        to: Severity,
        why: String,
    },
    /// It was not resolved, or not acknowledged, in time.
    Escalated {
        /// The rule's place under `escalate:`, from 0: by it one is known where nothing else tells it.
        rule: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        applied: Option<AppliedRule>,
        text: String,
    },
    IncidentResolved {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serving: Option<String>,
        /// What a person says has to be fixed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fix: Option<String>,
        /// When a person says it is deployed again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redeployment: Option<String>,
    },
    /// A process is about to tell sinks of events.
    Claimed {
        deliveries: Vec<Delivery>,
        holder: Holder,
        /// After this another process may take over.
        until: Timestamp,
    },
    /// Claimed deliveries that were not attempted after all.
    Released {
        deliveries: Vec<Delivery>,
        /// The event by which they were claimed: another process may have claimed them since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claim: Option<EventId>,
    },
    /// A person decided that these are not made any more.
    GivenUp {
        deliveries: Vec<Delivery>,
    },
    /// A sink was told.
    Delivered {
        delivery: Delivery,
        /// What the sink calls it: a message, an issue.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<serde_json::Value>,
    },
    /// A sink was not told.
    Undelivered {
        delivery: Delivery,
        /// The event by which it was claimed: another process may have claimed it since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claim: Option<EventId>,
        #[serde(flatten)]
        how: Undelivered,
    },
}

impl Happening {
    /// What a filter calls it; `None` where no sink ever hears it.
    pub fn kind(&self) -> Option<EventKind> {
        Some(match self {
            Happening::DeploymentStarted { .. } => EventKind::DeploymentStarted,
            Happening::StageEnded { .. } => EventKind::StageEnded,
            Happening::DeploymentEnded { .. } => EventKind::DeploymentEnded,
            Happening::ExposureMeasured { .. } => EventKind::ExposureMeasured,
            Happening::IncidentOpened { .. } => EventKind::IncidentOpened,
            Happening::IncidentUpdated { .. } => EventKind::IncidentUpdated,
            Happening::Note { .. } => EventKind::Note,
            Happening::SeverityChanged { .. } => EventKind::SeverityChanged,
            Happening::Escalated { .. } => EventKind::Escalated,
            Happening::IncidentResolved { .. } => EventKind::IncidentResolved,
            Happening::Claimed { .. }
            | Happening::Released { .. }
            | Happening::GivenUp { .. }
            | Happening::Delivered { .. }
            | Happening::Undelivered { .. } => return None,
        })
    }
}

/// A rule under `escalate:` by what it is: others may come before it, and each environment has its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedRule {
    pub after_ms: u64,
    /// The sinks that it names.
    pub to: Vec<String>,
}

/// An event for a sink.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Delivery {
    pub event: EventId,
    pub sink: String,
}

/// Why a sink was not told, and what follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undelivered {
    pub reason: String,
    /// The next step, where a person must change something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// It was sent, and whether it arrived is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsure: bool,
    /// The sink will not take it: it is tried again only when a person asks for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// Not to be tried again before: the sink asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// What the attempt left at the sink all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<serde_json::Value>,
}

/// How a deployment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    Succeeded,
    /// It was not taken back, or could not be.
    Failed,
    RolledBack,
    /// Nothing was deployed.
    Refused,
    Cancelled,
    /// Its gate did not decide, and it was left as it was.
    Undecided,
}

impl Conclusion {
    /// In a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Conclusion::Succeeded => "succeeded",
            Conclusion::Failed => "failed",
            Conclusion::RolledBack => "rolled back",
            Conclusion::Refused => "not deployed",
            Conclusion::Cancelled => "cancelled",
            Conclusion::Undecided => "undecided",
        }
    }
}

/// A rollback within a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    pub started_at: Timestamp,
    pub duration_ms: u64,
    pub verdict: Verdict,
}

impl RolledBack {
    /// The rollback that was begun here, and that `rest` finished.
    pub fn finished_by(self, rest: RolledBack) -> RolledBack {
        let whole = rest.ended().map(|at| at.duration_since(self.started_at));
        let whole = whole.and_then(|time| u64::try_from(time.as_millis()).ok());
        RolledBack {
            started_at: self.started_at,
            duration_ms: whole.unwrap_or(rest.duration_ms),
            verdict: rest.verdict,
        }
    }

    /// `None` where a damaged line tells of a time that does not exist.
    pub fn ended(&self) -> Option<Timestamp> {
        let took = i64::try_from(self.duration_ms).unwrap_or(i64::MAX);
        let took = SignedDuration::from_millis(took);
        self.started_at.checked_add(took).ok()
    }
}

/// How an ETA is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EtaBy {
    /// The way to the same release was rehearsed.
    Rehearsal,
    /// The last rollback that worked took so long.
    Rollback,
}

/// The hosts that are affected, of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosts {
    pub affected: usize,
    pub all: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{
        SampleHistory, claimed, exposure, note, opened, resolved, second, started, to,
    };

    /// One of each, with every field that it may have.
    #[expect(clippy::too_many_lines, reason = "one of each kind")]
    fn all() -> Vec<Happening> {
        let delivery = to(&EventId::new(second(0)), "chat");
        let text = || "some text".to_owned();
        let reference = Some(serde_json::json!({"kind": "message", "reason": 1}));
        vec![
            started(),
            Happening::StageEnded {
                stage: text(),
                verdict: Verdict::Fail,
                reason: text(),
                hint: Some(text()),
                impact: Some(Impact::Down),
                restored: Some(text()),
                cancelled: true,
                resumed: true,
                started_at: second(1),
                duration_ms: 7,
                counted: Some(exposure().counts()),
                hosts: Some(Hosts {
                    affected: 1,
                    all: 3,
                }),
                retries: Some(3),
            },
            Happening::DeploymentEnded {
                conclusion: Conclusion::RolledBack,
                reason: text(),
                started_at: second(1),
                duration_ms: 7,
                failed_stage: Some(text()),
                failed_at: Some(second(2)),
                serving: Some(text()),
                rollback: Some(RolledBack {
                    started_at: second(3),
                    duration_ms: 8,
                    verdict: Verdict::Pass,
                }),
                exposure: Some(exposure()),
            },
            Happening::ExposureMeasured {
                exposure: Some(exposure()),
                unknown: Some(text()),
            },
            Happening::IncidentOpened {
                severity: Severity::High,
                why: text(),
                by_hand: true,
                text: text(),
                impact: Impact::Degraded,
                hosts: Some(Hosts {
                    affected: 1,
                    all: 3,
                }),
                failed_stage: Some(text()),
                action: Some(text()),
                eta_ms: Some(5),
                eta_by: Some(EtaBy::Rehearsal),
            },
            Happening::IncidentUpdated {
                text: text(),
                phase: Some(Phase::Monitoring),
                impact: Some(Impact::Down),
                hosts: Some(Hosts {
                    affected: 2,
                    all: 3,
                }),
                action: Some(text()),
            },
            note("a note"),
            Happening::SeverityChanged {
                from: Severity::Low,
                to: Severity::Critical,
                why: text(),
            },
            Happening::Escalated {
                rule: 2,
                applied: Some(AppliedRule {
                    after_ms: 900_000,
                    to: vec!["page".to_owned()],
                }),
                text: text(),
            },
            resolved("done"),
            claimed(
                std::slice::from_ref(&delivery),
                &Holder::this_process(Some("1".to_owned()), Some(2)),
                second(9),
            ),
            Happening::Released {
                deliveries: vec![delivery.clone()],
                claim: Some(delivery.event.clone()),
            },
            Happening::GivenUp {
                deliveries: vec![delivery.clone()],
            },
            Happening::Delivered {
                delivery: delivery.clone(),
                reference: reference.clone(),
            },
            Happening::Undelivered {
                claim: Some(delivery.event.clone()),
                delivery,
                how: Undelivered {
                    reason: text(),
                    hint: Some(text()),
                    unsure: true,
                    refused: true,
                    not_before: Some(second(4)),
                    reference,
                },
            },
        ]
    }

    /// How many keys it has as an object of its own, its kind among them.
    fn keys(value: &serde_json::Value) -> usize {
        value.as_object().map_or(0, serde_json::Map::len)
    }

    #[test]
    fn every_event_is_read_back_as_it_was_written() {
        let mut past = SampleHistory::new();
        let id = IncidentId::of(&EventId::new(second(0)));
        past.about(Some("d1"), Some(&id));
        for what in all() {
            past.record(what, &["chat"]);
        }
        for event in &mut past.events {
            event.subject.environment = Some("live".to_owned());
            event.by.run = Some("1/1".to_owned());
            event.evidence = vec![Evidence::Url("https://ci.example/1".to_owned())];
        }
        let kinds: std::collections::BTreeSet<String> = past
            .events
            .iter()
            .map(|event| {
                let line = serde_json::to_string(event).expect("it can be written");
                assert!(!line.contains('\n'));
                let back: Event = serde_json::from_str(&line).expect("it can be read");
                assert_eq!(back, *event);
                let value = serde_json::to_value(event).expect("it can be written");
                value["kind"].as_str().unwrap_or_default().to_owned()
            })
            .collect();
        assert_eq!(kinds.len(), all().len(), "{kinds:?}");
    }

    #[test]
    fn no_field_of_what_happened_hides_one_of_the_event() {
        let mut past = SampleHistory::new();
        let id = IncidentId::of(&EventId::new(second(0)));
        past.about(Some("d1"), Some(&id));
        for what in all() {
            past.record(what, &["chat"]);
        }
        for mut event in past.events {
            event.subject.environment = Some("live".to_owned());
            event.evidence = vec![Evidence::Report("report.json".to_owned())];
            let own = serde_json::to_value(&event.what).expect("it can be written");
            let subject = serde_json::to_value(&event.subject).expect("it can be written");
            let whole = serde_json::to_value(&event).expect("it can be written");
            // schema, id, at, by, evidence, sinks
            assert_eq!(keys(&whole), 6 + keys(&own) + keys(&subject), "{whole:#}");
        }
    }

    #[test]
    fn the_names_of_events_sort_by_time_and_those_of_incidents_are_short() {
        let [early, late] = [second(0), second(1)].map(EventId::new);
        assert!(early < late);
        assert_ne!(EventId::new(second(0)), EventId::new(second(0)));
        let id = IncidentId::of(&early);
        assert_eq!(id.as_str().len(), 12);
        assert!(early.as_str().ends_with(&id.as_str()[4..]));
    }

    #[test]
    fn what_only_sinks_and_processes_need_is_told_to_no_sink() {
        let told = all().iter().filter(|what| what.kind().is_some()).count();
        assert_eq!((told, all().len()), (10, 15));
        assert!(opened(Severity::Low).kind().is_some());
    }

    #[test]
    fn no_text_of_an_event_keeps_a_secret_or_grows_without_bound() {
        let secret = "canary-7c1f9e2a44b0";
        let env = model::Env::from_iter([("KEY".to_owned(), secret.to_owned())]);
        let redactor = model::Redactor::new(env.secret("KEY"));
        for what in all() {
            let text = serde_json::to_string(&what).expect("it can be written");
            let long = format!("some text {secret} {}", "x".repeat(20_000));
            let text = text.replace("some text", &long);
            let what: Happening = serde_json::from_str(&text).expect("it can be read");
            let mut past = SampleHistory::new();
            past.add(what);
            let mut event = past.events.remove(0);
            event.subject.release = Some(secret.to_owned());
            event.by.actor = secret.repeat(100);
            event.evidence = vec![Evidence::Url(format!("https://x/?key={secret}")); 50];
            let event = event.redacted(&redactor);
            let line = serde_json::to_string(&event).expect("it can be written");
            assert!(!line.contains(secret), "{line}");
            assert!(line.len() < 40_000, "{}", line.len());
            assert_eq!(event.evidence.len(), 20);
        }
    }
}

//! Events as tests write them: one each second.

use jiff::Timestamp;
use model::outcome::Requests;
use sections::incident::{Impact, Severity};
use state::Holder;

use crate::{
    Conclusion, CountBound, Delivery, Event, EventId, Exposure, Happening, History, IncidentId,
    SCHEMA, Slice, Source, Subject, Undelivered, Writer,
};

/// A history that grows by an event each second.
#[derive(Clone)]
pub(crate) struct SampleHistory {
    pub(crate) events: Vec<Event>,
    subject: Subject,
    person: Option<&'static str>,
}

pub(crate) fn second(n: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + n).unwrap_or_default()
}

impl SampleHistory {
    pub(crate) fn new() -> SampleHistory {
        SampleHistory {
            events: Vec::new(),
            subject: Subject::default(),
            person: None,
        }
    }

    /// What the following events are about: a deployment, and an incident.
    pub(crate) fn about(&mut self, deployment: Option<&str>, incident: Option<&IncidentId>) {
        self.subject = Subject {
            service: Some("shop".to_owned()),
            environment: None,
            release: Some("v2".to_owned()),
            deployment: deployment.map(str::to_owned),
            incident: incident.cloned(),
            apart: false,
        };
    }

    /// The release that the following events are about.
    pub(crate) fn release(&mut self, release: &str) {
        self.subject.release = Some(release.to_owned());
    }

    /// The environment that the following events are of.
    pub(crate) fn environment(&mut self, environment: &str) {
        self.subject.environment = Some(environment.to_owned());
    }

    /// Sinks show the following events by their incident alone.
    pub(crate) fn apart(&mut self) {
        self.subject.apart = true;
    }

    /// Who writes the following events; `None`: a stage.
    pub(crate) fn by(&mut self, person: Option<&'static str>) {
        self.person = person;
    }

    pub(crate) fn add(&mut self, what: Happening) -> EventId {
        self.record(what, &[])
    }

    /// One that these sinks must hear.
    pub(crate) fn record(&mut self, what: Happening, sinks: &[&str]) -> EventId {
        let at = second(i64::try_from(self.events.len()).unwrap_or_default());
        let id = EventId::new(at);
        self.events.push(Event {
            schema: SCHEMA.to_owned(),
            id: id.clone(),
            at,
            subject: self.subject.clone(),
            by: Writer {
                actor: self.person.unwrap_or("run").to_owned(),
                run: None,
                automatic: self.person.is_none(),
            },
            evidence: Vec::new(),
            sinks: sinks.iter().map(|sink| (*sink).to_owned()).collect(),
            what,
        });
        id
    }

    /// Opens an incident, and goes on about it.
    pub(crate) fn open(&mut self, severity: Severity) -> IncidentId {
        let id = self.add(opened(severity));
        let incident = IncidentId::of(&id);
        self.subject.incident = Some(incident.clone());
        if let Some(event) = self.events.last_mut() {
            event.subject.incident = Some(incident.clone());
        }
        incident
    }

    pub(crate) fn history(&self) -> History {
        History::of(self.events.clone())
    }
}

pub(crate) fn opened(severity: Severity) -> Happening {
    Happening::IncidentOpened {
        severity,
        why: "a rule".to_owned(),
        by_hand: false,
        text: "v2 failed".to_owned(),
        impact: Impact::Down,
        hosts: None,
        failed_stage: Some("healthgate".to_owned()),
        action: None,
        eta_ms: None,
        eta_by: None,
    }
}

pub(crate) fn resolved(text: &str) -> Happening {
    Happening::IncidentResolved {
        text: text.to_owned(),
        serving: Some("v1".to_owned()),
        fix: None,
        redeployment: None,
    }
}

pub(crate) fn note(text: &str) -> Happening {
    Happening::Note {
        text: text.to_owned(),
    }
}

pub(crate) fn started() -> Happening {
    Happening::DeploymentStarted {
        previous: Some("v1".to_owned()),
        committed_at: Some(second(-100)),
    }
}

pub(crate) fn ended(conclusion: Conclusion) -> Happening {
    Happening::DeploymentEnded {
        conclusion,
        reason: "because".to_owned(),
        started_at: second(0),
        duration_ms: 1,
        failed_stage: None,
        failed_at: None,
        serving: None,
        rollback: None,
        exposure: None,
    }
}

/// With everything that one may have.
pub(crate) fn exposure() -> Exposure {
    let counts = Requests {
        failed: 2,
        total: 10,
    };
    Exposure {
        failed: 1,
        total: 9,
        bound: CountBound::AtMost(counts),
        source: Source::Prometheus,
        from: Some(second(0)),
        until: Some(second(9)),
        over_time: vec![Slice {
            from: second(0),
            failed: 1,
            total: 9,
            of_all: Some(20),
        }],
    }
}

pub(crate) fn to(event: &EventId, sink: &str) -> Delivery {
    Delivery {
        event: event.clone(),
        sink: sink.to_owned(),
    }
}

pub(crate) fn claimed(deliveries: &[Delivery], holder: &Holder, until: Timestamp) -> Happening {
    Happening::Claimed {
        deliveries: deliveries.to_vec(),
        holder: holder.clone(),
        until,
    }
}

pub(crate) fn undelivered() -> Undelivered {
    Undelivered {
        reason: "busy".to_owned(),
        hint: None,
        unsure: false,
        refused: false,
        not_before: None,
        reference: None,
    }
}

//! What happened around an incident, in the order of time.

use jiff::Timestamp;

use crate::{History, Incident, Record};

/// An event of a timeline.
pub type Entry<'a> = &'a Record;

/// The events of an incident and of the deployment that caused it, by their time and, at the same time, by their
/// order in the log. What was sent to whom is not among them.
pub fn timeline<'a>(history: &'a History, incident: &Incident) -> Vec<Entry<'a>> {
    let deployment = incident.subject.deployment.as_ref();
    let belongs = |record: &&Record| {
        let event = &record.event;
        let is_own = event.subject.incident.as_ref() == Some(&incident.id);
        let is_of_deployment =
            deployment.is_some() && event.subject.deployment.as_ref() == deployment;
        event.what.kind().is_some() && (is_own || is_of_deployment)
    };
    let mut entries: Vec<Entry<'a>> = history.records().iter().filter(belongs).collect();
    entries.sort_by_key(|record| at(record));
    entries
}

fn at(record: &Record) -> Timestamp {
    record.event.at
}

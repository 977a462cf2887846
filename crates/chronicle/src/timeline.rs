//! What happened around an incident, in the order of the log.

use crate::{Event, Happening, History, Incident, Record};

/// An event of a timeline.
pub type Entry<'a> = &'a Record;

/// The events of an incident, those of the deployment that it is about, and every stage and deployment of its service
/// and environment while it was open. They are in the order in which they were written: the clocks of the machines may
/// differ. What was sent to whom is not among them.
pub fn timeline<'a>(history: &'a History, incident: &Incident) -> Vec<Entry<'a>> {
    let owner = incident.subject.owner();
    let deployment = incident.subject.deployment.as_ref();
    let is_own = |event: &Event| event.subject.incident.as_ref() == Some(&incident.id);
    let mut is_open = false;
    let belongs = |record: &&Record| {
        let event = &record.event;
        match &event.what {
            Happening::IncidentOpened { .. } if is_own(event) => is_open = true,
            Happening::IncidentResolved { .. } if is_own(event) => is_open = false,
            _ => {}
        }
        let is_of_deployment =
            deployment.is_some() && event.subject.deployment.as_ref() == deployment;
        let is_meanwhile = is_open && is_work(&event.what);
        let is_of_another = event.subject.incident.is_some() && !is_own(event);
        owner.has(event)
            && event.what.kind().is_some()
            && !is_of_another
            && (is_own(event) || is_of_deployment || is_meanwhile)
    };
    history.records().iter().filter(belongs).collect()
}

/// Whether it is what stages did.
fn is_work(what: &Happening) -> bool {
    matches!(
        what,
        Happening::StageEnded { .. }
            | Happening::DeploymentStarted { .. }
            | Happening::DeploymentEnded { .. }
            | Happening::ExposureMeasured { .. }
    )
}

#[cfg(test)]
mod tests {
    use sections::incident::Severity;

    use super::*;
    use crate::sample::{SampleHistory, ended, note, resolved, second, started};
    use crate::{Conclusion, EventId, incidents};

    fn of_first(past: &SampleHistory) -> Vec<EventId> {
        let history = past.history();
        let incident = incidents(&history).remove(0);
        let entries = timeline(&history, &incident);
        entries.iter().map(|one| one.event.id.clone()).collect()
    }

    #[test]
    fn an_incident_has_its_deployment_and_what_stages_did_while_it_was_open() {
        let mut past = SampleHistory::new();
        past.about(Some("v1#1"), None);
        past.add(started());
        past.add(ended(Conclusion::Succeeded));
        past.about(Some("v2#2"), None);
        let mut expected = vec![past.add(started()), past.add(ended(Conclusion::Succeeded))];
        past.apart();
        let id = past.open(Severity::High);
        expected.extend(past.events.last().map(|event| event.id.clone()));
        past.about(Some("v1#3"), None);
        expected.extend([past.add(started()), past.add(ended(Conclusion::Succeeded))]);
        past.environment("staging");
        past.add(started());
        past.about(None, None);
        past.add(note("of no incident"));
        past.about(Some("v2#2"), Some(&id));
        expected.push(past.add(resolved("done")));
        past.about(Some("v3#4"), None);
        past.add(started());
        // That staging is another one is known where the incident names its environment.
        for event in &mut past.events {
            let environment = &mut event.subject.environment;
            environment.get_or_insert_with(|| "production".to_owned());
        }
        assert_eq!(of_first(&past), expected);
    }

    #[test]
    fn another_incident_of_the_same_deployment_is_not_of_it() {
        let mut past = SampleHistory::new();
        past.about(Some("v2#2"), None);
        past.open(Severity::High);
        past.add(resolved("rolled back"));
        past.about(Some("v2#2"), None);
        past.apart();
        past.open(Severity::High);
        assert_eq!(of_first(&past).len(), 2);
    }

    /// Who opened it has a clock that is five minutes ahead.
    #[test]
    fn the_order_is_that_of_the_log_whatever_the_clocks_say() {
        let mut past = SampleHistory::new();
        past.about(None, None);
        past.open(Severity::High);
        past.add(resolved("done"));
        past.events[0].at = second(300);
        let ids: Vec<EventId> = past.events.iter().map(|event| event.id.clone()).collect();
        assert_eq!(of_first(&past), ids);
    }
}

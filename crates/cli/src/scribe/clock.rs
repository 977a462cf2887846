//! What becomes due by itself: a severity that rises with time, and escalations.

use chronicle::{Event, Happening, History, Incident, incidents};
use jiff::Timestamp;

use super::{Audience, EventWriter};

impl EventWriter<'_> {
    /// Whether an incident may become anything by time alone.
    pub fn is_timed(&self) -> bool {
        let others = self.job.config.incidents.values();
        let mut sections = others.chain([self.section]);
        sections.any(|section| {
            let mut rules = section.severity.iter();
            !section.escalate.is_empty() || rules.any(|rule| rule.after.is_some())
        })
    }

    /// The events that are due now for the incidents that are open, once the events `before` are written. Every stage, and
    /// every command that writes, writes them, so that nothing needs to run all the time.
    pub fn due(&self, history: &History, before: &[Event]) -> Vec<Event> {
        let now = Timestamp::now();
        let known = incidents(history).into_iter();
        let known = known.map(|incident| incident.after(before));
        let open = known.filter(Incident::is_open);
        open.flat_map(|incident| self.due_for(incident, now))
            .collect()
    }

    fn due_for(&self, incident: Incident, now: Timestamp) -> Vec<Event> {
        let mut events: Vec<Event> = self.risen(&incident, now).into_iter().collect();
        let incident = incident.after(&events);
        let section = self.section_of(incident.subject.environment.as_deref());
        for due in chronicle::due(&incident, &section.escalate, now) {
            let sinks = due.applied.to.clone();
            let happening = Happening::Escalated {
                rule: due.rule,
                applied: Some(due.applied),
                text: due.text,
            };
            let subject = incident.subject.clone();
            let mut event = self.event(subject, happening, Audience::of(&incident));
            for sink in sinks {
                if !event.sinks.contains(&sink) {
                    event.sinks.push(sink);
                }
            }
            events.push(event);
        }
        events
    }

    /// The event that an open incident is more severe by now, where it is.
    fn risen(&self, incident: &Incident, now: Timestamp) -> Option<Event> {
        let environment = incident.subject.environment.as_deref();
        let (section, place) = (self.section_of(environment), self.place(environment));
        let judged = chronicle::escalated_severity(incident, section, place, now)?;
        let worst = incident.worst.max(judged.severity);
        let happening = Happening::SeverityChanged {
            from: incident.severity,
            to: judged.severity,
            why: judged.why,
        };
        let audience = Audience::Open(incident, worst);
        Some(self.event(incident.subject.clone(), happening, audience))
    }
}

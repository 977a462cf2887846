//! What becomes due by itself: a severity that rises with time, and escalations.

use chronicle::{Event, Happening, History, due, incidents, open};
use cli::{Failure, Job};
use jiff::Timestamp;
use model::{Outcome, Report};

use crate::session::{Ask, Session};

/// The events that are due now for the open incident, once the events `before` are written. Every command writes them,
/// so that nothing needs to run all the time.
pub(crate) fn due_events(session: &Session<'_>, history: &History, before: &[Event]) -> Vec<Event> {
    let now = Timestamp::now();
    let Some(incident) = open(history).map(|incident| incident.after(before)) else {
        return Vec::new();
    };
    let scribe = &session.scribe;
    let mut events: Vec<Event> = scribe.risen(&incident, now).into_iter().collect();
    let incident = incident.after(&events);
    for due in due(&incident, &scribe.section.escalate, now) {
        let happening = Happening::Escalated {
            rule: due.rule,
            text: due.text,
        };
        let subject = incident.subject.clone();
        let mut event = scribe.event(subject, happening, Some(incident.worst));
        for sink in due.to {
            if !event.sinks.contains(&sink) {
                event.sinks.push(sink);
            }
        }
        events.push(event);
    }
    events
}

/// Writes down what is due.
pub(crate) async fn tick(session: &Session<'_>) -> Result<Vec<Outcome>, Failure> {
    let mut newest = None;
    let written = session
        .append(|history| {
            let all = incidents(history);
            newest = all.last().map(|incident| incident.id.clone());
            Ok(due_events(session, history, &[]))
        })
        .await?;
    let unknown = match newest {
        // A release that is gone may have been scraped only later.
        Some(id) => session.measure(&id, Ask::WhereItIsGone).await,
        None => None,
    };
    Ok(written.iter().filter_map(told).chain(unknown).collect())
}

/// An event of the clock as an outcome.
fn told(event: &Event) -> Option<Outcome> {
    let subject = event.subject.incident.as_ref()?.to_string();
    Some(match &event.what {
        Happening::SeverityChanged { from, to, why } => {
            Outcome::pass("incident/severity", subject).actual(format!("{from} → {to}: {why}"))
        }
        Happening::Escalated { text, .. } => {
            let to = event.sinks.join(", ");
            Outcome::pass("incident/escalation", subject).actual(format!("{text}; told: {to}"))
        }
        _ => return None,
    })
}

/// One look at the clock, for a scheduled workflow.
pub(crate) async fn watch(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    if job.dry_run {
        let history = session.scribe.history().await?;
        let due = due_events(&session, &history, &[]).len();
        let told = format!("would write {due} events that are due");
        let outcome = Outcome::skipped("incident/clock", "", told);
        return Ok(session.report(vec![outcome]));
    }
    let mut outcomes = tick(&session).await?;
    let history = session.scribe.history().await?;
    let reason = match (open(&history), outcomes.len()) {
        (None, _) => "no incident is open".to_owned(),
        (Some(incident), 0) => format!("{} is open; nothing is due", incident.id),
        (Some(incident), _) => format!("{} is open", incident.id),
    };
    if outcomes.is_empty() {
        outcomes.push(Outcome::pass("incident/clock", "").actual(reason.clone()));
    }
    let mut report = session.report(outcomes);
    report.headline = Some(reason);
    Ok(session.told(report).await)
}

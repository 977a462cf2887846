//! One look at the clock: what is due is written down, and told.

use chronicle::{Event, Happening, Incident, incidents};
use cli::{Failure, Job};
use model::{Outcome, Report};

use crate::session::{ExposureQuery, Session};

/// Writes down what is due.
pub(crate) async fn tick(session: &Session<'_>) -> Result<Vec<Outcome>, Failure> {
    let mut newest = None;
    let written = session
        .append(|history| {
            let all = incidents(history);
            newest = all.last().map(|incident| incident.id.clone());
            Ok(session.scribe.due(history, &[]))
        })
        .await?;
    let unknown = match newest {
        // A release that is gone may have been scraped only later.
        Some(id) => session.measure(&id, ExposureQuery::WhereItIsGone).await,
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
        let due = session.scribe.due(&history, &[]).len();
        let told = format!("would write {due} events that are due");
        let outcome = Outcome::skipped("incident/clock", "", told);
        return Ok(session.report(vec![outcome]));
    }
    let mut outcomes = tick(&session).await?;
    let history = session.scribe.history().await?;
    let all = incidents(&history).into_iter();
    let open: Vec<Incident> = all.filter(Incident::is_open).collect();
    let due = if outcomes.is_empty() {
        "; nothing is due"
    } else {
        ""
    };
    let reason = match &open[..] {
        [] => "no incident is open".to_owned(),
        [incident] => format!("{} is open{due}", incident.id),
        several => format!("{} incidents are open{due}", several.len()),
    };
    if outcomes.is_empty() {
        outcomes.push(Outcome::pass("incident/clock", "").actual(reason.clone()));
    }
    let mut report = session.report(outcomes);
    report.headline = Some(reason);
    Ok(session.told(report).await)
}

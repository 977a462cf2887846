//! One look at the clock: what is due is written down, and told.

use chronicle::{Event, Happening, Incident, incidents};
use cli::scribe::{Delivery, outcome};
use cli::{Failure, Job};
use courier::DeliveryMode;
use model::{Outcome, Report, Severity};

use crate::session::{ExposureQuery, Session};

/// What one look at the clock came to.
pub(crate) struct Tick {
    pub(crate) outcomes: Vec<Outcome>,
    /// Something was due, and is written down: people are still to be told.
    pub(crate) was_due: bool,
}

/// Writes down what is due.
pub(crate) async fn tick(session: &Session<'_>) -> Result<Tick, Failure> {
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
    Ok(Tick {
        outcomes: written
            .iter()
            .filter_map(event_outcome)
            .chain(unknown)
            .collect(),
        was_due: !written.is_empty(),
    })
}

/// An event of the clock as an outcome.
fn event_outcome(event: &Event) -> Option<Outcome> {
    let subject = event.subject.incident.as_ref()?.to_string();
    Some(match &event.what {
        Happening::SeverityChanged { from, to, why } => {
            Outcome::pass("incident/severity", subject).actual(format!("{from} → {to}: {why}"))
        }
        Happening::Escalated { text, .. } => {
            let to = event.sinks.join(", ");
            Outcome::pass("incident/escalation", subject).actual(format!("{text}; it is for {to}"))
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
    let mut outcomes = tick(&session).await?.outcomes;
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
    outcomes.extend(deliver(&session, !open.is_empty()).await?);
    let mut report = session.report_of_whole(outcomes);
    report.headline = Some(reason);
    Ok(report)
}

/// Tells the sinks what they have not heard, also what they refused before: the schedule asks again when a person has
/// corrected it. What waits is no pass, as with `deliver`, unless another process is delivering it. What a sink refuses is
/// for someone to see while an incident is open.
async fn deliver(session: &Session<'_>, is_open: bool) -> Result<Vec<Outcome>, Failure> {
    let until = session.scribe.until();
    let Delivery { told, trouble } = session.scribe.deliver(DeliveryMode::Requested, until).await;
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    let left = told.iter().filter(|one| one.waiting + one.refused > 0);
    let shown = left.map(|one| {
        let is_late = one.waiting > one.elsewhere || (one.refused > 0 && is_open);
        match outcome(one) {
            outcome if is_late => outcome,
            outcome => outcome.severity(Severity::Advisory),
        }
    });
    Ok(shown.collect())
}

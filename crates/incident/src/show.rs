//! Showing the log: the open incident, and all of them.

use std::time::Duration;

use chronicle::{
    CLOCK_HINT, ClockAhead, ClockSkew, Deployment, Event, History, Incident, deliveries,
    deployments, incidents, lasted, next, pending, timeline,
};
use cli::{Failure, Job};
use jiff::{SignedDuration, Timestamp};
use model::incident::{IncidentState, NextEscalation};
use model::report::Table;
use model::text::cut;
use model::{Outcome, Report, Severity as Weight};
use sections::incident::Severity;

use crate::clock;
use crate::session::Session;

/// How soon a person must do something, by the runbooks' table.
pub(crate) fn response_target(severity: Severity) -> SignedDuration {
    match severity {
        Severity::Critical => SignedDuration::from_mins(5),
        Severity::High => SignedDuration::from_mins(15),
        Severity::Medium => SignedDuration::from_hours(1),
        Severity::Low => SignedDuration::from_hours(24),
    }
}

/// The open incident.
pub(crate) async fn status(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let mut outcomes = Vec::new();
    if !job.dry_run {
        let tick = clock::tick(&session).await?;
        outcomes = tick.outcomes;
        // Who asks must not read of a call that no one got.
        if tick.was_due {
            let until = session.scribe.until();
            outcomes.extend(session.scribe.deliver_in_passing(until).await);
        }
    }
    let history = session.scribe.history().await?;
    let now = Timestamp::now();
    let all = incidents(&history);
    let open: Vec<&Incident> = all.iter().filter(|incident| incident.is_open()).collect();
    let headline = match &open[..] {
        [] if !history.unread().is_empty() => "no incident is known to be open".to_owned(),
        [] => "no incident is open".to_owned(),
        [one] => format!(
            "{} is open, {}, for {}: {}",
            one.id,
            one.severity,
            lasted(one.lasted(now)),
            cut(&one.latest, 100)
        ),
        several => format!("{} incidents are open", several.len()),
    };
    if open.is_empty() {
        let place = session.scribe.chronicle.place();
        let last = all
            .last()
            .map_or("no incident was ever open".to_owned(), |last| {
                format!(
                    "the last one was {}, of {}",
                    last.id,
                    last.opened.strftime("%F")
                )
            });
        outcomes.push(Outcome::pass("incident", place).actual(format!("not open; {last}")));
    }
    let deployments = deployments(&history);
    for incident in &open {
        let deployment = deployments
            .iter()
            .rev()
            .find(|one| incident.subject.deployment.as_ref() == Some(&one.id));
        let is_back = deployment.is_some_and(Deployment::is_rolled_back);
        outcomes.extend(state_of(&session, incident, is_back, now));
    }
    let waiting = pending(&history);
    if !waiting.is_empty() {
        let outcome = Outcome::inconclusive("incident/delivery", "").severity(Weight::Advisory);
        outcomes.push(
            outcome
                .expected("every sink has received every event")
                .actual(format!("{} not delivered", waiting.len()))
                .reason(match waiting.len() {
                    1 => "1 delivery waits".to_owned(),
                    count => format!("{count} deliveries wait"),
                })
                .hint("`incident deliver` makes them"),
        );
    }
    let of_open = open.iter().flat_map(|one| timeline(&history, one));
    outcomes.extend(clocks(of_open.map(|record| &record.event), now));
    let mut report = if open.is_empty() {
        session.report_of_whole(outcomes)
    } else {
        session.report(outcomes)
    };
    report.headline = Some(headline);
    report.tables.extend(table(&all, now, Incident::is_open));
    let open = open.into_iter().rev();
    report.incidents = Some(states(&session, &history, open.clone(), now));
    for incident in open.rev() {
        report
            .outputs
            .push(("incident".to_owned(), incident.id.to_string()));
    }
    Ok(report)
}

/// An open incident: that it is open, whether it was answered in time, and what comes next.
/// `is_back`: what was before the bad release serves again, so that no rollback is to come.
fn state_of(
    session: &Session<'_>,
    incident: &Incident,
    is_back: bool,
    now: Timestamp,
) -> Vec<Outcome> {
    let id = &incident.id;
    let about = incident.subject.release.clone().unwrap_or_default();
    let open = Outcome::fail(format!("incident/{id}"), about.clone())
        .severity(Weight::Advisory)
        .expected("resolved")
        .actual(format!("{}, {}", incident.phase.word(), incident.severity))
        .reason(format!(
            "open for {}: {}",
            lasted(incident.lasted(now)),
            cut(&incident.latest, 200)
        ))
        .hint("`incident update TEXT`, `incident resolve TEXT`");
    let way_back = incident.eta.filter(|_| !is_back).map(|eta| {
        Outcome::pass(format!("incident/{id}/eta"), about.clone())
            .severity(Weight::Advisory)
            .actual(format!("a rollback takes {eta}"))
    });
    let target = response_target(incident.severity);
    let response = incident.response(now);
    let within = format!("a person acts within {}", lasted(target));
    let answered = Outcome::new(
        format!("incident/{id}/response"),
        about.clone(),
        if response <= target {
            model::Verdict::Pass
        } else {
            model::Verdict::Fail
        },
    );
    let answered =
        answered
            .severity(Weight::Advisory)
            .expected(within)
            .actual(match incident.acknowledged {
                Some(_) => format!("after {}", lasted(response)),
                None => format!("not yet, after {}", lasted(response)),
            });
    let answered = if response > target {
        answered
            .reason(format!(
                "{} is longer than {}",
                lasted(response),
                lasted(target)
            ))
            .hint("`incident note TEXT` shows that someone works on it")
    } else {
        answered
    };
    let section = session
        .scribe
        .section_of(incident.subject.environment.as_deref());
    let next = next(incident, &section.escalate, now).map(|next| {
        let unless = next.rule.unless.word();
        Outcome::pass(format!("incident/{id}/escalation"), about)
            .severity(Weight::Advisory)
            .actual(format!(
                "{} in {} unless it is {unless}",
                next.rule.to.join(", "),
                lasted(next.at.duration_since(now))
            ))
    });
    let told = [open, answered].into_iter();
    told.chain(way_back).chain(next).collect()
}

/// That the clocks of the writers disagree, with one another or with ours, where they do: every duration between two of
/// them is wrong or not known.
pub(crate) fn clocks<'a>(
    events: impl Iterator<Item = &'a Event> + Clone,
    now: Timestamp,
) -> Option<Outcome> {
    let told = events.filter(|event| event.what.kind().is_some());
    let skew = ClockSkew::of(told.clone()).map(|skew| skew.to_string());
    let ahead = ClockAhead::of(told, now).map(|ahead| ahead.to_string());
    let reasons: Vec<String> = skew.into_iter().chain(ahead).collect();
    if reasons.is_empty() {
        return None;
    }
    let outcome = Outcome::inconclusive("incident/clocks", "").severity(Weight::Advisory);
    let outcome = outcome.expected("events in the order of their times, and none of the future");
    Some(outcome.reason(reasons.join("; ")).hint(CLOCK_HINT))
}

/// All incidents, the newest first.
pub(crate) async fn list(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let history = session.scribe.history().await?;
    let all = incidents(&history);
    let now = Timestamp::now();
    let outcomes = all.iter().rev().map(|incident| {
        let outcome = Outcome::pass(
            format!("incident/{}", incident.id),
            incident.subject.release.clone().unwrap_or_default(),
        );
        let state = match &incident.resolution {
            Some(_) => format!("resolved after {}", lasted(incident.lasted(now))),
            None => format!("open for {}", lasted(incident.lasted(now))),
        };
        outcome.actual(format!(
            "{} {}, {state}: {}",
            incident.opened.strftime("%FT%TZ"),
            incident.severity,
            cut(&incident.latest, 200)
        ))
    });
    let mut outcomes: Vec<Outcome> = outcomes.collect();
    let told = match (all.len(), all.iter().filter(|one| one.is_open()).count()) {
        (0, _) => "no incident was ever open".to_owned(),
        (1, open) => format!("1 incident, {open} of them open"),
        (count, open) => format!("{count} incidents, {open} of them open"),
    };
    if outcomes.is_empty() {
        let place = session.scribe.chronicle.place();
        outcomes.push(Outcome::pass("incident", place).actual(told.clone()));
    }
    outcomes.extend(clocks(history.events(), now));
    let mut report = session.report(outcomes);
    report.headline = Some(told);
    report.tables.extend(table(&all, now, |_| true));
    report.incidents = Some(states(&session, &history, all.iter().rev(), now));
    Ok(report)
}

/// What the report's JSON has of incidents.
fn states<'a>(
    session: &Session<'_>,
    history: &History,
    incidents: impl Iterator<Item = &'a Incident>,
    now: Timestamp,
) -> Vec<IncidentState> {
    let mut told = deliveries(history);
    let rules = |incident: &Incident| {
        let environment = incident.subject.environment.as_deref();
        &session.scribe.section_of(environment).escalate
    };
    let state = |incident: &Incident| IncidentState {
        id: incident.id.to_string(),
        service: incident.subject.service.clone(),
        environment: incident.subject.environment.clone(),
        release: incident.subject.release.clone(),
        deployment: incident.subject.deployment.clone(),
        severity: incident.severity,
        severity_reason: incident.why.clone(),
        phase: incident.phase,
        impact: incident.impact,
        failed_stage: incident.failed_stage.clone(),
        text: incident.text.clone(),
        latest: incident.latest.clone(),
        opened_at: incident.opened,
        opened_by: incident.opened_by.actor.clone(),
        acknowledged_at: incident.acknowledged,
        resolved_at: incident.resolution.as_ref().map(|end| end.at),
        lasted: Duration::try_from(incident.lasted(now)).ok(),
        escalated_to: incident.passed_on_to.iter().cloned().collect(),
        // One whose time has passed is next until a command applies it.
        next_escalation: next(incident, rules(incident), Timestamp::MIN).map(|next| {
            NextEscalation {
                at: next.at,
                to: next.rule.to.clone(),
                unless: next.rule.unless,
            }
        }),
        deliveries: told.remove(&incident.id).unwrap_or_default(),
    };
    incidents.map(state).collect()
}

fn table(all: &[Incident], now: Timestamp, shown: impl Fn(&Incident) -> bool) -> Option<Table> {
    let rows = all.iter().rev().filter(|one| shown(one)).map(|incident| {
        vec![
            incident.id.to_string(),
            incident.opened.strftime("%FT%TZ").to_string(),
            incident.severity.to_string(),
            incident.phase.word().to_owned(),
            incident.subject.release.clone().unwrap_or_default(),
            lasted(incident.lasted(now)),
            cut(&incident.text, 80),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    (!rows.is_empty()).then(|| Table {
        title: "Incidents".to_owned(),
        header: vec![
            "incident", "opened", "severity", "phase", "release", "lasted", "what",
        ],
        rows,
        only_in_summary: false,
    })
}

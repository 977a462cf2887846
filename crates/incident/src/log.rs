//! Writing into the log: open, note, update, resolve.

use std::time::Duration;

use chronicle::{
    Event, Happening, History, Incident, IncidentId, Phase, Situation, Subject, classify, eta,
    open_in, served, serving,
};
use clap::Args;
use cli::scribe::Audience;
use cli::{Failure, Job};
use jiff::Timestamp;
use model::text::cut;
use model::{Outcome, Report};

use crate::session::{ExposureQuery, NAME_ONE, Session, open_one};
use crate::severity::{ByHand, UserImpact};
use crate::words::{self, ParseError};

#[derive(Args, Clone, Debug)]
pub(crate) struct Open {
    /// What happens; `-` reads it from stdin
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
    #[command(flatten)]
    by_hand: ByHand,
    #[command(flatten)]
    seen: UserImpact,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Note {
    /// What is to be written down; `-` reads it from stdin
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Update {
    /// What people should know; `-` reads it from stdin
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
    /// How far it is: investigating, identified, monitoring
    #[arg(long, value_name = "PHASE", value_parser = phase)]
    phase: Option<Phase>,
    #[command(flatten)]
    by_hand: ByHand,
    #[command(flatten)]
    seen: UserImpact,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Resolve {
    /// How it was resolved; `-` reads it from stdin
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
    /// What has to be fixed before it is deployed again
    #[arg(long, value_name = "TEXT")]
    fix: Option<String>,
    /// When it is deployed again
    #[arg(long, value_name = "TEXT")]
    redeployment: Option<String>,
}

fn phase(text: &str) -> Result<Phase, ParseError> {
    let phases = [Phase::Investigating, Phase::Identified, Phase::Monitoring];
    let found = phases.into_iter().find(|phase| phase.word() == text);
    found.ok_or(ParseError(
        "one of investigating, identified, monitoring; `incident resolve TEXT` ends it",
    ))
}

/// Opens an incident. Several people may do so at once: one of them opens it, and what the others write are
/// its first updates.
pub(crate) async fn open(job: &Job, flags: &Open) -> Result<Report, Failure> {
    let text = words::text(&flags.text)?;
    flags.by_hand.check()?;
    let session = Session::open(job)?;
    has_environment(job)?;
    if job.dry_run {
        return Ok(would(&session, "open an incident"));
    }
    let scribe = &session.scribe;
    // An incident is opened also where the state cannot be read.
    let document = scribe.document().await.ok().flatten();
    let events = session
        .append(|history| {
            if let Some(incident) = open_in(history, job.environment.as_deref()) {
                let update = Update {
                    text: Vec::new(),
                    phase: None,
                    by_hand: flags.by_hand.clone(),
                    seen: flags.seen.clone(),
                };
                let mut events = updated(&session, &incident, &text, &update);
                if job.run_name().is_some() {
                    // A step that runs `if: failure()`: no person has seen the incident yet.
                    for event in &mut events {
                        event.by.automatic = true;
                    }
                }
                events.extend(scribe.due(history, &events));
                return Ok(events);
            }
            let now = Timestamp::now();
            let release = job.release.as_deref();
            let impact = flags.seen.impact(history, release, now);
            let hosts = flags.seen.hosts(history, release, now);
            let eta = eta(history, document.as_ref());
            let judged = flags.by_hand.judged().unwrap_or_else(|| {
                let situation = Situation {
                    place: scribe.place(job.environment.as_deref()),
                    impact,
                    lasted: Duration::ZERO,
                    hosts,
                };
                classify(&situation, &scribe.section.severity)
            });
            let happening = Happening::IncidentOpened {
                severity: judged.severity,
                why: judged.why,
                by_hand: flags.by_hand.judged().is_some(),
                text: text.clone(),
                impact,
                hosts,
                failed_stage: None,
                action: None,
                eta_ms: eta.map(|eta| eta.takes_ms),
                eta_by: eta.and_then(|eta| eta.by),
            };
            let audience = Audience::New(judged.severity);
            let mut event = scribe.event_by_hand(about(job, history), happening, audience);
            event.subject.incident = Some(IncidentId::of(&event.id));
            Ok(vec![event])
        })
        .await?;
    let Some(first) = events.first() else {
        return Err(Failure::error("the log took no event").hint("try again"));
    };
    let id = incident_of(first);
    let outcome = Outcome::pass(
        format!("incident/{id}"),
        job.release.clone().unwrap_or_default(),
    );
    let (outcome, headline) = match &first.what {
        Happening::IncidentOpened { severity, why, .. } => (
            outcome.actual(format!("opened, {severity}: {why}")),
            format!("{id} is open, {severity}"),
        ),
        _ => (
            outcome
                .actual("it was open already: the text is its update")
                .hint("`incident status` shows it; `incident resolve TEXT` ends it"),
            format!("{id} was open already; the text is its update"),
        ),
    };
    let mut report = session.report(vec![outcome]);
    report.headline = Some(headline);
    report.outputs.push(("incident".to_owned(), id));
    Ok(session.deliver_with(report).await)
}

/// Writes something down, in the open incident or outside of one.
pub(crate) async fn note(job: &Job, flags: &Note) -> Result<Report, Failure> {
    let text = words::text(&flags.text)?;
    let session = Session::open(job)?;
    if job.dry_run {
        return Ok(would(&session, "write a note"));
    }
    let events = session
        .append(|history| {
            let incident = open_one(job, history)?;
            let (subject, audience) = match &incident {
                Some(incident) => (incident.subject.clone(), Audience::of(incident)),
                None => (job.subject(), Audience::None),
            };
            let happening = Happening::Note { text: text.clone() };
            let scribe = &session.scribe;
            let mut events = vec![scribe.event_by_hand(subject, happening, audience)];
            events.extend(scribe.due(history, &events));
            Ok(events)
        })
        .await?;
    let id = events.first().map(incident_of).unwrap_or_default();
    let said = if id.is_empty() {
        "written down; no incident is open".to_owned()
    } else {
        format!("written down in {id}")
    };
    let mut report = session.report(vec![
        Outcome::pass("incident/note", id).actual(said.clone()),
    ]);
    report.headline = Some(said);
    Ok(session.deliver_with(report).await)
}

/// Tells people how far it is.
pub(crate) async fn update(job: &Job, flags: &Update) -> Result<Report, Failure> {
    let text = words::text(&flags.text)?;
    flags.by_hand.check()?;
    let session = Session::open(job)?;
    if job.dry_run {
        return Ok(would(&session, "write an update"));
    }
    let (mut known, mut own) = (None, 0);
    let written = session
        .append(|history| {
            known = open_one(job, history)?;
            Ok(match &known {
                Some(incident) => {
                    let mut events = updated(&session, incident, &text, flags);
                    own = events.len();
                    events.extend(session.scribe.due(history, &events));
                    events
                }
                None => kept_as_note(&session, history, &text),
            })
        })
        .await?;
    let Some(incident) = known else {
        return Ok(not_open(&session, "an update", &written));
    };
    let id = incident.id.to_string();
    let told = match flags.by_hand.judged() {
        Some(judged) => format!("updated, {}: {}", judged.severity, judged.why),
        None => "updated".to_owned(),
    };
    let outcome = Outcome::pass(format!("incident/{id}"), subject_of(&incident)).actual(told);
    let mut report = session.report(vec![outcome]);
    report.headline = Some(match written.len().saturating_sub(own) {
        0 => format!("{id} is updated"),
        1 => format!("{id} is updated, with one event that was due"),
        due => format!("{id} is updated, with {due} events that were due"),
    });
    let ask = ExposureQuery::WhereItIsGone;
    Ok(session.told_and_measured(report, &incident.id, ask).await)
}

/// Ends the open incident.
pub(crate) async fn resolve(job: &Job, flags: &Resolve) -> Result<Report, Failure> {
    let text = words::text(&flags.text)?;
    let session = Session::open(job)?;
    if job.dry_run {
        return Ok(would(&session, "resolve the open incident"));
    }
    let mut known = None;
    let written = session
        .append(|history| {
            known = open_one(job, history)?;
            Ok(match &known {
                Some(incident) => vec![resolved(&session, history, incident, &text, flags)],
                None => kept_as_note(&session, history, &text),
            })
        })
        .await?;
    let Some(incident) = known else {
        return Ok(not_open(&session, "a resolution", &written));
    };
    let id = incident.id.to_string();
    // As the log has it, and every command after this one.
    let ended = written.last().map_or_else(Timestamp::now, |event| event.at);
    let lasted = if incident.is_opening_unread {
        "an unknown time".to_owned()
    } else {
        chronicle::lasted(incident.lasted(ended))
    };
    let outcome = Outcome::pass(format!("incident/{id}"), subject_of(&incident))
        .actual(format!("resolved after {lasted}"));
    let mut report = session.report(vec![outcome]);
    report.headline = Some(format!("{id} is resolved after {lasted}"));
    report.outputs.push(("incident".to_owned(), id));
    let ask = ExposureQuery::Always;
    Ok(session.told_and_measured(report, &incident.id, ask).await)
}

/// Of a file with environments an incident must name its own: its severity follows from it, and who is told.
fn has_environment(job: &Job) -> Result<(), Failure> {
    let known: Vec<&str> = job.config.environments.keys().map(String::as_str).collect();
    if job.environment.is_some() || known.is_empty() {
        return Ok(());
    }
    let known = known.join(", ");
    let reason = format!("an incident is of one environment, and the file has: {known}");
    Err(Failure::usage(reason).hint(NAME_ONE))
}

/// What an incident is about that a person opens: the deployment of this workflow run, where it has one, else the one
/// by which users have the release.
fn about(job: &Job, history: &History) -> Subject {
    let own = job.subject();
    let history = history.clone().of_owner(&own.owner());
    let is_known = |id: &String| {
        let mut events = history.events();
        events.any(|event| event.subject.deployment.as_ref() == Some(id))
    };
    let release = own.release.clone();
    let of_release = || {
        let release = release?;
        let steps = || {
            let mut events = history.events().rev();
            let is_of = |event: &&Event| event.subject.release.as_ref() == Some(&release);
            events.find(is_of)?.subject.deployment.clone()
        };
        served(&history, &release).map(|one| one.id).or_else(steps)
    };
    let of_run = own.deployment.clone();
    let deployment = of_run.clone().filter(is_known).or_else(of_release);
    let deployment = deployment.or(of_run);
    Subject {
        // Its messages, and its issue, are its own: those of the deployment may be days old.
        apart: deployment.is_some(),
        deployment,
        ..own
    }
}

fn resolved(
    session: &Session<'_>,
    history: &History,
    incident: &Incident,
    text: &str,
    flags: &Resolve,
) -> Event {
    let Resolve {
        text: _,
        fix,
        redeployment,
    } = flags;
    let own = history.clone().of_owner(&incident.subject.owner());
    let happening = Happening::IncidentResolved {
        text: text.to_owned(),
        serving: serving(&own).map(str::to_owned),
        fix: fix.clone(),
        redeployment: redeployment.clone(),
    };
    let subject = incident.subject.clone();
    let audience = Audience::of(incident);
    session.scribe.event_by_hand(subject, happening, audience)
}

/// An update, and the severity that comes with it.
fn updated(session: &Session<'_>, incident: &Incident, text: &str, update: &Update) -> Vec<Event> {
    let Update {
        text: _,
        phase,
        by_hand,
        seen,
    } = update;
    let subject = || Subject {
        // Another release may be what people speak of by now.
        release: session
            .job
            .release
            .clone()
            .or(incident.subject.release.clone()),
        ..incident.subject.clone()
    };
    let judged = by_hand.judged();
    let worst = judged
        .as_ref()
        .map_or(incident.worst, |judged| incident.worst.max(judged.severity));
    let happening = Happening::IncidentUpdated {
        text: text.to_owned(),
        phase: *phase,
        impact: seen.impact,
        hosts: seen.hosts,
        action: None,
    };
    let scribe = &session.scribe;
    let audience = Audience::Open(incident, worst);
    let mut events = vec![scribe.event_by_hand(subject(), happening, audience)];
    // Also where it is the same: from now on it is a person's, and the rules leave it.
    if let Some(judged) = judged {
        let happening = Happening::SeverityChanged {
            from: incident.severity,
            to: judged.severity,
            why: judged.why,
        };
        // The update tells what is true by then.
        events.insert(0, scribe.event_by_hand(subject(), happening, audience));
    }
    events
}

/// The text as a note where no incident is known to be open, and a line that cannot be read may have opened one: what a
/// person wrote is not lost.
fn kept_as_note(session: &Session<'_>, history: &History, text: &str) -> Vec<Event> {
    if history.unread().is_empty() {
        return Vec::new();
    }
    let happening = Happening::Note {
        text: text.to_owned(),
    };
    let subject = session.job.subject();
    vec![{ &session.scribe }.event_by_hand(subject, happening, Audience::None)]
}

/// No incident is open that `what` could be about; `kept` is the note in its place.
fn not_open(session: &Session<'_>, what: &str, kept: &[Event]) -> Report {
    if !kept.is_empty() {
        let outcome = Outcome::inconclusive("incident/open", session.scribe.chronicle.place())
            .expected("an open incident")
            .actual("not known; the text is written down as a note")
            .reason(format!(
                "no incident is known to be open, {what} needs one, and a line that cannot be read may have opened it"
            ))
            .hint("`incident open TEXT` opens one, and notifies the sinks");
        return session.report(vec![outcome]);
    }
    let reason = format!("no incident is open: {what} needs one");
    let outcome = Outcome::fail("incident/open", session.scribe.chronicle.place())
        .expected("an open incident")
        .actual("not open")
        .reason(reason)
        .hint("`incident open TEXT` opens one; `incident list` shows those of before");
    session.report(vec![outcome])
}

fn would(session: &Session<'_>, what: &str) -> Report {
    let told = format!("would {what} in {}", session.scribe.chronicle.place());
    let outcome = Outcome::skipped("incident/log", session.scribe.chronicle.place(), told);
    let mut report = session.report(vec![outcome]);
    report.headline = Some("dry run: nothing was written".to_owned());
    report
}

fn incident_of(event: &Event) -> String {
    let id = event.subject.incident.as_ref();
    id.map(ToString::to_string).unwrap_or_default()
}

/// The release that an incident is about, and what it is in short.
fn subject_of(incident: &Incident) -> String {
    match &incident.subject.release {
        Some(release) => release.clone(),
        None => cut(&incident.text, 60),
    }
}

//! Deployments and incidents of the log as a stream of CDEvents, for people with an event bus.

use std::collections::{BTreeMap, BTreeSet};

use chronicle::{
    Conclusion, Deployment, Event, EventId, Evidence, Happening, History, Subject, deployments,
};
use cli::{Failure, Job};
use github::Repository;
use measures::Window;
use measures::cdevents::{self, EventError, Occurrence, encoded, package_url};
use notify::Reference;

/// Where issues are, if no run of a workflow tells its server.
const GITHUB: &str = "https://github.com";

/// What the specification requires a name of, where the configuration has no environments.
const ENVIRONMENT: &str = "default";

/// Events, a line each.
pub(crate) struct Stream {
    pub(crate) lines: String,
    count: usize,
    /// Rollbacks of which the log does not say what serves since.
    nameless: usize,
}

impl Stream {
    /// What happened in the window. The same log gives the same lines, in each run.
    ///
    /// # Errors
    /// Returns a usage error where an event names no service.
    pub(crate) fn of(history: &History, window: Window, job: &Job) -> Result<Stream, Failure> {
        let own = job.service();
        let mut stream = Stream {
            lines: String::new(),
            count: 0,
            nameless: 0,
        };
        let tickets = tickets(history, job);
        let deployments = deployments(history);
        for event in history.events().filter(|event| window.holds(event.at)) {
            let ticket = tickets.get(&event.id);
            let reported = ticket.map(reported);
            let Some((what, release)) = reported.or_else(|| occurrence(event, &deployments)) else {
                continue;
            };
            let subject = ticket.map_or(&event.subject, |ticket| ticket.subject);
            let service = subject.service.as_deref().or(own.as_deref());
            match line(event, subject, service.unwrap_or_default(), what, release) {
                Ok(line) => {
                    stream.lines.push_str(&line);
                    stream.count += 1;
                }
                Err(EventError::Artifact) => stream.nameless += 1,
                Err(EventError::Text) => {
                    return Err(Failure::usage(
                        "an event of CDEvents names a service, and none is known",
                    )
                    .hint("add `service: NAME` to the configuration"));
                }
            }
        }
        Ok(stream)
    }

    /// How many there are, and how many are missing.
    pub(crate) fn summary(&self) -> String {
        match self.nameless {
            0 => format!("{} events", self.count),
            nameless => format!(
                "{} events; {nameless} are left out, because the log does not name the release that serves",
                self.count
            ),
        }
    }
}

/// An issue that an incident got.
struct Ticket<'a> {
    incident: &'a str,
    text: Option<&'a str>,
    /// Of the event that it was made for.
    subject: &'a Subject,
    url: String,
}

/// The first issue of each incident, by the event that tells that it was made. It is in the repository that the sink
/// told; an earlier build did not tell it, and then it is that of the configured sink, else that of the run.
fn tickets<'a>(history: &'a History, job: &Job) -> BTreeMap<&'a EventId, Ticket<'a>> {
    let by_id: BTreeMap<&EventId, &Event> =
        history.events().map(|event| (&event.id, event)).collect();
    let mut reported = BTreeSet::new();
    let mut tickets = BTreeMap::new();
    for event in history.events() {
        let Some(Issue {
            about,
            sink,
            number,
            repository,
        }) = issue(event, &by_id)
        else {
            continue;
        };
        let Some(incident) = &about.subject.incident else {
            continue;
        };
        if !reported.insert(incident) {
            continue;
        }
        let of_run = about.evidence.iter().find_map(|one| match one {
            Evidence::Url(url) => Some(page_of(url.split_once("/actions/runs/")?.0)),
            Evidence::Report(_) | Evidence::Journal(_) => None,
        });
        let (server, of_run) = of_run.unzip();
        let repository = repository.filter(|name| Repository::parse(name).is_ok());
        let repository = repository.or_else(|| configured(job, sink));
        let Some(repository) = repository.or(of_run.map(str::to_owned)) else {
            continue;
        };
        let server = server.or(job.actions.server_url.as_deref());
        let server = server.unwrap_or(GITHUB);
        let ticket = Ticket {
            incident: incident.as_str(),
            text: match &about.what {
                Happening::IncidentOpened { text, .. } => Some(text),
                _ => None,
            },
            subject: &about.subject,
            url: format!("{server}/{repository}/issues/{number}"),
        };
        tickets.insert(&event.id, ticket);
    }
    tickets
}

/// The server and the repository of an address that ends with the name of one.
fn page_of(address: &str) -> (&str, &str) {
    let mut slashes = address.rmatch_indices('/').map(|(at, _)| at);
    let before_owner = slashes.nth(1).unwrap_or_default();
    let (server, repository) = address.split_at(before_owner);
    (server, repository.trim_start_matches('/'))
}

/// The repository that the configuration names for a sink.
fn configured(job: &Job, sink: &str) -> Option<String> {
    let section = job.config.incident().ok().flatten()?;
    let mut sinks = section.github_issue.iter();
    sinks.find(|one| one.name == sink)?.repository.clone()
}

/// What a delivery tells of the issue that it made.
struct Issue<'a> {
    /// The event that was delivered.
    about: &'a Event,
    sink: &'a str,
    number: u64,
    repository: Option<String>,
}

fn issue<'a>(event: &'a Event, by_id: &BTreeMap<&EventId, &'a Event>) -> Option<Issue<'a>> {
    let Happening::Delivered {
        delivery,
        reference: Some(reference),
    } = &event.what
    else {
        return None;
    };
    let reference = serde_json::from_value(reference.clone()).ok()?;
    let Reference::GithubIssue { number, repository } = reference else {
        return None;
    };
    Some(Issue {
        about: by_id.get(&delivery.event)?,
        sink: &delivery.sink,
        number,
        repository,
    })
}

fn reported<'a>(ticket: &'a Ticket<'_>) -> (Occurrence<'a>, Option<String>) {
    let what = Occurrence::IncidentReported {
        incident: ticket.incident,
        description: ticket.text,
        ticket: &ticket.url,
    };
    (what, ticket.subject.release.clone())
}

/// What an event of the log is for CDEvents, and the release that it is about: what serves since, or what the
/// incident is of. `None` where CDEvents has no word for it, such as for a deployment that was refused.
fn occurrence<'a>(
    event: &'a Event,
    deployments: &[Deployment],
) -> Option<(Occurrence<'a>, Option<String>)> {
    let subject = &event.subject;
    let incident = subject.incident.as_ref().map(chronicle::IncidentId::as_str);
    let release = subject.release.clone();
    Some(match &event.what {
        Happening::DeploymentEnded {
            conclusion: Conclusion::Succeeded,
            ..
        } => {
            let own = deployments
                .iter()
                .rev()
                .find(|one| Some(&one.id) == subject.deployment.as_ref());
            let had_another = own.is_some_and(|one| one.previous.is_some());
            let what = if had_another {
                Occurrence::ServiceUpgraded
            } else {
                Occurrence::ServiceDeployed
            };
            (what, release)
        }
        Happening::DeploymentEnded {
            conclusion: Conclusion::RolledBack,
            serving,
            ..
        } => (Occurrence::ServiceRolledBack, serving.clone()),
        Happening::StageEnded {
            restored: Some(serving),
            ..
        } if is_by_hand(event, deployments) => {
            (Occurrence::ServiceRolledBack, Some(serving.clone()))
        }
        Happening::IncidentOpened { text, .. } => {
            let what = Occurrence::IncidentDetected {
                incident: incident?,
                description: Some(text),
            };
            (what, release)
        }
        Happening::IncidentResolved { text, .. } => {
            let what = Occurrence::IncidentResolved {
                incident: incident?,
                description: Some(text),
            };
            (what, release)
        }
        _ => return None,
    })
}

/// Whether a rollback is of no run that tells it with its own end.
fn is_by_hand(event: &Event, deployments: &[Deployment]) -> bool {
    let id = event.subject.deployment.as_ref();
    let own = deployments.iter().rev().find(|one| Some(&one.id) == id);
    own.is_none_or(|own| own.conclusion != Some(Conclusion::RolledBack))
}

/// One CloudEvent.
fn line(
    event: &Event,
    subject: &Subject,
    service: &str,
    what: Occurrence<'_>,
    release: Option<String>,
) -> Result<String, EventError> {
    let artifact = release.map(|release| package_url(service, &release, None, None));
    // Not the run: each writer of the stream must name the same source.
    let source = format!("/{}", encoded(service));
    let event = cdevents::Event {
        id: event.id.as_str(),
        at: event.at,
        source: &source,
        chain: subject.deployment.as_deref(),
        service,
        environment: subject.environment.as_deref().unwrap_or(ENVIRONMENT),
        artifact: artifact.as_deref(),
        what,
    };
    Ok(format!("{}\n", event.cloudevent()?))
}

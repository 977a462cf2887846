//! Deployments and incidents of the log as a stream of CDEvents, for people with an event bus.

use chronicle::{Conclusion, Event, Happening, History, deployments};
use cli::{Failure, Job};
use measures::Window;
use measures::cdevents::{self, Lack, What, encoded, package_url};

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
        for event in history.events().filter(|event| window.holds(event.at)) {
            let Some((what, release)) = told(event, history) else {
                continue;
            };
            let service = event.subject.service.as_deref().or(own.as_deref());
            match line(event, service.unwrap_or_default(), what, release) {
                Ok(line) => {
                    stream.lines.push_str(&line);
                    stream.count += 1;
                }
                Err(Lack::Artifact) => stream.nameless += 1,
                Err(Lack::Text) => {
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
    pub(crate) fn told(&self) -> String {
        match self.nameless {
            0 => format!("{} events", self.count),
            nameless => format!(
                "{} events; {nameless} are left out, because the log does not say which release serves",
                self.count
            ),
        }
    }
}

/// What an event of the log is for CDEvents, and the release that it is about: what serves since, or what the
/// incident is of. `None` where CDEvents has no word for it, such as for a deployment that was refused.
fn told<'a>(event: &'a Event, history: &History) -> Option<(What<'a>, Option<String>)> {
    let subject = &event.subject;
    let incident = subject.incident.as_ref().map(chronicle::IncidentId::as_str);
    let release = subject.release.clone();
    Some(match &event.what {
        Happening::DeploymentEnded {
            conclusion: Conclusion::Succeeded,
            ..
        } => {
            let all = deployments(history);
            let own = all
                .iter()
                .find(|one| Some(&one.id) == subject.deployment.as_ref());
            let had_another = own.is_some_and(|one| one.previous.is_some());
            let what = if had_another {
                What::ServiceUpgraded
            } else {
                What::ServiceDeployed
            };
            (what, release)
        }
        Happening::DeploymentEnded {
            conclusion: Conclusion::RolledBack,
            serving,
            ..
        } => (What::ServiceRolledBack, serving.clone()),
        Happening::IncidentOpened { text, .. } => {
            let what = What::IncidentDetected {
                incident: incident?,
                description: Some(text),
            };
            (what, release)
        }
        Happening::IncidentResolved { text, .. } => {
            let what = What::IncidentResolved {
                incident: incident?,
                description: Some(text),
            };
            (what, release)
        }
        _ => return None,
    })
}

/// One CloudEvent.
fn line(
    event: &Event,
    service: &str,
    what: What<'_>,
    release: Option<String>,
) -> Result<String, Lack> {
    let subject = &event.subject;
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

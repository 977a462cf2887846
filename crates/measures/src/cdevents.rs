//! Deployments and incidents as CDEvents 0.5, in the envelope of CloudEvents 1.0 ("CloudEvents
//! Binding for CDEvents", structured mode), for people with an event bus.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

const SPECVERSION: &str = "0.5.0";

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The same for the same thing each time: a receiver drops what it knows.
    pub id: &'a str,
    pub at: Timestamp,
    /// Who says so, as a URI or a path: `/acme/shop`. Together with `id` it is unique.
    pub source: &'a str,
    /// What ties the events of one deployment together.
    pub chain: Option<&'a str>,
    pub service: &'a str,
    pub environment: &'a str,
    /// The release that serves, or that the incident is about, as a package URL; see [`package_url`].
    pub artifact: Option<&'a str>,
    pub what: Occurrence<'a>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence<'a> {
    /// A service serves for the first time.
    ServiceDeployed,
    /// Another release of it serves.
    ServiceUpgraded,
    /// An earlier release serves again.
    ServiceRolledBack,
    IncidentDetected {
        incident: &'a str,
        description: Option<&'a str>,
    },
    /// It is in a tracker.
    IncidentReported {
        incident: &'a str,
        description: Option<&'a str>,
        /// The URL of the ticket.
        ticket: &'a str,
    },
    IncidentResolved {
        incident: &'a str,
        description: Option<&'a str>,
    },
}

/// What an event lacks that the specification requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventError {
    /// One of the id, the source, the service, the environment, the incident and the ticket is empty.
    Text,
    /// An event of a service names what serves.
    Artifact,
}

impl Event<'_> {
    /// The CDEvent: `context` and `subject`.
    pub fn cdevent(&self) -> Result<Value, EventError> {
        let mut context = Map::new();
        let mut set = |key: &str, value: &str| context.insert(key.to_owned(), value.into());
        set("specversion", SPECVERSION);
        set("id", filled(self.id)?);
        set("source", filled(self.source)?);
        set("type", self.what.kind());
        set("timestamp", &self.at.to_string());
        if let Some(chain) = self.chain {
            set("chainId", filled(chain)?);
        }
        let subject = json!({
            "id": self.subject()?,
            "source": self.source,
            "content": self.content()?,
        });
        Ok(json!({ "context": context, "subject": subject }))
    }

    /// The CloudEvent around it.
    pub fn cloudevent(&self) -> Result<Value, EventError> {
        Ok(json!({
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.what.kind(),
            "subject": self.subject()?,
            "time": self.at.to_string(),
            "datacontenttype": "application/cdevents+json",
            "data": self.cdevent()?,
        }))
    }

    fn subject(&self) -> Result<&str, EventError> {
        filled(self.what.incident().unwrap_or(self.service))
    }

    fn content(&self) -> Result<Value, EventError> {
        let mut content = Map::new();
        let environment = json!({ "id": filled(self.environment)? });
        content.insert("environment".to_owned(), environment);
        let is_of_service = self.what.incident().is_none();
        match self.artifact {
            Some(artifact) => {
                content.insert("artifactId".to_owned(), filled(artifact)?.into());
            }
            None if is_of_service => return Err(EventError::Artifact),
            None => {}
        }
        if is_of_service {
            return Ok(content.into());
        }
        let service = json!({ "id": filled(self.service)? });
        content.insert("service".to_owned(), service);
        if let Some(description) = self.what.description() {
            content.insert("description".to_owned(), description.into());
        }
        if let Occurrence::IncidentReported { ticket, .. } = self.what {
            content.insert("ticketURI".to_owned(), filled(ticket)?.into());
        }
        Ok(content.into())
    }
}

impl<'a> Occurrence<'a> {
    /// The type and its version, which each type has for itself.
    fn kind(self) -> &'static str {
        match self {
            Occurrence::ServiceDeployed => "dev.cdevents.service.deployed.0.3.0",
            Occurrence::ServiceUpgraded => "dev.cdevents.service.upgraded.0.3.0",
            Occurrence::ServiceRolledBack => "dev.cdevents.service.rolledback.0.3.0",
            Occurrence::IncidentDetected { .. } => "dev.cdevents.incident.detected.0.3.0",
            Occurrence::IncidentReported { .. } => "dev.cdevents.incident.reported.0.3.0",
            Occurrence::IncidentResolved { .. } => "dev.cdevents.incident.resolved.0.3.0",
        }
    }

    fn incident(self) -> Option<&'a str> {
        match self {
            Occurrence::ServiceDeployed
            | Occurrence::ServiceUpgraded
            | Occurrence::ServiceRolledBack => None,
            Occurrence::IncidentDetected { incident, .. }
            | Occurrence::IncidentReported { incident, .. }
            | Occurrence::IncidentResolved { incident, .. } => Some(incident),
        }
    }

    fn description(self) -> Option<&'a str> {
        match self {
            Occurrence::ServiceDeployed
            | Occurrence::ServiceUpgraded
            | Occurrence::ServiceRolledBack => None,
            Occurrence::IncidentDetected { description, .. }
            | Occurrence::IncidentReported { description, .. }
            | Occurrence::IncidentResolved { description, .. } => description,
        }
    }
}

fn filled(text: &str) -> Result<&str, EventError> {
    if text.is_empty() {
        return Err(EventError::Text);
    }
    Ok(text)
}

/// A release as a package URL: `pkg:oci/shop@sha256%3A…?repository_url=ghcr.io%2Facme%2Fshop` where
/// the image and its digest are known, else `pkg:generic/shop@v1.2.4`.
pub fn package_url(
    service: &str,
    release: &str,
    image: Option<&str>,
    digest: Option<&str>,
) -> String {
    let repository = image.map(repository);
    match (repository, digest) {
        (Some(repository), Some(digest)) if !repository.is_empty() => {
            let name = repository.rsplit('/').next().unwrap_or(repository);
            format!(
                "pkg:oci/{}@{}?repository_url={}",
                encoded(&name.to_lowercase()),
                encoded(digest),
                encoded(repository)
            )
        }
        _ => format!("pkg:generic/{}@{}", encoded(service), encoded(release)),
    }
}

/// `ghcr.io/acme/shop:v1@sha256:…` without its tag and its digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    // A colon before the last slash is that of a port.
    let name = image.rfind('/').map_or(0, |at| at + 1);
    image[name..]
        .find(':')
        .map_or(image, |at| &image[..name + at])
}

/// A name as a part of a URI: all but letters, digits and `.-_~` as `%XX`.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'.' | b'-' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    })
}

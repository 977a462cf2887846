//! What people are told.

use jiff::Timestamp;
use model::Redactor;
use model::text::cut;
use sections::incident::{Before, EventKind, FilterInput, Severity};
use serde::{Deserialize, Serialize};

/// One event, as every sink gets it. All texts may hold anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Unique for each event, and the same in each attempt: a receiver tells by it that it has the notice already.
    pub id: String,
    /// The same for all notices of an incident or a deployment: `service/environment/deployment`.
    pub thread: String,
    pub kind: EventKind,
    pub at: Timestamp,
    /// When the first notice of its thread was written: what it left at a service is not older.
    pub began: Timestamp,
    pub service: String,
    pub environment: Option<String>,
    pub release: Option<String>,
    /// Of the incident now; `None` for a deployment.
    pub severity: Option<Severity>,
    /// The worst that the incident was so far: by it a sink is chosen, so that who heard of it hears its end.
    pub worst: Option<Severity>,
    pub phase: Phase,
    /// One line.
    pub title: String,
    /// Some lines of text, no markup.
    pub body: String,
    /// What stands beside it: a label and a value each.
    pub fields: Vec<(String, String)>,
    pub links: Vec<Link>,
}

/// A page about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub label: String,
    /// Where it is not one of `http` or `https`, it is left out.
    pub url: String,
}

/// How far an incident or a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Investigating,
    Identified,
    Monitoring,
    Resolved,
    Deploying,
    Deployed,
    RolledBack,
    Failed,
    Refused,
    Cancelled,
    Unknown,
}

impl Phase {
    /// As a person reads it.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Investigating => "investigating",
            Phase::Identified => "identified",
            Phase::Monitoring => "monitoring",
            Phase::Resolved => "resolved",
            Phase::Deploying => "deploying",
            Phase::Deployed => "deployed",
            Phase::RolledBack => "rolled back",
            Phase::Failed => "failed",
            Phase::Refused => "refused",
            Phase::Cancelled => "cancelled",
            Phase::Unknown => "unknown",
        }
    }

    /// Readable without colour and before the words.
    pub fn emoji(self) -> &'static str {
        match self {
            Phase::Investigating | Phase::Failed => "🚨",
            Phase::Identified | Phase::Monitoring => "📊",
            Phase::Resolved | Phase::Deployed => "✅",
            Phase::Deploying => "🚀",
            Phase::RolledBack => "↩️",
            Phase::Refused => "⛔",
            Phase::Cancelled => "⚠️",
            Phase::Unknown => "❔",
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl Notice {
    /// What a sink's filter asks.
    pub fn heard(&self) -> FilterInput<'_> {
        FilterInput {
            kind: self.kind,
            severity: self.worst.or(self.severity),
            environment: self.environment.as_deref(),
            ended_well: self.kind == EventKind::DeploymentEnded && self.phase == Phase::Deployed,
            corrects: false,
            before: Before::Nothing,
        }
    }

    /// Without what is secret, and bounded: no service takes more. The redactor knows the mark of a cut.
    pub(crate) fn redacted(&self, redactor: &Redactor) -> Notice {
        let clean = |text: &String| redactor.redact(&cut(text, MAX_LINE));
        let Notice {
            id,
            thread,
            kind,
            at,
            began,
            service,
            environment,
            release,
            severity,
            worst,
            phase,
            title,
            body,
            fields,
            links,
        } = self;
        Notice {
            id: clean(id),
            thread: clean(thread),
            kind: *kind,
            at: *at,
            began: *began,
            service: clean(service),
            environment: environment.as_ref().map(clean),
            release: release.as_ref().map(clean),
            severity: *severity,
            worst: *worst,
            phase: *phase,
            title: clean(title),
            body: redactor.redact(&cut(body, MAX_BODY)),
            fields: fields
                .iter()
                .take(MAX_ENTRIES)
                .map(|(label, value)| (clean(label), clean(value)))
                .collect(),
            links: links
                .iter()
                .take(MAX_ENTRIES)
                .map(|Link { label, url }| Link {
                    label: clean(label),
                    url: clean(url),
                })
                .collect(),
        }
    }

    /// `shop/production`, or the service alone.
    pub(crate) fn place(&self) -> String {
        match &self.environment {
            Some(environment) => format!("{}/{environment}", self.service),
            None => self.service.clone(),
        }
    }

    /// What stands beside the text, at most so many: what is known of every notice, then its own fields.
    pub(crate) fn rows(&self, most: usize) -> Vec<(&str, String)> {
        let common = [
            ("Where", Some(self.place())),
            ("Status", Some(self.phase.word().to_owned())),
            ("Release", self.release.clone()),
            (
                "Severity",
                self.severity.map(|severity| severity.to_string()),
            ),
        ];
        let common = common
            .into_iter()
            .filter_map(|(label, value)| Some((label, value?)));
        let own = self.fields.iter();
        let own = own.map(|(label, value)| (label.as_str(), value.clone()));
        common.chain(own).take(most).collect()
    }

    /// Links that a browser follows, each label with its URL in normal form, at most so many.
    pub(crate) fn web_links(&self, most: usize) -> impl Iterator<Item = (&str, url::Url)> {
        let links = self.links.iter().filter_map(|link| {
            let url = url::Url::parse(&link.url).ok()?;
            let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
            let has_login = !url.username().is_empty() || url.password().is_some();
            let is_short = url.as_str().len() <= MAX_URL;
            (is_web && is_short && !has_login).then_some((link.label.as_str(), url))
        });
        links.take(most)
    }
}

/// Characters of one text.
const MAX_LINE: usize = 4 << 10;
const MAX_BODY: usize = 64 << 10;
/// Fields, and links.
const MAX_ENTRIES: usize = 50;
/// Longer ones are cut by some service, and then lead elsewhere.
const MAX_URL: usize = 1000;

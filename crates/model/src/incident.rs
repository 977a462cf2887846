//! An incident as a report has it, and the words that the configuration and the log share with it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Redactor;

/// How bad an incident is, as a runbook has it; a later one in this order is worse.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "IncidentSeverity")]
pub enum Severity {
    /// A minor issue without an impact on users.
    Low,
    /// Staging, or a service that is not critical.
    Medium,
    /// Production is degraded, or a part of it is down.
    High,
    /// Production is down, and users are affected.
    Critical,
}

impl Severity {
    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What users get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "IncidentImpact")]
pub enum Impact {
    /// The service as before.
    None,
    /// Some requests fail, or some users get the bad release.
    Degraded,
    /// Nothing.
    Down,
    /// It is not known what users get.
    Unknown,
}

impl Impact {
    /// Whether users fare worse. What is not known may be worse than nothing, and is not worse than what was seen.
    pub fn is_worse_than(self, other: Impact) -> bool {
        let rank = |impact| match impact {
            Impact::None => 0,
            Impact::Unknown => 1,
            Impact::Degraded => 2,
            Impact::Down => 3,
        };
        rank(self) > rank(other)
    }

    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            Impact::None => "none",
            Impact::Degraded => "degraded",
            Impact::Down => "down",
            Impact::Unknown => "unknown",
        }
    }
}

/// How far an incident is, in the words of status pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "IncidentPhase")]
pub enum Phase {
    Investigating,
    Identified,
    Monitoring,
    Resolved,
}

impl Phase {
    pub fn word(self) -> &'static str {
        match self {
            Phase::Investigating => "investigating",
            Phase::Identified => "identified",
            Phase::Monitoring => "monitoring",
            Phase::Resolved => "resolved",
        }
    }
}

/// What keeps an incident from being passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unless {
    #[default]
    Resolved,
    Acknowledged,
}

impl Unless {
    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            Unless::Resolved => "resolved",
            Unless::Acknowledged => "acknowledged",
        }
    }
}

/// An incident of the log. All text in it is from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentState {
    pub id: String,
    pub service: Option<String>,
    pub environment: Option<String>,
    pub release: Option<String>,
    pub deployment: Option<String>,
    pub severity: Severity,
    pub severity_reason: String,
    pub phase: Phase,
    pub impact: Impact,
    pub failed_stage: Option<String>,
    /// What it was opened with, and what was written of it last.
    pub text: String,
    pub latest: String,
    pub opened_at: Timestamp,
    pub opened_by: String,
    /// When a person first did something about it.
    pub acknowledged_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    /// Until its end, else until now; `None` where clocks disagree on which of the two is the earlier.
    pub lasted: Option<Duration>,
    /// The sinks that it was passed on to.
    pub escalated_to: Vec<String>,
    pub next_escalation: Option<NextEscalation>,
    pub deliveries: Vec<SinkDeliveries>,
}

/// Whom an incident is passed on to if it goes on as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextEscalation {
    /// Where it has passed, the next command passes it on.
    pub at: Timestamp,
    pub to: Vec<String>,
    pub unless: Unless,
}

/// How many events of an incident one sink received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkDeliveries {
    pub sink: String,
    pub delivered: u64,
    /// To be tried again.
    pub waiting: u64,
    /// Not taken by the sink, and tried again only when a person asks for it.
    pub refused: u64,
    /// A person gave them up.
    pub given_up: u64,
    /// Why the last attempt failed, of those that wait or were refused.
    pub reason: Option<String>,
}

/// A line of the log of events that could not be read: what it tells is missing from everything else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreadLine {
    pub file: String,
    /// From 1.
    pub line: usize,
    pub cause: UnreadCause,
    pub reason: String,
}

/// Why a line could not be read.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum UnreadCause {
    /// It is not what any release writes.
    Damaged,
    /// Its format is of a newer release.
    Newer,
    /// Its format is known, and it is not: a newer release wrote it, or someone changed it.
    Unknown,
}

impl UnreadLine {
    /// The next step for a person.
    pub fn hint(&self) -> String {
        let UnreadLine { file, line, .. } = self;
        let look = format!("`sed -n {line}p {file}`");
        match self.cause {
            UnreadCause::Damaged => {
                format!("it was left untouched: see {look}, and restore the line or take it out")
            }
            UnreadCause::Newer => {
                "it was left untouched: use the release of this tool that wrote it".to_owned()
            }
            UnreadCause::Unknown => format!(
                "it was left untouched: use the release of this tool that wrote it, or see {look}, and restore the line"
            ),
        }
    }

    pub(crate) fn redacted(self, redactor: &Redactor) -> UnreadLine {
        let UnreadLine {
            file,
            line,
            cause,
            reason,
        } = self;
        UnreadLine {
            file: redactor.redact(&file),
            line,
            cause,
            reason: redactor.redact(&reason),
        }
    }
}

/// `line 7 of the log state.json.events/00000001.jsonl is damaged: not JSON from column 20 on`
impl fmt::Display for UnreadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnreadLine {
            file,
            line,
            cause,
            reason,
        } = self;
        let is = match cause {
            UnreadCause::Damaged => "is damaged",
            UnreadCause::Newer => "was written by a newer deploy-guard",
            UnreadCause::Unknown => "is not an event that this release knows",
        };
        write!(f, "line {line} of the log {file} {is}: {reason}")
    }
}

impl IncidentState {
    /// The same with every secret in every text replaced.
    #[must_use]
    pub(crate) fn redacted(self, redactor: &Redactor) -> IncidentState {
        let clean = |text: String| redactor.redact(&text);
        let all = |texts: Vec<String>| texts.into_iter().map(clean).collect();
        let IncidentState {
            id,
            service,
            environment,
            release,
            deployment,
            severity,
            severity_reason,
            phase,
            impact,
            failed_stage,
            text,
            latest,
            opened_at,
            opened_by,
            acknowledged_at,
            resolved_at,
            lasted,
            escalated_to,
            next_escalation,
            deliveries,
        } = self;
        let deliveries = deliveries.into_iter().map(|of_sink| {
            let SinkDeliveries {
                sink,
                delivered,
                waiting,
                refused,
                given_up,
                reason,
            } = of_sink;
            SinkDeliveries {
                sink: clean(sink),
                delivered,
                waiting,
                refused,
                given_up,
                reason: reason.map(clean),
            }
        });
        IncidentState {
            id: clean(id),
            service: service.map(clean),
            environment: environment.map(clean),
            release: release.map(clean),
            deployment: deployment.map(clean),
            severity,
            severity_reason: clean(severity_reason),
            phase,
            impact,
            failed_stage: failed_stage.map(clean),
            text: clean(text),
            latest: clean(latest),
            opened_at,
            opened_by: clean(opened_by),
            acknowledged_at,
            resolved_at,
            lasted,
            escalated_to: all(escalated_to),
            next_escalation: next_escalation.map(|NextEscalation { at, to, unless }| {
                let to = all(to);
                NextEscalation { at, to, unless }
            }),
            deliveries: deliveries.collect(),
        }
    }
}

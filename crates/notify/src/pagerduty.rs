//! PagerDuty's Events API v2: an alert per incident, and change events for deployments.
//! <https://developer.pagerduty.com/docs/events-api-v2-overview>

use std::time::{Duration, Instant};

use model::{Redactor, Secret};
use sections::incident::{EventKind, PagerdutySink, Severity};
use serde_json::{Map, Value, json};
use url::Url;

use crate::delivery_error::DeliveryFailure;
use crate::sink::{Delivered, Delivering, PreviousDelivery, Proof, Sink, SinkContext};
use crate::sinks::Kind;
use crate::web::{MAX_BODY, Web};
use crate::{DeliveryError, Notice, Phase, digest, outside, secret};

const BASE: &str = "https://events.pagerduty.com";
const MAX_KEY: usize = 255;
const MAX_SUMMARY_CHARS: usize = 1024;
/// An event has at most 512 KB. Of text as long as these it has a tenth.
const MAX_BODY_CHARS: usize = 4000;
const MAX_FIELDS: usize = 20;
const MAX_FIELD_CHARS: usize = 500;
const MAX_LINKS: usize = 10;
/// Where it says 429 and not for how long: its limit is one of events per minute.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(60);

impl Kind for PagerdutySink {
    fn make<'a>(&'a self, around: SinkContext<'a>) -> Result<Box<dyn Sink + 'a>, DeliveryError> {
        let key = secret::value(around.env, &self.routing_key_env)?;
        let base = self.url.as_deref().unwrap_or(BASE).trim_end_matches('/');
        let at = |path: &str| {
            Url::parse(&format!("{base}{path}")).map_err(|error| {
                let reason = format!("`url` is not a URL: {error}");
                DeliveryError::refused(reason, "leave it out for PagerDuty's own")
            })
        };
        Ok(Box::new(Pagerduty {
            alerts: at("/v2/enqueue")?,
            changes: at("/v2/change/enqueue")?,
            web: Web::new(Redactor::new([&key]))?,
            key,
        }))
    }
}

struct Pagerduty {
    alerts: Url,
    changes: Url,
    key: Secret,
    web: Web,
}

impl Sink for Pagerduty {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        _: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a> {
        Box::pin(async move {
            let (url, mut event) = if notice.kind.is_of_incident() {
                (&self.alerts, alert(notice))
            } else {
                (&self.changes, change(notice))
            };
            event["routing_key"] = self.key.expose().into();
            let request = self.web.post(url).json(&event);
            let answer = self.web.send(request, url, deadline, MAX_BODY).await?;
            let wrong = "is the key that of an integration \"Events API v2\"? Its page in PagerDuty shows it";
            let accepted = self.web.accepted(url, &answer, wrong);
            accepted.map_err(|mut error| {
                if let (429, DeliveryFailure::Later { after, .. }) = (answer.status, &mut error.why)
                {
                    after.get_or_insert(RATE_LIMIT_WAIT);
                }
                error
            })?;
            Ok(Delivered::default())
        })
    }

    /// A change event calls no one.
    fn proof(&self) -> Proof<'_> {
        Proof::Message(EventKind::DeploymentEnded)
    }
}

fn alert(notice: &Notice) -> Value {
    let links: Vec<Value> = notice
        .web_links(MAX_LINKS)
        .map(|(label, url)| json!({"href": url.as_str(), "text": outside::line(label, MAX_FIELD_CHARS)}))
        .collect();
    let action = match (notice.kind, notice.phase) {
        (EventKind::IncidentResolved, _) => "resolve",
        // Someone has found the cause, and need not be called again.
        (EventKind::IncidentUpdated, Phase::Identified | Phase::Monitoring) => "acknowledge",
        _ => "trigger",
    };
    json!({
        "event_action": action,
        "dedup_key": dedup_key(&notice.thread),
        "payload": {
            "summary": outside::line(&notice.title, MAX_SUMMARY_CHARS),
            "source": outside::line(&notice.place(), MAX_FIELD_CHARS),
            "severity": severity(notice.severity),
            "timestamp": notice.at.to_string(),
            "component": outside::line(&notice.service, MAX_FIELD_CHARS),
            "group": notice.environment.as_deref().map(|name| outside::line(name, MAX_FIELD_CHARS)),
            "class": notice.kind.word(),
            "custom_details": details(notice),
        },
        "links": links,
        "client": "deploy-guard",
    })
}

fn change(notice: &Notice) -> Value {
    let links: Vec<Value> = notice
        .web_links(MAX_LINKS)
        .map(|(label, url)| json!({"href": url.as_str(), "text": outside::line(label, MAX_FIELD_CHARS)}))
        .collect();
    json!({
        "payload": {
            "summary": outside::line(&notice.title, MAX_SUMMARY_CHARS),
            "source": outside::line(&notice.place(), MAX_FIELD_CHARS),
            "timestamp": notice.at.to_string(),
            "custom_details": details(notice),
        },
        "links": links,
    })
}

fn details(notice: &Notice) -> Value {
    let mut details = Map::new();
    let mut put = |label: &str, value: &str, most| {
        let label = outside::line(label, MAX_FIELD_CHARS);
        details.insert(label, outside::text(value, most).into());
    };
    put("status", notice.phase.word(), MAX_FIELD_CHARS);
    if let Some(release) = &notice.release {
        put("release", release, MAX_FIELD_CHARS);
    }
    if !notice.body.trim().is_empty() {
        put("text", notice.body.trim(), MAX_BODY_CHARS);
    }
    for (label, value) in notice.fields.iter().take(MAX_FIELDS) {
        put(label, value, MAX_FIELD_CHARS);
    }
    // By it someone finds the event in the log.
    put("event", &notice.id, MAX_FIELD_CHARS);
    details.into()
}

/// The same for all events of an incident, whatever the length of its name.
fn dedup_key(thread: &str) -> String {
    let is_plain = thread.len() <= MAX_KEY && thread.chars().all(|c| c.is_ascii_graphic());
    if is_plain {
        thread.to_owned()
    } else {
        format!("sha256:{}", digest::of(thread))
    }
}

fn severity(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(Severity::Critical) => "critical",
        Some(Severity::High) | None => "error",
        Some(Severity::Medium) => "warning",
        Some(Severity::Low) => "info",
    }
}

//! A notice as JSON, for webhooks.

use jiff::Timestamp;
use serde::Serialize;
use url::Url;

use crate::{Notice, Phase, outside};

const LINE: usize = 1000;
const TEXT: usize = 20_000;
const ENTRIES: usize = 50;

/// The body that a webhook gets without a template, and the variables of a template. Keys may be added; none is renamed
/// or removed without a version 2.
#[derive(Serialize)]
pub(crate) struct Body {
    schema: &'static str,
    id: String,
    thread: String,
    event: &'static str,
    at: Timestamp,
    service: String,
    environment: Option<String>,
    release: Option<String>,
    severity: Option<&'static str>,
    phase: Phase,
    title: String,
    text: String,
    fields: Vec<Field>,
    links: Vec<Link>,
}

#[derive(Serialize)]
struct Field {
    label: String,
    value: String,
}

#[derive(Serialize)]
struct Link {
    label: String,
    url: String,
}

impl Body {
    pub(crate) fn of(notice: &Notice) -> Body {
        let (labels, own): (Vec<&str>, Vec<Url>) = notice.web_links(ENTRIES).unzip();
        // A template may put it into any markup.
        let plain = |text: String| {
            let text = outside::unlinked(&text, &own);
            text.replace("<!", "\u{ff1c}!").replace("<#", "\u{ff1c}#")
        };
        let line = |text: &str| plain(outside::line(text, LINE));
        let option = |text: &Option<String>| text.as_deref().map(line);
        Body {
            schema: "deploy-guard/notice/v1",
            id: line(&notice.id),
            thread: line(&notice.thread),
            event: notice.kind.word(),
            at: notice.at,
            service: line(&notice.service),
            environment: option(&notice.environment),
            release: option(&notice.release),
            severity: notice.severity.map(sections::incident::Severity::word),
            phase: notice.phase,
            title: line(&notice.title),
            text: plain(outside::text(notice.body.trim(), TEXT)),
            fields: notice
                .fields
                .iter()
                .take(ENTRIES)
                .map(|(label, value)| Field {
                    label: line(label),
                    value: plain(outside::text(value, LINE)),
                })
                .collect(),
            links: { labels.into_iter().zip(&own) }
                .map(|(label, url)| Link {
                    label: line(label),
                    url: url.to_string(),
                })
                .collect(),
        }
    }
}

/// The body that a webhook gets without a template.
pub fn default_body(notice: &Notice) -> String {
    serde_json::to_string(&Body::of(notice)).unwrap_or_default()
}

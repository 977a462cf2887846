//! Microsoft Teams: an Adaptive Card for the webhook of a workflow.
//! <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>

use std::time::Instant;

use sections::incident::TeamsSink;
use serde_json::{Value, json};
use url::Url;

use crate::sink::{Delivered, Delivering, PreviousDelivery, Sink, SinkContext};
use crate::sinks::Kind;
use crate::web::Web;
use crate::{DeliveryError, Notice, outside, secret};

/// Teams takes 28 KB, and refuses what is larger.
const MAX_MESSAGE_BYTES: usize = 28 << 10;
const MAX_TITLE_CHARS: usize = 200;
const MAX_BODY_CHARS: usize = 4000;
const MAX_FIELDS: usize = 10;
const MAX_FIELD_CHARS: usize = 400;
/// More buttons are folded away.
const MAX_LINKS: usize = 4;

impl Kind for TeamsSink {
    fn make<'a>(&'a self, around: SinkContext<'a>) -> Result<Box<dyn Sink + 'a>, DeliveryError> {
        let url = secret::address(around.env, &self.url_env)?;
        let web = Web::new(secret::of_address(&url))?;
        Ok(Box::new(Teams { url, web }))
    }
}

struct Teams {
    url: Url,
    web: Web,
}

impl Sink for Teams {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        _: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a> {
        Box::pin(async move {
            let request = self.web.post(&self.url).json(&message(notice));
            let wrong = "open the workflow in Teams: is it on, and is the URL that of its trigger?";
            self.web
                .deliver(request, &self.url, deadline, wrong)
                .await?;
            Ok(Delivered::default())
        })
    }
}

/// As much of the text as there is room for.
fn message(notice: &Notice) -> Value {
    let mut most = MAX_BODY_CHARS;
    loop {
        let made = card(notice, most);
        if made.to_string().len() <= MAX_MESSAGE_BYTES || most < 10 {
            return made;
        }
        most /= 2;
    }
}

fn card(notice: &Notice, most: usize) -> Value {
    let title = format!("{} {}", notice.phase.emoji(), notice.title);
    let mut body = vec![rich(vec![json!({
        "type": "TextRun", "text": outside::line(&title, MAX_TITLE_CHARS), "weight": "bolder", "size": "large",
    })])];
    if !notice.body.trim().is_empty() {
        body.push(rich(vec![run(&outside::text(notice.body.trim(), most))]));
    }
    for (label, value) in notice.rows(MAX_FIELDS) {
        let label = format!("{}: ", outside::line(label, MAX_FIELD_CHARS.min(most)));
        body.push(rich(vec![
            json!({"type": "TextRun", "text": label, "weight": "bolder"}),
            run(&outside::text(&value, MAX_FIELD_CHARS.min(most))),
        ]));
    }
    let links: Vec<Value> = notice
        .web_links(MAX_LINKS)
        .map(|(label, url)| {
            json!({"type": "Action.OpenUrl", "title": outside::line(label, MAX_TITLE_CHARS), "url": url.as_str()})
        })
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
                "actions": links,
            },
        }],
    })
}

/// A block whose text is shown as it is: in a `TextBlock` and in facts, Teams reads Markdown.
fn rich(inlines: Vec<Value>) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": text})
}

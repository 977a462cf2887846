//! Slack: a webhook, to which each notice is a message; or a bot, which keeps one message per thread up to date and
//! answers it with each notice.

mod api;
mod message;

use std::time::Instant;

use model::{Redactor, Secret};
use reqwest::header::HeaderValue;
use sections::incident::SlackSink;
use serde_json::{Value, json};
use url::Url;

use crate::sink::{Delivered, Delivering, PreviousDelivery, Sink, SinkContext, ThreadView};
use crate::sinks::Kind;
use crate::web::Web;
use crate::{DeliveryError, Notice, Reference, secret};

use api::{Api, Posted};

const API: &str = "https://slack.com/api";

impl Kind for SlackSink {
    fn make<'a>(&'a self, around: SinkContext<'a>) -> Result<Box<dyn Sink + 'a>, DeliveryError> {
        if let Some(variable) = &self.url_env {
            let url = secret::address(around.env, variable)?;
            let web = Web::new(secret::of_address(&url))?;
            return Ok(Box::new(Webhook { url, web }));
        }
        let variable = self.token_env.as_deref().unwrap_or_default();
        let token = secret::value(around.env, variable)?;
        let base = self.api_url.as_deref().unwrap_or(API);
        let base = base.trim_end_matches('/').to_owned();
        Ok(Box::new(Bot {
            api: Api::new(
                &base,
                header(&token, variable)?,
                Web::new(Redactor::new([&token]))?,
            )?,
            channel: self.channel.clone().unwrap_or_default(),
        }))
    }
}

fn header(token: &Secret, variable: &str) -> Result<HeaderValue, DeliveryError> {
    let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
    let mut value = value.map_err(|_| {
        let reason = format!("`{variable}` does not hold a token");
        DeliveryError::refused(reason, "a bot's token is one word, `xoxb-…`")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

struct Webhook {
    url: Url,
    web: Web,
}

impl Sink for Webhook {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        _: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a> {
        Box::pin(async move {
            let request = self.web.post(&self.url).json(&message::of(&[notice]));
            let wrong = "make a new incoming webhook for the channel, and store its URL";
            self.web
                .deliver(request, &self.url, deadline, wrong)
                .await?;
            Ok(Delivered::default())
        })
    }
}

struct Bot {
    api: Api,
    channel: String,
}

impl Sink for Bot {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        earlier: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a> {
        self.deliver_together(std::slice::from_ref(notice), earlier, deadline)
    }

    fn thread_view(&self) -> Option<&dyn ThreadView> {
        Some(self)
    }
}

impl ThreadView for Bot {
    fn show<'a>(
        &'a self,
        notice: &'a Notice,
        earlier: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a> {
        Box::pin(async move {
            let shown = self.show_thread(notice, earlier, deadline).await?;
            let reference = Some(shown.posted.reference());
            Ok(Delivered { reference })
        })
    }

    fn fits(&self, notices: &[Notice]) -> bool {
        message::fits(notices)
    }

    fn deliver_together<'a>(
        &'a self,
        notices: &'a [Notice],
        earlier: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a> {
        Box::pin(async move {
            let Some(newest) = notices.last() else {
                return Ok(Delivered::default());
            };
            // What the thread is at goes first: where the time ends, people see the truth.
            let shown = self.show_thread(newest, earlier, deadline).await?;
            let reference = Some(shown.posted.reference());
            let looks = earlier.unsure && !shown.is_new;
            let answered = self.answer(notices, &shown.posted, looks, deadline).await;
            match answered {
                Ok(()) => Ok(Delivered { reference }),
                Err(error) => Err(error.leaving(reference)),
            }
        })
    }
}

impl Posted {
    fn reference(&self) -> Reference {
        let Posted { channel, ts } = self.clone();
        Reference::Slack { channel, ts }
    }
}

/// The message of the thread as it is now.
struct Shown {
    posted: Posted,
    is_new: bool,
}

impl Bot {
    /// Makes the thread's message show the notice, unless it shows one that came after it.
    async fn show_thread(
        &self,
        notice: &Notice,
        earlier: PreviousDelivery<'_>,
        deadline: Instant,
    ) -> Result<Shown, DeliveryError> {
        let known = match earlier.reference {
            Some(Reference::Slack { channel, ts }) => Some(Posted {
                channel: channel.clone(),
                ts: ts.clone(),
            }),
            _ if earlier.unsure => {
                let payload = thread(notice);
                let ours = self.api.ours(&self.channel, None, deadline).await?;
                let mut ours = ours.into_iter();
                let found = ours.find(|message| message.payload == payload);
                found.map(|message| message.posted)
            }
            _ => None,
        };
        if let Some(posted) = known {
            if earlier.is_overtaken {
                return Ok(Shown {
                    posted,
                    is_new: false,
                });
            }
            let mut question = self.question(&[notice], &thread(notice));
            question["channel"] = posted.channel.clone().into();
            question["ts"] = posted.ts.clone().into();
            match self.api.update(&question, deadline).await? {
                api::Updated::Yes => {
                    return Ok(Shown {
                        posted,
                        is_new: false,
                    });
                }
                // Someone removed it.
                api::Updated::Gone => {}
            }
        }
        let question = self.question(&[notice], &thread(notice));
        let posted = self.api.post(&question, deadline).await?;
        Ok(Shown {
            posted,
            is_new: true,
        })
    }

    /// Answers the thread's message with the notices in one message, but for those that are there already.
    async fn answer(
        &self,
        notices: &[Notice],
        to: &Posted,
        looks: bool,
        deadline: Instant,
    ) -> Result<(), DeliveryError> {
        let mut missing: Vec<&Notice> = notices.iter().collect();
        let oldest = notices.iter().map(|notice| notice.at).min();
        if let Some(oldest) = oldest.filter(|_| looks) {
            let thread = Some((to.ts.as_str(), oldest));
            let ours = self.api.ours(&to.channel, thread, deadline).await?;
            missing.retain(|notice| !ours.iter().any(|message| tells(&message.payload, notice)));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut question = self.question(&missing, &events(&missing));
        question["channel"] = to.channel.clone().into();
        question["thread_ts"] = to.ts.clone().into();
        self.api.post(&question, deadline).await.map(drop)
    }

    fn question(&self, notices: &[&Notice], payload: &Value) -> Value {
        let mut question = message::of(notices);
        question["channel"] = self.channel.clone().into();
        question["metadata"] = json!({"event_type": api::EVENT_TYPE, "event_payload": payload});
        question
    }
}

/// What identifies the message of a thread.
fn thread(notice: &Notice) -> Value {
    json!({"thread": crate::digest::of(&notice.thread)})
}

/// What identifies the answer that tells these notices.
fn events(notices: &[&Notice]) -> Value {
    let ids: Vec<String> = notices
        .iter()
        .map(|notice| crate::digest::of(&notice.id))
        .collect();
    match &ids[..] {
        [id] => json!({"id": id}),
        ids => json!({"ids": ids}),
    }
}

/// Whether an answer with this payload tells a notice.
fn tells(payload: &Value, notice: &Notice) -> bool {
    let id = json!(crate::digest::of(&notice.id));
    let is_among = |ids: &Vec<Value>| ids.contains(&id);
    payload["id"] == id || payload["ids"].as_array().is_some_and(is_among)
}

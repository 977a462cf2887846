//! The methods of Slack's Web API that a bot needs. Slack says what is wrong in an answer of status 200.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use model::text::excerpt;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::DeliveryError;
use crate::web::{MAX_BODY, Web, WebAnswer, host};

pub(super) const EVENT_TYPE: &str = "deploy_guard";
/// A hundred messages with their blocks.
const MAX_HISTORY: usize = 2 << 20;
/// By how much Slack's clock and ours may differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);
/// Messages that are looked through for one that may have arrived a few minutes ago.
const LOOKED_AT: &str = "100";

pub(super) struct Api {
    base: Url,
    token: HeaderValue,
    web: Web,
}

/// A message that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Posted {
    pub(super) channel: String,
    pub(super) ts: String,
}

/// A message of ours, and what identifies it.
pub(super) struct Ours {
    pub(super) posted: Posted,
    pub(super) payload: Value,
}

pub(super) enum Updated {
    Yes,
    Gone,
}

#[derive(Deserialize)]
struct SlackAnswer {
    ok: bool,
    error: Option<String>,
    channel: Option<String>,
    ts: Option<String>,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    ts: String,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    event_type: Option<String>,
    #[serde(default)]
    event_payload: Value,
}

impl Api {
    pub(super) fn new(base: &str, token: HeaderValue, web: Web) -> Result<Api, DeliveryError> {
        let base = Url::parse(&format!("{base}/")).map_err(|error| {
            let reason = format!("`api-url` is not a URL: {error}");
            DeliveryError::refused(reason, "leave it out for Slack's own")
        })?;
        Ok(Api { base, token, web })
    }

    pub(super) async fn post(
        &self,
        question: &Value,
        deadline: Instant,
    ) -> Result<Posted, DeliveryError> {
        let (url, said) = self.call("chat.postMessage", question, deadline).await?;
        good(&url, &said)?;
        match (said.channel, said.ts) {
            (Some(channel), Some(ts)) => Ok(Posted { channel, ts }),
            _ => Err(DeliveryError::unsure(format!(
                "{} does not report where the message is",
                host(&url)
            ))),
        }
    }

    pub(super) async fn update(
        &self,
        question: &Value,
        deadline: Instant,
    ) -> Result<Updated, DeliveryError> {
        let (url, said) = self.call("chat.update", question, deadline).await?;
        if matches!(
            said.error.as_deref(),
            Some("message_not_found" | "thread_not_found")
        ) {
            return Ok(Updated::Gone);
        }
        good(&url, &said)?;
        Ok(Updated::Yes)
    }

    /// Our messages: in the channel, or among the answers to one of its messages since a time.
    pub(super) async fn ours(
        &self,
        channel: &str,
        thread: Option<(&str, Timestamp)>,
        deadline: Instant,
    ) -> Result<Vec<Ours>, DeliveryError> {
        let method = match thread {
            Some(_) => "conversations.replies",
            None => "conversations.history",
        };
        let url = self.url(method);
        let mut query = vec![
            ("channel", channel),
            ("limit", LOOKED_AT),
            ("include_all_metadata", "true"),
        ];
        // A channel is read from its end, and a thread from its beginning.
        let since = thread.map(|(_, since)| {
            let since = since.checked_sub(CLOCKS_DIFFER).unwrap_or(since);
            since.as_second().to_string()
        });
        query.extend(thread.map(|(ts, _)| ("ts", ts)));
        query.extend(since.as_deref().map(|since| ("oldest", since)));
        let request = self.web.post(&url).form(&query);
        let request = request.header(AUTHORIZATION, self.token.clone());
        let answer = self.web.send(request, &url, deadline, MAX_HISTORY).await;
        let answer = answer.map_err(DeliveryError::of_a_question)?;
        let accepted = self.web.accepted(&url, &answer, WRONG);
        accepted.map_err(DeliveryError::of_a_question)?;
        let said = read(&url, &answer).map_err(DeliveryError::of_a_question)?;
        // Who may not look posts again, twice is better than never; a channel by its name is known to posts alone.
        let unknown = [
            "missing_scope",
            "not_allowed_token_type",
            "channel_not_found",
        ];
        if said
            .error
            .as_deref()
            .is_some_and(|error| unknown.contains(&error))
        {
            return Ok(Vec::new());
        }
        good(&url, &said).map_err(DeliveryError::of_a_question)?;
        let ours = |Message { ts, metadata }| {
            let metadata: Metadata = metadata?;
            let channel = channel.to_owned();
            (metadata.event_type.as_deref() == Some(EVENT_TYPE)).then_some(Ours {
                posted: Posted { channel, ts },
                payload: metadata.event_payload,
            })
        };
        Ok(said.messages.into_iter().filter_map(ours).collect())
    }

    fn url(&self, method: &str) -> Url {
        self.base.join(method).unwrap_or_else(|_| self.base.clone())
    }

    async fn call(
        &self,
        method: &str,
        question: &Value,
        deadline: Instant,
    ) -> Result<(Url, SlackAnswer), DeliveryError> {
        let url = self.url(method);
        let request = self.web.post(&url).json(question);
        let request = request.header(AUTHORIZATION, self.token.clone());
        let answer = self.web.send(request, &url, deadline, MAX_BODY).await?;
        self.web.accepted(&url, &answer, WRONG)?;
        let said = read(&url, &answer)?;
        Ok((url, said))
    }
}

/// Whether Slack did what it was asked for.
fn good(url: &Url, said: &SlackAnswer) -> Result<(), DeliveryError> {
    if said.ok {
        return Ok(());
    }
    let host = host(url);
    let code = said.error.as_deref().unwrap_or("no reason is given");
    let shown = excerpt(code.as_bytes());
    let reason = format!("{host} refuses it: {shown}");
    Err(match code {
        "ratelimited"
        | "rate_limited"
        | "request_timeout"
        | "service_unavailable"
        | "team_added_to_org" => DeliveryError::later(reason, None),
        // "It's possible some aspect of the operation succeeded before the error was raised."
        "internal_error" | "fatal_error" => DeliveryError::unsure(reason),
        "channel_not_found" | "not_in_channel" | "is_archived" => DeliveryError::refused(
            reason,
            "`channel` is the channel's id, such as `C0123456789`, and the bot is invited to it: `/invite @BOT`",
        ),
        "missing_scope" => DeliveryError::refused(
            reason,
            "add the scope `chat:write` to the app, and install it again",
        ),
        _ => DeliveryError::refused(reason, WRONG),
    })
}

const WRONG: &str = "look at the app's page at api.slack.com/apps: is it installed, and the token its bot's, `xoxb-…`?";

fn read(url: &Url, answer: &WebAnswer) -> Result<SlackAnswer, DeliveryError> {
    serde_json::from_slice(&answer.body).map_err(|_| {
        let host = host(url);
        DeliveryError::unsure(if answer.is_cut {
            format!("{host} did not end its answer")
        } else {
            format!("the answer of {host} is not Slack's")
        })
    })
}

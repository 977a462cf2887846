//! Chats: Slack and Microsoft Teams.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::sink_config::{SinkConfig, common_fields};
use super::{EventKind, Severity};
use crate::spot::KeyPosition;

/// What a chat hears of: the incidents, and how deployments end.
const OF_CHATS: &[EventKind] = &[
    EventKind::IncidentOpened,
    EventKind::IncidentUpdated,
    EventKind::SeverityChanged,
    EventKind::Escalated,
    EventKind::IncidentResolved,
    EventKind::DeploymentEnded,
];

/// A channel of Slack. With `url-env` each event is a message; with `token-env` and `channel` there is one
/// message per deployment or incident, which is edited in place, and each event is a reply in its thread.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SlackSink {
    /// The sink's name.
    pub name: String,
    /// The environment variable that holds the URL of an incoming webhook.
    pub url_env: Option<String>,
    /// The environment variable that holds a bot's token, `xoxb-…`. It needs the scope `chat:write`, and for
    /// finding a message that Slack took without an answer `channels:history` (`groups:history` in a private
    /// channel). Needs `channel`.
    pub token_env: Option<String>,
    /// The channel's id, such as `C0123456789`; the bot is a member of it. Needs `token-env`.
    pub channel: Option<String>,
    /// Another base than `https://slack.com/api`. Needs `token-env`.
    pub api_url: Option<String>,
    /// Only incidents that are or were at least as bad as this. Default: all.
    pub severity: Option<Severity>,
    /// Only what happens in these environments. Default: all.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Which events are sent. Default: incident-opened, incident-updated, severity-changed, escalated,
    /// incident-resolved and deployment-ended; with `token-env` all.
    pub events: Option<Vec<EventKind>>,
    /// Of the deployments that end, only those that did not end well. Default: true with `url-env`, false with
    /// `token-env`.
    pub only_failed: Option<bool>,
}

impl SinkConfig for SlackSink {
    common_fields!(
        events: |sink| if sink.token_env.is_some() { &EventKind::ALL } else { OF_CHATS },
        only_failed: |sink| sink.token_env.is_none()
    );

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        match (&self.url_env, &self.token_env) {
            (Some(url), None) => spot.key("url-env").a_variable(url)?,
            (None, Some(token)) => spot.key("token-env").a_variable(token)?,
            (Some(_), Some(_)) => {
                let fault = spot.key("token-env");
                let fault = fault.fault("`url-env` and `token-env` exclude each other");
                return Err(fault.hint("with a bot's token the webhook is not needed"));
            }
            (None, None) => {
                let fault = spot.fault("neither `url-env` nor `token-env` is given");
                return Err(fault.hint(
                    "add `url-env: SLACK_WEBHOOK` with a webhook's URL, or `token-env: SLACK_TOKEN` and `channel:`",
                ));
            }
        }
        for (key, value) in [("channel", &self.channel), ("api-url", &self.api_url)] {
            if value.is_some() && self.token_env.is_none() {
                let fault = spot.key(key).fault(format!("`{key}` needs `token-env`"));
                return Err(fault.hint("a webhook posts to the channel that it was made for"));
            }
        }
        match &self.channel {
            Some(channel) => spot.key("channel").plain(channel, "-_.#")?,
            None if self.token_env.is_some() => {
                let fault = spot.fault("`channel` is missing");
                return Err(fault
                    .hint("add `channel: C0123456789`: the end of the channel's link in Slack"));
            }
            None => {}
        }
        match &self.api_url {
            Some(url) => spot.key("api-url").http_url(url),
            None => Ok(()),
        }
    }
}

/// A channel of Microsoft Teams, by the webhook of a workflow ("Post to a channel when a webhook request is
/// received").
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TeamsSink {
    /// The sink's name.
    pub name: String,
    /// The environment variable that holds the workflow's URL.
    pub url_env: String,
    /// Only incidents that are or were at least as bad as this. Default: all.
    pub severity: Option<Severity>,
    /// Only what happens in these environments. Default: all.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Which events are sent. Default: incident-opened, incident-updated, severity-changed, escalated,
    /// incident-resolved and deployment-ended.
    pub events: Option<Vec<EventKind>>,
    /// Of the deployments that end, only those that did not end well. Default: true.
    pub only_failed: Option<bool>,
}

impl SinkConfig for TeamsSink {
    common_fields!(events: |_| OF_CHATS, only_failed: |_| true);

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("url-env").a_variable(&self.url_env)
    }
}

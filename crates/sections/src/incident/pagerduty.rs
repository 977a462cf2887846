//! PagerDuty.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::sink_config::{SinkConfig, common_fields};
use super::{EventKind, Severity};
use crate::spot::KeyPosition;

/// What a pager hears of: incidents page, and an ended deployment is a change event, which does not page.
const OF_PAGERS: &[EventKind] = &[
    EventKind::IncidentOpened,
    EventKind::SeverityChanged,
    EventKind::Escalated,
    EventKind::IncidentResolved,
    EventKind::DeploymentEnded,
];

/// A service of PagerDuty, by its Events API v2. An incident triggers one alert and resolves it; each
/// deployment that ended is a change event, which does not page.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PagerdutySink {
    /// The sink's name.
    pub name: String,
    /// The environment variable that holds the integration's routing key.
    pub routing_key_env: String,
    /// Another base than `https://events.pagerduty.com`; `/v2/enqueue` and `/v2/change/enqueue` are added.
    pub url: Option<String>,
    /// Only incidents that are or were at least as bad as this. Default: all.
    pub severity: Option<Severity>,
    /// Only what happens in these environments. Default: all.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Which events are sent. Default: incident-opened, severity-changed, escalated, incident-resolved and
    /// deployment-ended.
    pub events: Option<Vec<EventKind>>,
    /// Of the deployments that end, only those that did not end well. Default: false.
    pub only_failed: Option<bool>,
}

impl SinkConfig for PagerdutySink {
    common_fields!(events: |_| OF_PAGERS, only_failed: |_| false);

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("routing-key-env")
            .a_variable(&self.routing_key_env)?;
        match &self.url {
            Some(url) => spot.key("url").http_url(url),
            None => Ok(()),
        }
    }
}

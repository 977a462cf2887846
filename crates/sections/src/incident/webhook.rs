//! A webhook of the user's own.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::sink_config::{SinkConfig, common_fields};
use super::{EventKind, Severity};
use crate::spot::KeyPosition;

/// A URL of yours that takes JSON by POST.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WebhookSink {
    /// The sink's name.
    pub name: String,
    /// The environment variable that holds the URL.
    pub url_env: String,
    /// The environment variable that holds a key: the body is signed with it, as
    /// `X-Deploy-Guard-Signature: sha256=…`. Default: no signature.
    pub hmac_key_env: Option<String>,
    /// A file with the body as a template; what it makes must be JSON. Default: the body of the documentation.
    pub template: Option<PathBuf>,
    /// Only incidents that are or were at least as bad as this. Default: all.
    pub severity: Option<Severity>,
    /// Only what happens in these environments. Default: all.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Which events are sent. Default: all.
    pub events: Option<Vec<EventKind>>,
    /// Of the deployments that end, only those that did not end well. Default: false.
    pub only_failed: Option<bool>,
}

impl SinkConfig for WebhookSink {
    common_fields!(events: |_| &EventKind::ALL, only_failed: |_| false);

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("url-env").a_variable(&self.url_env)?;
        if let Some(key) = &self.hmac_key_env {
            spot.key("hmac-key-env").a_variable(key)?;
        }
        match &self.template {
            Some(file) => spot.key("template").a_file(file, true),
            None => Ok(()),
        }
    }
}

//! The log of the job.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::sink_config::{SinkConfig, common_fields};
use super::{EventKind, Severity};
use crate::spot::KeyPosition;

/// A line per event in the log of the job: on stderr, because stdout has the report.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StdoutSink {
    /// The sink's name.
    pub name: String,
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

impl SinkConfig for StdoutSink {
    common_fields!(events: |_| &EventKind::ALL, only_failed: |_| false);

    fn check(&self, _: KeyPosition<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

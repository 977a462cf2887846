//! Who is asked before a rollback.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::file::ReleaseSource;

/// A way in to the service, which `rollback decide` asks for the release that answers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WayIn {
    /// The way's name, such as `proxy` or `new-instance`.
    pub name: String,
    /// The URL, and where the release stands in its answer.
    pub release: ReleaseSource,
    /// Whether users come this way. What another way answers is shown and decides nothing.
    #[serde(default)]
    pub traffic: bool,
    /// The host under `hosts:` to ask from, over SSH: `localhost` is that host. Default: from here.
    pub via: Option<String>,
}

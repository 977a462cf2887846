//! The schema that the database has, as `migrate` proved it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::forced::Forced;

/// The schema that the database has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSchema {
    /// The revision, as the migration tool calls it.
    pub revision: String,
    /// The one before; `null` where the database had none.
    #[serde(default)]
    pub previous: Option<String>,
    /// When the tool's tables proved it.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The release for which it was changed.
    #[serde(default)]
    pub release: Option<String>,
    /// The workflow run that changed it.
    #[serde(default)]
    pub run: Option<String>,
    /// Who changed it.
    pub by: String,
    /// The safety rules that were lifted so that it could be changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forced: Vec<Forced>,
}

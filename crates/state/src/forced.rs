//! What is kept of a safety rule that a person lifted.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A safety rule that a person lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forced {
    /// The rule's name, such as `window`.
    pub rule: String,
    pub reason: String,
    pub by: String,
    #[schemars(with = "String")]
    pub at: Timestamp,
}

//! What `migrate` noted for later: backups that it took, and changes that it tried on a copy.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A backup of the database that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeptBackup {
    /// As `migrate restore --backup` takes it.
    pub id: String,
    /// The dump.
    pub path: String,
    /// When the database was as the backup has it.
    #[schemars(with = "String")]
    pub taken: Timestamp,
    /// The revision of the schema in it.
    #[serde(default)]
    pub schema: Option<String>,
}

/// A migration as it was when it was tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RehearsedMigration {
    pub id: String,
    /// The SHA-256 of its file.
    pub sha256: String,
}

/// A change of the schema that was tried on a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The revision before.
    #[serde(default)]
    pub revision: Option<String>,
    /// In their order.
    pub migrations: Vec<RehearsedMigration>,
    /// It was applied, and neither its way down nor the release before is a reason not to.
    pub passed: bool,
    /// Undone, it leaves no trace in schema and rows.
    pub reversible: bool,
    /// The release before works with it; `null` where that is not known.
    #[serde(default)]
    pub compatible: Option<bool>,
    /// It loses rows or values that the way down does not bring back.
    pub destructive: bool,
    /// Of all this, what is to be known.
    #[serde(default)]
    pub reason: Option<String>,
    /// The release before, whose test was run.
    #[serde(default)]
    pub release: Option<String>,
    /// The backup that it was tried on; `null` where the database was copied.
    #[serde(default)]
    pub backup: Option<String>,
    /// On the copy.
    pub took_ms: u64,
}

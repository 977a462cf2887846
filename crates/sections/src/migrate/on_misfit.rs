//! What a rollback does where the database's schema does not fit.

use schemars::JsonSchema;
use serde::Deserialize;

/// What follows where the release to go to does not work with the schema that the database has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnMisfit {
    /// The rollback is refused, with the next step.
    #[default]
    Refuse,
    /// The migrations in between are undone first, where `migrate rehearse` undid them on a copy and found the
    /// schema of before; else the rollback is refused.
    Undo,
}

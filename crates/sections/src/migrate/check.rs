//! What preflight asks before the schema is changed.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use values::{Span, Weight};
use yaml::Fault;

use crate::KeyPosition;

/// The pending migrations, and whether the database is ready for them: nothing is wrong, their SQL passes the
/// rules, they were rehearsed where `migrate.rehearse.required` wants it, no transaction is open for long, and the
/// replicas follow. A table that would be written again is named with its size.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MigrationsCheck {
    /// How long a transaction may be open: a change of the schema waits for it, and everyone behind it. Default 1m.
    #[serde(default = "max_transaction")]
    pub max_transaction: Span,
    /// How far a replica may be behind. Default 30s.
    #[serde(default = "max_lag")]
    pub max_lag: Span,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

impl MigrationsCheck {
    /// The rules that its type cannot state.
    pub fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("max-transaction")
            .some_time(Some(self.max_transaction))?;
        spot.key("max-lag").some_time(Some(self.max_lag))
    }
}

fn max_transaction() -> Span {
    Span::from_secs(60)
}

fn max_lag() -> Span {
    Span::from_secs(30)
}

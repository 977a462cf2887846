//! Flyway.

use crate::facts::{Dialect, FACTS as COMMON, Facts, SQL_WAYS, SafeWays};
use crate::transaction::Transaction;

pub(crate) const FACTS: Facts = Facts {
    name: "flyway",
    programs: &["flyway"],
    calls: &[&["flyway"]],
    mentions: &["flyway"],
    folders: &["flyway"],
    transaction: Transaction::Whole,
    own_tables: &["flyway_schema_history"],
    undoes: |_, name| name.starts_with('u') && name.contains("__"),
    dialect: Dialect::Placeholders,
    ways: SafeWays {
        outside_transaction: "in a migration of its own with `executeInTransaction=false` in its `.conf` file",
        ..SQL_WAYS
    },
    ..COMMON
};

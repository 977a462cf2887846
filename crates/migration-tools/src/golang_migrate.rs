//! golang-migrate.

use crate::facts::{FACTS as COMMON, Facts, SQL_WAYS, SafeWays};
use crate::transaction::Transaction;

pub(crate) const FACTS: Facts = Facts {
    name: "golang-migrate",
    programs: &["migrate"],
    calls: &[&["migrate", "-path"]],
    mentions: &["migrate -path"],
    transaction: Transaction::Implicit,
    own_tables: &["schema_migrations"],
    undoes: |_, name| name.ends_with(".down.sql"),
    ways: SafeWays {
        outside_transaction: "as the only statement of a migration of its own: several are one transaction",
        ..SQL_WAYS
    },
    ..COMMON
};

//! Prisma Migrate.

use crate::facts::{FACTS as COMMON, Facts, SQL_WAYS, SafeWays};
use crate::transaction::Transaction;

pub(crate) const FACTS: Facts = Facts {
    name: "prisma",
    calls: &[&["prisma", "migrate"]],
    mentions: &["migrate deploy"],
    transaction: Transaction::Implicit,
    own_tables: &["_prisma_migrations"],
    ways: SafeWays {
        outside_transaction: "as the only statement of a migration of its own: several are one transaction",
        forget_column: "has it marked `@ignore` in the schema",
        ..SQL_WAYS
    },
    ..COMMON
};

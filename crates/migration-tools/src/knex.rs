//! knex.

use crate::facts::{FACTS as COMMON, Facts, SQL_WAYS, SafeWays};
use crate::transaction::Transaction;

pub(crate) const FACTS: Facts = Facts {
    name: "knex",
    calls: &[&["knex"]],
    mentions: &["knex migrate"],
    transaction: Transaction::Whole,
    own_tables: &["knex_migrations", "knex_migrations_lock"],
    ways: SafeWays {
        outside_transaction: "in a migration of its own with `exports.config = { transaction: false }`",
        create_index: "`knex.raw('CREATE INDEX CONCURRENTLY ...')`",
        drop_index: "`knex.raw('DROP INDEX CONCURRENTLY ...')`",
        validate: "`knex.raw('ALTER TABLE ... VALIDATE CONSTRAINT ...')`",
        ..SQL_WAYS
    },
    ..COMMON
};

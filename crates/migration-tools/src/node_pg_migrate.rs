//! node-pg-migrate.

use crate::facts::{FACTS as COMMON, Facts, Markers, SQL_WAYS, SafeWays};
use crate::transaction::Transaction;

pub(crate) const MARKERS: Markers = Markers {
    up: "up migration",
    down: "down migration",
};

pub(crate) const FACTS: Facts = Facts {
    name: "node-pg-migrate",
    calls: &[&["node-pg-migrate"]],
    mentions: &["node-pg-migrate"],
    transaction: Transaction::Whole,
    own_tables: &["pgmigrations"],
    markers: &[MARKERS],
    ways: SafeWays {
        outside_transaction: "in a migration of its own that calls `pgm.noTransaction()`",
        create_index: "`pgm.createIndex(..., { concurrently: true })`",
        drop_index: "`pgm.dropIndex(..., { concurrently: true })`",
        validate: "`pgm.sql('ALTER TABLE ... VALIDATE CONSTRAINT ...')`",
        ..SQL_WAYS
    },
    ..COMMON
};

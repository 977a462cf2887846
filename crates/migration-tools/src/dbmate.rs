//! dbmate.

use crate::facts::{FACTS as COMMON, Facts, Markers, SQL_WAYS, SafeWays};
use crate::transaction::Transaction;

pub(crate) const MARKERS: Markers = Markers {
    up: "migrate:up",
    down: "migrate:down",
};

pub(crate) const FACTS: Facts = Facts {
    name: "dbmate",
    programs: &["dbmate"],
    calls: &[&["dbmate"]],
    mentions: &["dbmate"],
    transaction: Transaction::Whole,
    own_tables: &["schema_migrations"],
    markers: &[MARKERS],
    applies_before_markers: false,
    ways: SafeWays {
        outside_transaction: "in a migration of its own below `-- migrate:up transaction:false`",
        ..SQL_WAYS
    },
    ..COMMON
};

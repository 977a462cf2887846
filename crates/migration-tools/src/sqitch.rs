//! Sqitch.

use crate::facts::{Dialect, FACTS as COMMON, Facts, SQL_WAYS, SafeWays};

pub(crate) const FACTS: Facts = Facts {
    name: "sqitch",
    programs: &["sqitch"],
    calls: &[&["sqitch"]],
    mentions: &["sqitch"],
    has_own_transactions: true,
    undoes: |path, _| {
        let mut folders = path.rsplit('/').skip(1).take(2);
        folders.any(|folder| matches!(folder, "revert" | "verify"))
    },
    dialect: Dialect::Psql,
    ways: SafeWays {
        outside_transaction: "in a change of its own without BEGIN and COMMIT",
        ..SQL_WAYS
    },
    ..COMMON
};

//! Active Record of Ruby on Rails.

use crate::facts::{FACTS as COMMON, Facts, SafeWays};
use crate::transaction::Transaction;

pub(crate) const FACTS: Facts = Facts {
    name: "rails",
    calls: &[&["rails", "db:migrate"], &["rake", "db:migrate"]],
    mentions: &["db:migrate"],
    folders: &["db/migrate"],
    transaction: Transaction::Whole,
    own_tables: &["schema_migrations", "ar_internal_metadata"],
    ways: SafeWays {
        outside_transaction: "in a migration of its own with `disable_ddl_transaction!`",
        create_index: "`add_index ..., algorithm: :concurrently`",
        drop_index: "`remove_index ..., algorithm: :concurrently`",
        foreign_key_not_valid: "`add_foreign_key ..., validate: false`",
        check_not_valid: "`add_check_constraint ..., validate: false`",
        validate: "`validate_foreign_key` or `validate_check_constraint`",
        forget_column: "names it in `self.ignored_columns`",
    },
    ..COMMON
};

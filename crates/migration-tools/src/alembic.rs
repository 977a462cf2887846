//! Alembic, which prints BEGIN and COMMIT.

use crate::facts::{FACTS as COMMON, Facts, SQL_WAYS, SafeWays};

pub(crate) const FACTS: Facts = Facts {
    name: "alembic",
    programs: &["alembic"],
    calls: &[&["alembic"], &["flask", "db"]],
    mentions: &["alembic"],
    folders: &["alembic"],
    own_tables: &["alembic_version"],
    ways: SafeWays {
        outside_transaction: "inside `with op.get_context().autocommit_block():`",
        create_index: "`op.create_index(..., postgresql_concurrently=True)`",
        drop_index: "`op.drop_index(..., postgresql_concurrently=True)`",
        foreign_key_not_valid: "`op.create_foreign_key(..., postgresql_not_valid=True)`",
        check_not_valid: "`op.create_check_constraint(..., postgresql_not_valid=True)`",
        validate: "`op.execute(\"ALTER TABLE ... VALIDATE CONSTRAINT ...\")`",
        ..SQL_WAYS
    },
    ..COMMON
};

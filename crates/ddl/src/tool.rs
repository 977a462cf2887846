//! The migration tools, by what their files and their words are.

use crate::transaction::Transaction;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    Alembic,
    Django,
    Knex,
    NodePgMigrate,
    Dbmate,
    Sqitch,
    Flyway,
    Prisma,
    Rails,
    GolangMigrate,
    /// A command of the user's own.
    Command,
}

impl Tool {
    pub const ALL: [Tool; 11] = [
        Tool::Alembic,
        Tool::Django,
        Tool::Knex,
        Tool::NodePgMigrate,
        Tool::Dbmate,
        Tool::Sqitch,
        Tool::Flyway,
        Tool::Prisma,
        Tool::Rails,
        Tool::GolangMigrate,
        Tool::Command,
    ];

    /// As the configuration names it.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Alembic => "alembic",
            Tool::Django => "django",
            Tool::Knex => "knex",
            Tool::NodePgMigrate => "node-pg-migrate",
            Tool::Dbmate => "dbmate",
            Tool::Sqitch => "sqitch",
            Tool::Flyway => "flyway",
            Tool::Prisma => "prisma",
            Tool::Rails => "rails",
            Tool::GolangMigrate => "golang-migrate",
            Tool::Command => "command",
        }
    }

    /// The tool of a name; an unknown one is the user's own.
    pub fn named(name: &str) -> Tool {
        let known = Tool::ALL.into_iter().find(|tool| tool.name() == name);
        known.unwrap_or(Tool::Command)
    }

    /// What the tool does without being told otherwise. Alembic and Django print BEGIN and COMMIT.
    pub fn transaction(self) -> Transaction {
        match self {
            Tool::Knex | Tool::NodePgMigrate | Tool::Dbmate | Tool::Flyway | Tool::Rails => {
                Transaction::Whole
            }
            Tool::Prisma | Tool::GolangMigrate => Transaction::Implicit,
            Tool::Alembic | Tool::Django | Tool::Sqitch | Tool::Command => Transaction::AsWritten,
        }
    }

    /// The tables in which the tool keeps what it has applied.
    pub fn own_tables(self) -> &'static [&'static str] {
        match self {
            Tool::Alembic => &["alembic_version"],
            Tool::Django => &["django_migrations"],
            Tool::Knex => &["knex_migrations", "knex_migrations_lock"],
            Tool::NodePgMigrate => &["pgmigrations"],
            Tool::Dbmate | Tool::GolangMigrate => &["schema_migrations"],
            Tool::Flyway => &["flyway_schema_history"],
            Tool::Prisma => &["_prisma_migrations"],
            Tool::Rails => &["schema_migrations", "ar_internal_metadata"],
            Tool::Sqitch | Tool::Command => &[],
        }
    }

    /// How a statement is kept out of the migration's transaction; fits after "run it".
    pub(crate) fn outside_transaction(self) -> &'static str {
        match self {
            Tool::Alembic => "inside `with op.get_context().autocommit_block():`",
            Tool::Django => "in a migration of its own with `atomic = False`",
            Tool::Knex => {
                "in a migration of its own with `exports.config = { transaction: false }`"
            }
            Tool::NodePgMigrate => "in a migration of its own that calls `pgm.noTransaction()`",
            Tool::Dbmate => "in a migration of its own below `-- migrate:up transaction:false`",
            Tool::Sqitch => "in a change of its own without BEGIN and COMMIT",
            Tool::Flyway => {
                "in a migration of its own with `executeInTransaction=false` in its `.conf` file"
            }
            Tool::Prisma | Tool::GolangMigrate => {
                "as the only statement of a migration of its own: several are one transaction"
            }
            Tool::Rails => "in a migration of its own with `disable_ddl_transaction!`",
            Tool::Command => "outside a transaction, in a migration of its own",
        }
    }

    pub(crate) fn create_index(self) -> &'static str {
        match self {
            Tool::Alembic => "`op.create_index(..., postgresql_concurrently=True)`",
            Tool::Django => "`AddIndexConcurrently` of `django.contrib.postgres.operations`",
            Tool::Knex => "`knex.raw('CREATE INDEX CONCURRENTLY ...')`",
            Tool::NodePgMigrate => "`pgm.createIndex(..., { concurrently: true })`",
            Tool::Rails => "`add_index ..., algorithm: :concurrently`",
            _ => "`CREATE INDEX CONCURRENTLY`",
        }
    }

    pub(crate) fn drop_index(self) -> &'static str {
        match self {
            Tool::Alembic => "`op.drop_index(..., postgresql_concurrently=True)`",
            Tool::Django => "`RemoveIndexConcurrently` of `django.contrib.postgres.operations`",
            Tool::Knex => "`knex.raw('DROP INDEX CONCURRENTLY ...')`",
            Tool::NodePgMigrate => "`pgm.dropIndex(..., { concurrently: true })`",
            Tool::Rails => "`remove_index ..., algorithm: :concurrently`",
            _ => "`DROP INDEX CONCURRENTLY`",
        }
    }

    /// A foreign key that is not checked yet.
    pub(crate) fn foreign_key_not_valid(self) -> &'static str {
        match self {
            Tool::Alembic => "`op.create_foreign_key(..., postgresql_not_valid=True)`",
            Tool::Django => {
                "the field with `db_constraint=False`, and `RunSQL` with `ADD FOREIGN KEY ... NOT VALID`"
            }
            Tool::Rails => "`add_foreign_key ..., validate: false`",
            _ => "`ADD FOREIGN KEY ... NOT VALID`",
        }
    }

    /// A check that is not made yet.
    pub(crate) fn check_not_valid(self) -> &'static str {
        match self {
            Tool::Alembic => "`op.create_check_constraint(..., postgresql_not_valid=True)`",
            Tool::Django => "`AddConstraintNotValid` of `django.contrib.postgres.operations`",
            Tool::Rails => "`add_check_constraint ..., validate: false`",
            _ => "`ADD CONSTRAINT ... CHECK (...) NOT VALID`",
        }
    }

    pub(crate) fn validate(self) -> &'static str {
        match self {
            Tool::Alembic => "`op.execute(\"ALTER TABLE ... VALIDATE CONSTRAINT ...\")`",
            Tool::Django => "`ValidateConstraint` of `django.contrib.postgres.operations`",
            Tool::Knex => "`knex.raw('ALTER TABLE ... VALIDATE CONSTRAINT ...')`",
            Tool::NodePgMigrate => "`pgm.sql('ALTER TABLE ... VALIDATE CONSTRAINT ...')`",
            Tool::Rails => "`validate_foreign_key` or `validate_check_constraint`",
            _ => "`ALTER TABLE ... VALIDATE CONSTRAINT ...`",
        }
    }

    /// How the code forgets a column before the database does; fits after "first release code that".
    pub(crate) fn forget_column(self) -> &'static str {
        match self {
            Tool::Django => {
                "does not use it, with `RemoveField` in the `state_operations` of `SeparateDatabaseAndState`"
            }
            Tool::Rails => "names it in `self.ignored_columns`",
            Tool::Prisma => "has it marked `@ignore` in the schema",
            _ => "does not use it",
        }
    }
}

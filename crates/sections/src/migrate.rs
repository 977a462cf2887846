//! `migrate:` — which tool migrates the database, and how.

mod command;
mod node;
mod python;
mod sql_files;
mod tool_config;

pub use command::CommandTool;
pub use node::{Knex, NodePgMigrate, Prisma};
pub use python::{Alembic, Django};
pub use sql_files::{Dbmate, Flyway, GolangMigrate, Rails, Sqitch};
pub use tool_config::ToolConfig;

/// The kinds of migration tool, a row each: the field of the section and its type. `$with!` gets the
/// rows.
#[macro_export]
macro_rules! tool_kinds {
    ($with:ident) => {
        $with! {
            /// Alembic, with or without Flask-Migrate.
            alembic: Alembic,
            /// Django's own migrations.
            django: Django,
            /// knex.
            knex: Knex,
            /// node-pg-migrate.
            node_pg_migrate: NodePgMigrate,
            /// dbmate.
            dbmate: Dbmate,
            /// Sqitch.
            sqitch: Sqitch,
            /// Flyway.
            flyway: Flyway,
            /// Prisma Migrate.
            prisma: Prisma,
            /// Active Record of Ruby on Rails.
            rails: Rails,
            /// golang-migrate.
            golang_migrate: GolangMigrate,
            /// Commands and queries of yours.
            command: CommandTool,
        }
    };
}

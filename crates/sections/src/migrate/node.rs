//! Tools of Node.js.

use schemars::JsonSchema;
use serde::Deserialize;
use values::ShellText;

use super::tool_config::tool_config;

/// knex.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Knex {
    /// The folder with the migrations. Default: `migrations`.
    pub folder: Option<String>,
    /// The knexfile (`--knexfile`). Default: what knex finds.
    pub knexfile: Option<String>,
    /// The environment in the knexfile (`--env`). Default: the value of `NODE_ENV`.
    pub environment: Option<String>,
    /// The table with the applied migrations. Default: `knex_migrations`. The lock is in the table of
    /// that name with `_lock` behind it.
    pub table: Option<String>,
    /// The schema of that table. Default: the connection's search path.
    pub schema: Option<String>,
    /// What calls knex. Default: `npx knex`.
    pub command: Option<ShellText>,
}

tool_config!(Knex {
    identifiers: [table, schema],
    paths: [folder, knexfile, environment]
});

/// node-pg-migrate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NodePgMigrate {
    /// The folder with the migrations (`--migrations-dir`). Default: `migrations`.
    pub folder: Option<String>,
    /// The table with the applied migrations (`--migrations-table`). Default: `pgmigrations`.
    pub table: Option<String>,
    /// The schema of that table (`--migrations-schema`). Default: `public`.
    pub schema: Option<String>,
    /// What calls node-pg-migrate. Default: `npx node-pg-migrate`.
    pub command: Option<ShellText>,
}

tool_config!(NodePgMigrate {
    identifiers: [table, schema],
    paths: [folder]
});

/// Prisma Migrate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Prisma {
    /// The folder with the migrations, or the one with `schema.prisma` that has them in `migrations`.
    /// Default: `prisma`.
    pub folder: Option<String>,
    /// The schema of the database that Prisma's table is in, the `schema` of its URL. Default: the
    /// connection's search path.
    pub schema: Option<String>,
    /// What calls Prisma. Default: `npx prisma`.
    pub command: Option<ShellText>,
}

tool_config!(Prisma {
    identifiers: [schema],
    paths: [folder]
});

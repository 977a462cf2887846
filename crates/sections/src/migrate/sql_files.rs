//! Tools whose migrations are SQL, and Active Record.

use schemars::JsonSchema;
use serde::Deserialize;
use values::ShellText;

use super::tool_config::tool_config;

/// dbmate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dbmate {
    /// The folder with the migrations (`--migrations-dir`). Default: `db/migrations`.
    pub folder: Option<String>,
    /// The table with the applied versions (`--migrations-table`). Default: `schema_migrations`.
    pub table: Option<String>,
    /// The schema of that table. Default: the connection's search path.
    pub schema: Option<String>,
    /// What calls dbmate. Default: `dbmate`.
    pub command: Option<ShellText>,
}

tool_config!(Dbmate {
    identifiers: [table, schema],
    paths: [folder]
});

/// Sqitch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sqitch {
    /// The folder with `sqitch.conf`, where Sqitch is called. Default: the folder of the section.
    pub folder: Option<String>,
    /// The schema with Sqitch's tables; of MariaDB and MySQL, the database. Default: the `registry` of
    /// `sqitch.conf`, else `sqitch`.
    pub registry: Option<String>,
    /// The target that Sqitch deploys to, a name of `sqitch.conf` or a URI without a password. Default:
    /// the one of `sqitch.conf`.
    pub target: Option<String>,
    /// What calls Sqitch. Default: `sqitch`.
    pub command: Option<ShellText>,
}

tool_config!(Sqitch {
    identifiers: [registry],
    paths: [folder, target]
});

/// Flyway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Flyway {
    /// The folder with the migrations (`-locations=filesystem:…`). Default: `sql`.
    pub folder: Option<String>,
    /// The table with the history (`-table`). Default: `flyway_schema_history`.
    pub table: Option<String>,
    /// The schema of that table (`-defaultSchema`). Default: the connection's search path.
    pub schema: Option<String>,
    /// What calls Flyway. Default: `flyway`.
    pub command: Option<ShellText>,
}

tool_config!(Flyway {
    identifiers: [table, schema],
    paths: [folder]
});

/// golang-migrate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GolangMigrate {
    /// The folder with the migrations (`-path`). Default: `migrations`.
    pub folder: Option<String>,
    /// The table with the version (`x-migrations-table` of the URL). Default: `schema_migrations`.
    pub table: Option<String>,
    /// The schema of that table. Default: the connection's search path.
    pub schema: Option<String>,
    /// What calls golang-migrate. Default: `migrate`.
    pub command: Option<ShellText>,
}

tool_config!(GolangMigrate {
    identifiers: [table, schema],
    paths: [folder]
});

/// Active Record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rails {
    /// The folder with the migrations. Default: `db/migrate`.
    pub folder: Option<String>,
    /// The schema of the table `schema_migrations`. Default: the connection's search path.
    pub schema: Option<String>,
    /// What calls Rails. Default: `bin/rails`.
    pub command: Option<ShellText>,
}

tool_config!(Rails {
    identifiers: [schema],
    paths: [folder]
});

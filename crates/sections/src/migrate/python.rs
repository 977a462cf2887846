//! Tools of Python.

use schemars::JsonSchema;
use serde::Deserialize;
use values::ShellText;

use super::ToolConfig;
use super::tool_config::tool_config;

/// Alembic. `alembic: {}` reads `alembic.ini`, or `[tool.alembic]` in `pyproject.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Alembic {
    /// The configuration of Alembic (`-c`). Default: `alembic.ini`, else `migrations/alembic.ini`
    /// (Flask-Migrate).
    pub config: Option<String>,
    /// The section of that file (`-n`). Default: `alembic`.
    pub name: Option<String>,
    /// The folders with the revisions. Default: those of the configuration.
    #[serde(default)]
    pub versions: Vec<String>,
    /// The table with the current revision. Default: the `version_table` of `env.py` where it is a
    /// literal, else `alembic_version`.
    pub table: Option<String>,
    /// The schema of that table. Default: the `version_table_schema` of `env.py` where it is a literal,
    /// else the connection's search path.
    pub schema: Option<String>,
    /// What calls Alembic, such as `poetry run alembic`. Default: `alembic`.
    pub command: Option<ShellText>,
}

impl ToolConfig for Alembic {
    fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }

    fn identifiers(&self) -> Vec<(&'static str, Option<&str>)> {
        vec![
            ("table", self.table.as_deref()),
            ("schema", self.schema.as_deref()),
        ]
    }

    fn paths(&self) -> Vec<(&'static str, Option<&str>)> {
        let folders = self.versions.iter();
        let folders = folders.map(|folder| ("versions", Some(folder.as_str())));
        [
            ("config", self.config.as_deref()),
            ("name", self.name.as_deref()),
        ]
        .into_iter()
        .chain(folders)
        .collect()
    }
}

/// Django. `django: {}` calls `manage.py` and reads the `migrations` folders below its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Django {
    /// The project's `manage.py`. Default: `manage.py`.
    pub manage: Option<String>,
    /// The module with the settings (`--settings`). Default: what `manage.py` sets.
    pub settings: Option<String>,
    /// The folder below which the apps are. Default: that of `manage.py`.
    pub folder: Option<String>,
    /// The name of the database in `DATABASES` (`--database`). Default: Django's `default`.
    pub database: Option<String>,
    /// What calls `manage.py`, such as `poetry run python manage.py`. Default: `python` and `manage`.
    pub command: Option<ShellText>,
}

tool_config!(Django {
    identifiers: [],
    paths: [manage, settings, folder, database]
});

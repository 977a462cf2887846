//! The backup that must exist before anything is changed.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use values::{ShellText, Span};
use yaml::Fault;

use crate::KeyPosition;

/// The backup that must exist before anything is changed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MigrateBackup {
    /// The folder in which backups are kept. Default: `backups` beside the state.
    pub folder: Option<PathBuf>,
    /// A command of yours that takes the backup, run by `sh -c`: the last line that it prints is the path of the dump, which
    /// is read to its end like one of ours and stays where it is. Default: `pg_dump` or `mariadb-dump`.
    pub command: Option<ShellText>,
    /// How many are kept. Default 5.
    pub keep: u32,
    /// `run` takes a new backup unless the newest is at most so old. Default: it always takes one.
    pub max_age: Option<Span>,
    /// How long taking and reading one may take. Default 30m.
    pub timeout: Span,
    /// `false`: `run` changes the schema without one. Default true.
    pub required: bool,
}

impl Default for MigrateBackup {
    fn default() -> Self {
        MigrateBackup {
            folder: None,
            command: None,
            keep: 5,
            max_age: None,
            timeout: Span::from_secs(30 * 60),
            required: true,
        }
    }
}

impl MigrateBackup {
    pub(crate) fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if let Some(command) = &self.command {
            spot.key("command").some_text(command)?;
        }
        spot.key("keep").not_zero(self.keep == 0)?;
        spot.key("timeout").some_time(Some(self.timeout))
    }
}

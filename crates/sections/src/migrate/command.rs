//! A tool that we do not know.

use schemars::JsonSchema;
use serde::Deserialize;
use values::ShellText;
use yaml::Fault;

use super::ToolConfig;
use crate::spot::KeyPosition;

/// A tool of yours: its commands, run by `sh -c`, and where the truth about it is. `$RELEASE` is `--release`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommandTool {
    /// Applies all pending migrations.
    pub apply: ShellText,
    /// A query whose first column has the applied revisions, in their order; the last is the current one:
    /// `select version from schema_version order by installed_at`. A second column names them.
    pub current: String,
    /// A command that prints the pending revisions, a line each, in their order. With `folder`, the files show
    /// more: also which applied revisions have no file.
    pub pending: Option<ShellText>,
    /// The folder with the migrations: the name of each file, up to its first `_`, `.` or `-` or, where that
    /// is not an applied revision, without its extension, is the revision.
    pub folder: Option<String>,
    /// Undoes the migrations behind `$REVISION`, which is empty where all are undone.
    pub undo: Option<ShellText>,
    /// Prints the SQL of the pending migrations.
    pub sql: Option<ShellText>,
}

impl ToolConfig for CommandTool {
    fn command(&self) -> Option<&str> {
        None
    }

    fn paths(&self) -> Vec<(&'static str, Option<&str>)> {
        vec![("folder", self.folder.as_deref())]
    }

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let texts = [
            ("apply", Some(&*self.apply)),
            ("current", Some(self.current.as_str())),
            ("pending", self.pending.as_deref()),
            ("undo", self.undo.as_deref()),
            ("sql", self.sql.as_deref()),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                spot.key(key).some_text(text)?;
            }
        }
        let writes = [
            "insert", "update", "delete", "drop", "create", "alter", "truncate",
        ];
        let first = self.current.split_whitespace().next().unwrap_or_default();
        if writes.iter().any(|word| first.eq_ignore_ascii_case(word)) {
            let fault = spot.key("current").fault("`current` changes the database");
            return Err(fault.hint("write a query that only reads: `select version from …`"));
        }
        match (&self.pending, &self.folder) {
            (Some(_), Some(_)) => {
                spot.refuse("folder", "`pending` and `folder` exclude each other")
            }
            (None, None) => {
                let fault = spot.fault("neither `pending` nor `folder` is given");
                Err(fault.hint(
                    "add `folder: migrations`, or `pending:` with a command that prints revisions",
                ))
            }
            _ => Ok(()),
        }
    }
}

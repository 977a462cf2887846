//! The file of a migration as its tool reads it: which part is applied, and in which transaction.

use std::ops::Range;

use migration_tools::{Dialect, Facts, Markers, Tool, Transaction};

use crate::effect::StatementEffect;

/// Why a file has no SQL to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSqlError {
    #[error("it is a program, and its SQL is known only to the tool that runs it")]
    Program,
    #[error("it undoes a migration")]
    Undoes,
}

/// The SQL that a migration applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// As it is to be named in findings: a path from the repository's root, or a revision.
    pub file: String,
    pub tool: Tool,
    /// As long as the file and with its lines, so that places are those of the file. What is not
    /// applied, or is no SQL, is blank.
    pub sql: String,
    pub transaction: Transaction,
}

impl Migration {
    /// Reads a file of the tool's folder.
    pub fn read(tool: Tool, file: impl Into<String>, text: &str) -> Result<Migration, NoSqlError> {
        let file = file.into();
        let name = file.rsplit('/').next().unwrap_or_default().to_lowercase();
        if name.strip_suffix(".sql").is_none() {
            return Err(NoSqlError::Program);
        }
        if (tool.facts().undoes)(&file, &name) {
            return Err(NoSqlError::Undoes);
        }
        Ok(Migration::printed(tool, file, text))
    }

    /// Takes what the tool prints for a migration.
    pub fn printed(tool: Tool, file: impl Into<String>, text: &str) -> Migration {
        let facts = tool.facts();
        let mut transaction = facts.transaction;
        let mut sql = text.to_owned();
        for part in parts(facts, text) {
            match part {
                Part::Up { options } if options.contains("transaction:false") => {
                    transaction = Transaction::AsWritten;
                }
                Part::Up { .. } => {}
                Part::Other(range) => blank(&mut sql, range),
            }
        }
        match facts.dialect {
            Dialect::Sql => {}
            Dialect::Placeholders => placeholders(&mut sql),
            Dialect::Psql => psql_commands(&mut sql),
        }
        Migration {
            file: file.into(),
            tool,
            sql,
            transaction,
        }
    }

    /// Whether a statement only keeps the tool's own tables, which it does as it likes.
    pub fn is_of_the_tool(&self, effect: &StatementEffect) -> bool {
        let text = self.sql.get(effect.bytes.clone()).unwrap_or_default();
        let own = self.tool.facts().own_tables;
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| own.contains(&word))
    }

    /// The same where a file beside it says that it is not to be in a transaction: Flyway's
    /// `executeInTransaction=false`.
    pub fn without_transaction(mut self) -> Migration {
        self.transaction = Transaction::AsWritten;
        self
    }
}

enum Part<'a> {
    Up { options: &'a str },
    Other(Range<usize>),
}

/// The sections of a file. One without markers is applied as a whole.
fn parts<'t>(tool: &Facts, text: &'t str) -> Vec<Part<'t>> {
    let mut parts = Vec::new();
    let (mut at, mut from, mut up) = (0, 0, None);
    for line in text.split_inclusive('\n') {
        let comment = line.trim_start().strip_prefix("--").map(str::trim);
        let said = comment.map(str::to_lowercase).unwrap_or_default();
        for Markers {
            up: begins,
            down: ends,
        } in tool.markers
        {
            let marks = |marker: &str| {
                let rest = said.strip_prefix(marker);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
            };
            if marks(begins) {
                if up != Some(true) {
                    parts.push(Part::Other(from..at));
                }
                let options = comment.and_then(|comment| comment.get(begins.len()..));
                parts.push(Part::Up {
                    options: options.unwrap_or_default(),
                });
                up = Some(true);
            } else if marks(ends) {
                // What stands before any marker is applied, where none says what is.
                if up.is_none() && tool.applies_before_markers {
                    parts.push(Part::Up { options: "" });
                }
                (up, from) = (Some(false), at);
            }
        }
        at += line.len();
    }
    if up == Some(false) {
        parts.push(Part::Other(from..text.len()));
    }
    parts
}

/// Puts spaces in the place of bytes, and leaves the ends of lines.
fn blank(text: &mut String, range: Range<usize>) {
    let blanks: String = text[range.clone()]
        .chars()
        .flat_map(|c| {
            std::iter::repeat_n(if matches!(c, '\n' | '\r') { c } else { ' ' }, c.len_utf8())
        })
        .collect();
    text.replace_range(range, &blanks);
}

/// `${schema}` is a name or a word of it, known only to Flyway: a name of the same length takes its
/// place.
fn placeholders(text: &mut String) {
    let mut from = 0;
    while let Some(start) = text[from..].find("${").map(|at| from + at) {
        let Some(end) = text[start..].find('}').map(|at| start + at + 1) else {
            return;
        };
        let within = &text[start + 2..end - 1];
        if within.contains('\n') || !within.is_ascii() {
            from = start + 2;
            continue;
        }
        let name: String = within
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        text.replace_range(start..end, &format!("__{name}_"));
        from = end;
    }
}

/// psql's own commands: `\set`, `\i`.
fn psql_commands(text: &mut String) {
    let mut at = 0;
    let mut commands = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with('\\') {
            commands.push(at..at + line.len());
        }
        at += line.len();
    }
    for command in commands {
        blank(text, command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(tool: Tool, text: &str) -> String {
        let migration = Migration::printed(tool, "m.sql", text);
        assert_eq!(migration.sql.len(), text.len());
        assert_eq!(migration.sql.lines().count(), text.lines().count());
        let lines = migration
            .sql
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn only_the_part_that_applies_is_left() {
        let dbmate = "-- note é\n-- migrate:up\nSELECT 1;\n-- migrate:down\nDROP TABLE t;\n";
        assert_eq!(sql(Tool::Dbmate, dbmate), "-- migrate:up|SELECT 1;");
        let reversed = "-- migrate:down\nDROP TABLE t;\n-- migrate:up\nSELECT 1;";
        assert_eq!(sql(Tool::Dbmate, reversed), "-- migrate:up|SELECT 1;");
        let node = "-- Up Migration\nSELECT 1;\n-- Down Migration\nDROP TABLE t;";
        assert_eq!(sql(Tool::NodePgMigrate, node), "-- Up Migration|SELECT 1;");
        let unmarked = "SELECT 1;\n-- Down Migration\nDROP TABLE t;";
        assert_eq!(sql(Tool::NodePgMigrate, unmarked), "SELECT 1;");
        let goose =
            "-- +goose Up\nSELECT 1;\n-- +goose Down\nDROP TABLE t;\n-- +goose Up\nSELECT 2;";
        assert_eq!(
            sql(Tool::CommandTool, goose),
            "-- +goose Up|SELECT 1;|-- +goose Up|SELECT 2;"
        );
        let plain = "SELECT 1;\n-- migrate:uphill\nSELECT 2;";
        assert_eq!(
            sql(Tool::Dbmate, plain),
            "SELECT 1;|-- migrate:uphill|SELECT 2;"
        );
    }

    #[test]
    fn a_file_may_ask_for_no_transaction() {
        let text = "-- migrate:up transaction:false\nSELECT 1;";
        let migration = Migration::printed(Tool::Dbmate, "m.sql", text);
        assert_eq!(migration.transaction, Transaction::AsWritten);
        let migration = Migration::printed(Tool::Dbmate, "m.sql", "-- migrate:up\nSELECT 1;");
        assert_eq!(migration.transaction, Transaction::Whole);
        let migration =
            Migration::printed(Tool::Flyway, "m.sql", "SELECT 1;").without_transaction();
        assert_eq!(migration.transaction, Transaction::AsWritten);
    }

    #[test]
    fn what_is_no_sql_is_told() {
        for (tool, file, wanted) in [
            (Tool::Alembic, "versions/1_a.py", Some(NoSqlError::Program)),
            (Tool::Knex, "migrations/1_a.js", Some(NoSqlError::Program)),
            (
                Tool::GolangMigrate,
                "m/1_a.down.sql",
                Some(NoSqlError::Undoes),
            ),
            (Tool::GolangMigrate, "m/1_a.up.sql", None),
            (Tool::Flyway, "sql/U2__a.sql", Some(NoSqlError::Undoes)),
            (Tool::Flyway, "sql/V2__a.sql", None),
            (Tool::Sqitch, "revert/a.sql", Some(NoSqlError::Undoes)),
            (Tool::Sqitch, "deploy/a.sql", None),
        ] {
            assert_eq!(Migration::read(tool, file, "").err(), wanted, "{file}");
        }
    }

    #[test]
    fn placeholders_and_commands_of_psql_are_no_sql() {
        assert_eq!(
            sql(Tool::Flyway, "DROP TABLE ${shop}.t; -- ${"),
            "DROP TABLE __shop_.t; -- ${"
        );
        assert_eq!(sql(Tool::Flyway, "${a:b c}"), "__a_b_c_");
        assert_eq!(
            sql(Tool::Sqitch, "\\set ON_ERROR_STOP 1\nSELECT 1;"),
            "SELECT 1;"
        );
    }
}

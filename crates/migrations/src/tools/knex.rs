//! knex: scripts in the order of their names, a table with the names of those that were run, and a
//! table with a lock that a killed run leaves behind where it is not a transaction: on MariaDB, and where
//! a migration asks for none.
//!
//! `knex migrate:list` looks normal while the lock keeps every run out (knex 3.3).

use database::System;
use sections::migrate::Knex;

use crate::command::{Command, Pending, Transactions, UndoError};
use crate::error::Error;
use crate::files::stem;
use crate::files::{FileRequest, Tree};
use crate::finding::{Finding, FindingKind};
use crate::handover::Handover;
use crate::kinds::Configured;
use crate::line::{LinearHistory, textual};
use crate::reading::{Applied, Migration, Reading};
use crate::sql::undo_of_script;
use crate::steps::undo_each;
use crate::tool::{Tool, usual_next};
use crate::tool_query::{Query, Table, ToolAnswers, cell, is_true, maybe};

/// Those that knex loads, and `.mjs`, which it loads where `loadExtensions` says so.
const EXTENSIONS: [&str; 10] = [
    "co",
    "coffee",
    "eg",
    "iced",
    "js",
    "cjs",
    "litcoffee",
    "ls",
    "ts",
    "mjs",
];

impl Configured<Knex> {
    fn folder(&self) -> &str {
        self.config.folder.as_deref().unwrap_or("migrations")
    }

    fn call<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Command {
        let call = self.config.command.as_ref();
        let mut command = Command::calling(call, "npx knex", words);
        for (flag, value) in [
            ("--knexfile", &self.config.knexfile),
            ("--env", &self.config.environment),
        ] {
            if let Some(value) = value {
                command = command.and([flag, value.as_str()]);
            }
        }
        command
    }
}

impl Tool for Configured<Knex> {
    fn migration_files(&self, _: &Tree) -> Result<Vec<FileRequest>, Error> {
        let names: Vec<String> = EXTENSIONS.iter().map(|end| format!("*.{end}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(vec![FileRequest::folder(self.folder(), &names)])
    }

    fn queries(&self, system: System, _: &Tree) -> Vec<Query> {
        let Knex { table, schema, .. } = &self.config;
        let name = table.as_deref().unwrap_or("knex_migrations");
        let applied = Table::new(schema.as_deref(), name);
        let lock = Table::new(schema.as_deref(), &format!("{name}_lock"));
        vec![
            Query::of(applied, &["name", "migration_time"], "ORDER BY id", system),
            Query::of(lock, &["is_locked"], "", system),
        ]
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        seen.files.must_have(self.folder())?;
        let files = seen.files.below(self.folder()).map(|(path, name, bytes)| {
            let text = String::from_utf8_lossy(bytes);
            Migration {
                id: name.to_owned(),
                // A build changes the extension, and knex takes it for another migration then.
                name: Some(stem(name).to_owned()),
                path: path.to_owned(),
                undo: undo_of_script(&text),
                without_transaction: text.contains("transaction: false"),
                ..Migration::default()
            }
        });
        let applied = seen.rows(0).iter().map(|row| Applied {
            id: cell(row, 0).to_owned(),
            name: Some(stem(cell(row, 0)).to_owned()),
            checksum: None,
            at: maybe(row, 1),
        });
        let line = LinearHistory {
            applied: applied.collect(),
            files: files.collect(),
            order: textual,
        };
        let mut reading = line.read(seen);
        if seen.rows(1).iter().any(|row| is_true(cell(row, 0))) {
            let (by, since) = (None, None);
            reading.find(FindingKind::Locked { by, since }, None);
        }
        Ok(reading)
    }

    fn apply(&self, _: &Reading) -> Command {
        self.call(["migrate:latest"])
    }

    /// `migrate:rollback` would undo a whole batch.
    fn undo(&self, reading: &Reading, to: Option<&str>) -> Result<Vec<Command>, UndoError> {
        let back = undo_each(reading, to)?.into_iter();
        Ok(back
            .map(|file| self.call(["migrate:down", &file.id]))
            .collect())
    }

    fn pending_sql(&self, _: &Reading) -> Pending {
        Pending::Unavailable("knex cannot print the SQL of a migration")
    }

    fn unlock(&self) -> Option<Command> {
        Some(self.call(["migrate:unlock"]))
    }

    /// All of a run, unless one of its migrations asks for none: then each has its own.
    fn transactions(&self, system: System) -> Transactions {
        match system {
            System::Postgres => Transactions::All,
            System::MySql => Transactions::None,
        }
    }

    fn handover(&self) -> Handover {
        Handover::Variable(self.url_env.clone())
    }

    fn next(&self, reading: &Reading, finding: &Finding) -> String {
        let apply = self.apply(reading).text();
        match &finding.kind {
            FindingKind::Locked { .. } => format!(
                "if no run of knex is at it: `{}`",
                self.call(["migrate:unlock"]).text()
            ),
            FindingKind::Unknown | FindingKind::Ahead | FindingKind::Diverged { .. } => format!(
                "{}; until then knex refuses to migrate",
                usual_next("knex", &apply, reading, finding)
            ),
            _ => usual_next("knex", &apply, reading, finding),
        }
    }
}

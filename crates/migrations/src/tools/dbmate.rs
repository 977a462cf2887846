//! dbmate: files `VERSION_name.sql`, and a table with the versions alone.
//!
//! dbmate prints `Applied:` for a migration that failed, and does not tell of an applied version
//! whose file is gone (dbmate 2.37).

use std::sync::LazyLock;

use database::System;
use regex::Regex;
use sections::migrate::Dbmate;

use crate::command::{Command, Pending, UndoError};
use crate::error::Error;
use crate::files::{FileRequest, Tree};
use crate::handover::Handover;
use crate::kinds::Configured;
use crate::line::{LinearHistory, numeric, textual};
use crate::reading::{Applied, Migration, Reading};
use crate::session::LimitTransport;
use crate::sql::Parts;
use crate::steps::{scripts, undo_each};
use crate::tool::Tool;
use crate::tool_query::{Query, Table, ToolAnswers, cell};

impl Configured<Dbmate> {
    fn folder(&self) -> &str {
        self.config.folder.as_deref().unwrap_or("db/migrations")
    }

    fn call(&self, word: &str) -> Command {
        let call = self.config.command.as_ref();
        let mut command =
            Command::calling(call, "dbmate", ["--env", &self.url_env, "--no-dump-schema"]);
        if let Some(folder) = &self.config.folder {
            command = command.and(["--migrations-dir", folder.as_str()]);
        }
        let table = match (&self.config.schema, &self.config.table) {
            (None, table) => table.clone(),
            (Some(schema), table) => {
                let table = table.as_deref().unwrap_or("schema_migrations");
                Some(format!("{schema}.{table}"))
            }
        };
        if let Some(table) = table {
            command = command.and(["--migrations-table", table.as_str()]);
        }
        command.and([word])
    }
}

/// The parts of a file.
static MARKS: LazyLock<Option<(Regex, Regex)>> = LazyLock::new(|| {
    let up = Regex::new(r"(?m)^--\s*migrate:up").ok()?;
    let down = Regex::new(r"(?m)^--\s*migrate:down").ok()?;
    Some((up, down))
});

fn migration(path: &str, name: &str, text: &str) -> Option<Migration> {
    let stem = name.strip_suffix(".sql")?;
    let digits = stem
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(stem.len());
    let (version, rest) = stem.split_at(digits);
    if version.is_empty() {
        return None;
    }
    let parts = MARKS
        .as_ref()
        .and_then(|(up, down)| Parts::of(text, up, down));
    let parts = parts.unwrap_or_default();
    Some(Migration {
        id: version.to_owned(),
        name: Some(rest.trim_start_matches('_').to_owned()),
        path: path.to_owned(),
        checksum: None,
        undo: parts.undo(),
        without_transaction: parts.up_options.contains("transaction:false"),
        sql: Some(parts.up),
        undo_sql: parts.down,
    })
}

impl Tool for Configured<Dbmate> {
    fn migration_files(&self, _: &Tree) -> Result<Vec<FileRequest>, Error> {
        Ok(vec![FileRequest::folder(self.folder(), &["*.sql"])])
    }

    fn queries(&self, system: System, _: &Tree) -> Vec<Query> {
        let table = self.config.table.as_deref().unwrap_or("schema_migrations");
        let table = Table::new(self.config.schema.as_deref(), table);
        vec![Query::of(table, &["version"], "ORDER BY 1", system)]
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        seen.files.must_have(self.folder())?;
        let files = seen.files.below(self.folder());
        let files = files.filter_map(|(path, name, bytes)| {
            migration(path, name, &String::from_utf8_lossy(bytes))
        });
        let mut files: Vec<Migration> = files.collect();
        // As dbmate sorts them: by the names of the files.
        files.sort_by(|a, b| textual(&a.path, &b.path));
        let applied = seen.rows(0).iter().map(|row| Applied {
            id: cell(row, 0).to_owned(),
            ..Applied::default()
        });
        let mut applied: Vec<Applied> = applied.collect();
        applied.sort_by(|a, b| numeric(&a.id, &b.id));
        let line = LinearHistory {
            applied,
            files,
            order: numeric,
        };
        Ok(line.read(seen))
    }

    /// `up` would make the database if it is missing: a typing error in its name would pass.
    fn apply(&self, _: &Reading) -> Command {
        self.call("migrate")
    }

    fn undo(&self, reading: &Reading, to: Option<&str>) -> Result<Vec<Command>, UndoError> {
        let count = undo_each(reading, to)?.len();
        Ok(vec![self.call("rollback"); count])
    }

    fn pending_sql(&self, reading: &Reading) -> Pending {
        scripts(reading)
    }

    fn limit_transport(&self, system: System) -> LimitTransport {
        match system {
            System::Postgres => LimitTransport::PgOptions,
            System::MySql => LimitTransport::UrlParameters,
        }
    }

    fn handover(&self) -> Handover {
        Handover::Variable(self.url_env.clone())
    }
}

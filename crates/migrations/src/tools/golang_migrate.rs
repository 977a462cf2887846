//! golang-migrate: files `VERSION_name.up.sql` and `.down.sql`, and a table with one version, which is
//! dirty while a migration goes on and after one that failed. Read from its documented form; the
//! program itself is not in the tests.
//!
//! A file whose version is below the recorded one is never applied, and nothing tells whether it was.

use std::collections::BTreeMap;

use database::System;
use sections::migrate::GolangMigrate;

use crate::command::{Command, Pending, Transactions, UndoError};
use crate::error::Error;
use crate::files::{FileRequest, Tree};
use crate::finding::{Finding, FindingKind};
use crate::handover::Handover;
use crate::kinds::Configured;
use crate::line::{LinearHistory, numeric};
use crate::reading::{Applied, Migration, Reading, Undo};
use crate::session::LimitTransport;
use crate::sql::undo_of_sql;
use crate::steps::{scripts, undo_each};
use crate::tool::{Tool, usual_next};
use crate::tool_query::{Query, Table, ToolAnswers, cell, is_true};

impl Configured<GolangMigrate> {
    fn folder(&self) -> &str {
        self.config.folder.as_deref().unwrap_or("migrations")
    }

    fn call<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Command {
        let call = self.config.command.as_ref();
        Command::calling(call, "migrate", ["-path", self.folder()]).and(words)
    }
}

impl Tool for Configured<GolangMigrate> {
    fn migration_files(&self, _: &Tree) -> Result<Vec<FileRequest>, Error> {
        Ok(vec![FileRequest::folder(
            self.folder(),
            &["*.up.*", "*.down.*"],
        )])
    }

    fn queries(&self, system: System, _: &Tree) -> Vec<Query> {
        let GolangMigrate { table, schema, .. } = &self.config;
        let table = table.as_deref().unwrap_or("schema_migrations");
        let table = Table::new(schema.as_deref(), table);
        vec![Query::of(table, &["version", "dirty"], "", system)]
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        seen.files.must_have(self.folder())?;
        let files = files(seen.files.below(self.folder()));
        let row = seen.rows(0).first();
        let version = row.map(|row| cell(row, 0).to_owned());
        // -1 is the version after the first migration failed or everything was undone.
        let version = version.filter(|version| !version.starts_with('-'));
        let upto = |id: &str| {
            version
                .as_deref()
                .is_some_and(|version| numeric(id, version).is_le())
        };
        let mut applied: Vec<Applied> = files
            .iter()
            .filter(|file| upto(&file.id))
            .map(|file| Applied {
                id: file.id.clone(),
                ..Applied::default()
            })
            .collect();
        if let Some(version) = &version
            && !applied.iter().any(|one| one.id == *version)
        {
            applied.push(Applied {
                id: version.clone(),
                ..Applied::default()
            });
        }
        let line = LinearHistory {
            applied,
            files,
            order: numeric,
        };
        let mut reading = line.read(seen);
        if row.is_some_and(|row| is_true(cell(row, 1))) {
            match &version {
                Some(version) => reading.fail(version, None),
                None => reading.find(FindingKind::Failed { message: None }, None),
            }
        }
        Ok(reading)
    }

    fn apply(&self, _: &Reading) -> Command {
        self.call(["up"])
    }

    fn undo(&self, reading: &Reading, to: Option<&str>) -> Result<Vec<Command>, UndoError> {
        let count = undo_each(reading, to)?.len().to_string();
        Ok(vec![self.call(["down", &count])])
    }

    fn pending_sql(&self, reading: &Reading) -> Pending {
        scripts(reading)
    }

    fn transactions(&self, system: System) -> Transactions {
        match system {
            System::Postgres => Transactions::Files,
            System::MySql => Transactions::None,
        }
    }

    fn limit_transport(&self, system: System) -> LimitTransport {
        match system {
            System::Postgres => LimitTransport::PgOptions,
            System::MySql => LimitTransport::UrlParameters,
        }
    }

    fn handover(&self) -> Handover {
        Handover::Argument("-database")
    }

    fn next(&self, reading: &Reading, finding: &Finding) -> String {
        let id = finding.revision.as_deref().unwrap_or("VERSION");
        match &finding.kind {
            FindingKind::Failed { .. } => {
                let before = reading.applied.last();
                let before = before.map_or("-1", |one| one.id.as_str());
                let back = self.call(["force", before]).text();
                let there = self.call(["force", id]).text();
                format!(
                    "look what of {id} was done; where all of it was taken back: `{back}`; where it was finished by hand: `{there}`"
                )
            }
            _ => usual_next(
                "golang-migrate",
                &self.apply(reading).text(),
                reading,
                finding,
            ),
        }
    }
}

/// A migration is a file for each direction.
fn files<'t>(all: impl Iterator<Item = (&'t str, &'t str, &'t [u8])>) -> Vec<Migration> {
    let mut files: BTreeMap<String, Migration> = BTreeMap::new();
    for (path, name, bytes) in all {
        let Some((version, rest)) = name.split_once('_') else {
            continue;
        };
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (title, is_up) = match (rest.rsplit_once(".up."), rest.rsplit_once(".down.")) {
            (Some((title, _)), _) => (title, true),
            (_, Some((title, _))) => (title, false),
            _ => continue,
        };
        let short = version.trim_start_matches('0');
        let id = if short.is_empty() { "0" } else { short };
        let file = files.entry(id.to_owned()).or_insert_with(|| Migration {
            id: id.to_owned(),
            undo: Undo::Absent,
            ..Migration::default()
        });
        if is_up {
            file.name = Some(title.to_owned());
            path.clone_into(&mut file.path);
            file.sql = Some(text);
        } else {
            file.undo = undo_of_sql(Some(&text));
            file.undo_sql = Some(text);
        }
    }
    // One that has only the way back is not applied.
    let mut files: Vec<Migration> = files
        .into_values()
        .filter(|file| file.sql.is_some())
        .collect();
    files.sort_by(|a, b| numeric(&a.id, &b.id));
    files
}

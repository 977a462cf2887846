//! Prisma Migrate: folders with a `migration.sql`, and a table with every attempt. Read from its
//! documented form; Prisma's engines are not in the tests.
//!
//! `prisma migrate status` ends with 1 for pending, diverged and failed migrations, without a table and
//! when the database is not reached.

use std::collections::BTreeMap;

use database::System;
use sections::migrate::Prisma;

use crate::checksum::sha256;
use crate::command::{Command, Pending, Transactions, UndoError};
use crate::error::Error;
use crate::files::{FileRequest, Tree};
use crate::finding::{Finding, FindingKind};
use crate::handover::Handover;
use crate::kinds::Configured;
use crate::line::{LinearHistory, textual};
use crate::reading::{Applied, Migration, Reading, Undo};
use crate::session::LimitTransport;
use crate::steps::scripts;
use crate::tool::{Tool, usual_next};
use crate::tool_query::{Query, Table, ToolAnswers, cell, maybe};

impl Configured<Prisma> {
    fn folder(&self) -> &str {
        self.config.folder.as_deref().unwrap_or("prisma")
    }

    fn call<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Command {
        let call = self.config.command.as_ref();
        Command::calling(call, "npx prisma", ["migrate"]).and(words)
    }
}

/// What the table has of one migration.
struct Attempt {
    checksum: String,
    finished: Option<String>,
    rolled_back: Option<String>,
    message: Option<String>,
}

impl Attempt {
    /// It did not end, and a person has not said what became of it.
    fn is_open(&self) -> bool {
        self.finished.is_none() && self.rolled_back.is_none()
    }
}

impl Tool for Configured<Prisma> {
    fn migration_files(&self, _: &Tree) -> Result<Vec<FileRequest>, Error> {
        Ok(vec![FileRequest::Folder {
            path: self.folder().to_owned(),
            depth: 3,
            names: vec!["*/migration.sql".to_owned()],
            skip: &["node_modules", ".git"],
        }])
    }

    fn queries(&self, system: System, _: &Tree) -> Vec<Query> {
        let table = Table::new(self.config.schema.as_deref(), "_prisma_migrations");
        let columns = [
            "migration_name",
            "checksum",
            "finished_at",
            "rolled_back_at",
            "logs",
        ];
        vec![Query::of(table, &columns, "ORDER BY started_at", system)]
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        seen.files.must_have(self.folder())?;
        // A migration may have been tried several times: the last attempt counts, unless one that failed is open, which
        // keeps prisma from every other (P3009).
        let mut attempts: BTreeMap<&str, Attempt> = BTreeMap::new();
        for row in seen.rows(0) {
            let attempt = Attempt {
                checksum: cell(row, 1).to_owned(),
                finished: maybe(row, 2),
                rolled_back: maybe(row, 3),
                message: maybe(row, 4).filter(|logs| !logs.trim().is_empty()),
            };
            let name = cell(row, 0);
            if !attempts.get(name).is_some_and(Attempt::is_open) {
                attempts.insert(name, attempt);
            }
        }
        let applied = attempts
            .iter()
            .filter(|(_, attempt)| attempt.rolled_back.is_none())
            .map(|(name, attempt)| Applied {
                id: (*name).to_owned(),
                name: None,
                // A failed one may be repaired in its file.
                checksum: attempt.finished.as_ref().map(|_| attempt.checksum.clone()),
                at: attempt.finished.clone(),
            });
        let files = seen
            .files
            .below(self.folder())
            .filter_map(|(path, within, bytes)| {
                let name = within.strip_suffix("/migration.sql")?;
                let id = name.rsplit('/').next().unwrap_or(name);
                let recorded = attempts.get(id).map(|attempt| attempt.checksum.as_str());
                Some(Migration {
                    id: id.to_owned(),
                    path: path.to_owned(),
                    checksum: Some(checksum(bytes, recorded)),
                    undo: Undo::Absent,
                    sql: Some(String::from_utf8_lossy(bytes).into_owned()),
                    ..Migration::default()
                })
            });
        let line = LinearHistory {
            applied: applied.collect(),
            files: files.collect(),
            order: textual,
        };
        let mut reading = line.read(seen);
        for (name, attempt) in &attempts {
            if attempt.is_open() {
                reading.fail(name, attempt.message.clone());
            }
        }
        Ok(reading)
    }

    fn apply(&self, _: &Reading) -> Command {
        self.call(["deploy"])
    }

    fn undo(&self, _: &Reading, _: Option<&str>) -> Result<Vec<Command>, UndoError> {
        Err(UndoError::Tool("prisma"))
    }

    fn pending_sql(&self, reading: &Reading) -> Pending {
        scripts(reading)
    }

    /// The file is sent as it is: on PostgreSQL one message is one transaction, unless it has its own.
    fn transactions(&self, system: System) -> Transactions {
        match system {
            System::Postgres => Transactions::Files,
            System::MySql => Transactions::None,
        }
    }

    fn limit_transport(&self, system: System) -> LimitTransport {
        match system {
            System::Postgres => LimitTransport::UrlOptions,
            System::MySql => LimitTransport::None,
        }
    }

    fn handover(&self) -> Handover {
        Handover::Variable(self.url_env.clone())
    }

    fn next(&self, reading: &Reading, finding: &Finding) -> String {
        let id = finding.revision.as_deref().unwrap_or("NAME");
        let call = |words: &[&str]| format!("`{}`", self.call(words.iter().copied()).text());
        match &finding.kind {
            FindingKind::NotMigrated { is_empty: false } => format!(
                "is it the right database? If its tables are those of the first migrations: {} for each of them",
                call(&["resolve", "--applied", "NAME"])
            ),
            FindingKind::Failed { .. } => format!(
                "take back by hand what of it was done, then {}; or finish it by hand, then {}",
                call(&["resolve", "--rolled-back", id]),
                call(&["resolve", "--applied", id])
            ),
            _ => usual_next("prisma", &self.apply(reading).text(), reading, finding),
        }
    }
}

/// SHA-256 of the file. Prisma takes the other kind of line ends for the same.
fn checksum(bytes: &[u8], recorded: Option<&str>) -> String {
    let text = String::from_utf8_lossy(bytes);
    let unix = text.replace("\r\n", "\n");
    let windows = unix.replace('\n', "\r\n");
    let same = [sha256(unix.as_bytes()), sha256(windows.as_bytes())];
    let found = same.into_iter().find(|sum| Some(sum.as_str()) == recorded);
    found.unwrap_or_else(|| sha256(bytes))
}

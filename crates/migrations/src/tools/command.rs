//! A tool that we do not know: a query tells what is applied, and files or a command what there is.

use std::collections::BTreeSet;

use database::System;
use sections::migrate::CommandTool;
use values::ShellText;

use crate::command::{Command, Pending, Transactions, UndoError};
use crate::error::Error;
use crate::files::stem;
use crate::files::{FileRequest, Tree};
use crate::finding::FindingKind;
use crate::handover::Handover;
use crate::kinds::Configured;
use crate::line::{LinearHistory, numeric};
use crate::reading::{Applied, Migration, Reading};
use crate::tool::Tool;
use crate::tool_query::{Query, ToolAnswers, cell, maybe};

impl Tool for Configured<CommandTool> {
    fn migration_files(&self, _: &Tree) -> Result<Vec<FileRequest>, Error> {
        let folder = self.config.folder.iter();
        Ok(folder
            .map(|folder| FileRequest::folder(folder, &["*"]))
            .collect())
    }

    fn queries(&self, _: System, _: &Tree) -> Vec<Query> {
        let sql = self.config.current.trim().trim_end_matches(';').to_owned();
        vec![Query { table: None, sql }]
    }

    fn prints(&self) -> Option<&ShellText> {
        self.config.pending.as_ref()
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        let applied: Vec<Applied> = seen
            .rows(0)
            .iter()
            .filter(|row| !cell(row, 0).is_empty())
            .map(|row| Applied {
                id: cell(row, 0).to_owned(),
                name: maybe(row, 1),
                ..Applied::default()
            })
            .collect();
        let last = applied.last().map(|last| last.id.clone());
        let mut reading = match &self.config.folder {
            Some(folder) => of_files(folder, applied, seen)?,
            None => of_lines(applied, seen),
        };
        reading.current = last.into_iter().collect();
        Ok(reading)
    }

    fn apply(&self, _: &Reading) -> Command {
        Command::of(&self.config.apply)
    }

    fn undo(&self, reading: &Reading, to: Option<&str>) -> Result<Vec<Command>, UndoError> {
        let Some(undo) = &self.config.undo else {
            return Err(UndoError::Unconfigured);
        };
        let before = || {
            let before = reading.applied.iter().rev().nth(1);
            before.map_or_else(String::new, |one| one.id.clone())
        };
        if reading.applied.is_empty() {
            return Err(UndoError::NothingApplied);
        }
        let to = match to {
            None => before(),
            Some(to) if to.is_empty() || reading.is_applied(to) => to.to_owned(),
            Some(to) => return Err(UndoError::NotApplied(to.to_owned())),
        };
        let mut command = Command::of(undo);
        command.env.push(("REVISION".to_owned(), to));
        Ok(vec![command])
    }

    fn pending_sql(&self, reading: &Reading) -> Pending {
        if reading.pending.is_empty() {
            return Pending::Scripts(Vec::new());
        }
        match &self.config.sql {
            Some(sql) => Pending::Commands(vec![(None, Command::of(sql))]),
            None => Pending::Unavailable("`command.sql` is not configured"),
        }
    }

    fn transactions(&self, system: System) -> Transactions {
        match system {
            System::Postgres => Transactions::Files,
            System::MySql => Transactions::None,
        }
    }

    fn handover(&self) -> Handover {
        Handover::Variable(self.url_env.clone())
    }
}

/// The revision of a file: a beginning of its name that is applied, else all before the first sign that
/// divides names.
fn of_files(folder: &str, applied: Vec<Applied>, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
    seen.files.must_have(folder)?;
    let known: BTreeSet<String> = applied.iter().map(|one| one.id.clone()).collect();
    let mut files: Vec<Migration> = Vec::new();
    for (path, name, _) in seen.files.below(folder) {
        if name.starts_with('.') {
            continue;
        }
        let short = name.split(['_', '.', '-']).next().unwrap_or(name);
        let as_applied = [name, stem(name), short]
            .into_iter()
            .find(|id| known.contains(*id));
        let has_short = known.is_empty() || known.iter().any(|id| !id.contains(['_', '.', '-']));
        let id = as_applied.unwrap_or(if has_short { short } else { stem(name) });
        // The way back is a file of the same revision.
        if files.iter().all(|file| file.id != id) {
            files.push(Migration {
                id: id.to_owned(),
                path: path.to_owned(),
                ..Migration::default()
            });
        }
    }
    files.sort_by(|a, b| numeric(&a.id, &b.id));
    let line = LinearHistory {
        applied,
        files,
        order: numeric,
    };
    Ok(line.read(seen))
}

/// A command tells what is pending, and nothing what else there is.
fn of_lines(applied: Vec<Applied>, seen: &ToolAnswers<'_>) -> Reading {
    let mut reading = Reading::new(seen.standing(!applied.is_empty()));
    if applied.is_empty() {
        let is_empty = seen.is_empty;
        reading.find(FindingKind::NotMigrated { is_empty }, None);
    }
    reading.applied = applied;
    for line in seen.lines {
        reading.pending.push(line.clone());
        reading.find(FindingKind::Pending, Some(line));
    }
    let sentence =
        "without `folder`, whether each applied revision is in this release is not known";
    reading.unseen.push(sentence.to_owned());
    reading
}

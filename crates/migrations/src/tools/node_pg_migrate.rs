//! node-pg-migrate: scripts and SQL files in the order of the times in their names, and a table with
//! the names of those that were run. It refuses where a file comes before one that was run.

use std::cmp::Ordering;
use std::sync::LazyLock;

use database::System;
use regex::Regex;
use sections::migrate::NodePgMigrate;

use crate::command::{Command, Pending, Script, Transactions, UndoError};
use crate::error::Error;
use crate::files::stem;
use crate::files::{FileRequest, Tree};
use crate::finding::{Finding, FindingKind};
use crate::handover::Handover;
use crate::kinds::Configured;
use crate::line::{LinearHistory, numeric};
use crate::reading::{Applied, Migration, Reading};
use crate::sql::{Parts, undo_of_script};
use crate::steps::undo_each;
use crate::tool::{Tool, usual_next};
use crate::tool_query::{Query, Table, ToolAnswers, cell, maybe};

impl Configured<NodePgMigrate> {
    fn folder(&self) -> &str {
        self.config.folder.as_deref().unwrap_or("migrations")
    }

    fn call<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Command {
        let call = self.config.command.as_ref();
        let mut command = Command::calling(call, "npx node-pg-migrate", words);
        command = command.and(["--database-url-var", self.url_env.as_str()]);
        for (flag, value) in [
            ("--migrations-dir", &self.config.folder),
            ("--migrations-table", &self.config.table),
            ("--migrations-schema", &self.config.schema),
        ] {
            if let Some(value) = value {
                command = command.and([flag, value.as_str()]);
            }
        }
        command
    }
}

/// Milliseconds since 1970, of a name that has them or a time in UTC of 17 digits; otherwise the number.
fn time(name: &str) -> i64 {
    let prefix = name.split('_').next().unwrap_or_default();
    let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return 0;
    }
    let number = |range: std::ops::Range<usize>| prefix[range].parse().unwrap_or(0_i64);
    if prefix.len() != 17 {
        return prefix.parse().unwrap_or(i64::MAX);
    }
    let (year, month, day) = (number(0..4), number(4..6), number(6..8));
    // Days since 1970 of the civil calendar.
    let shifted = year - i64::from(month <= 2);
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86_400 + number(8..10) * 3600 + number(10..12) * 60 + number(12..14);
    seconds * 1000 + number(14..17)
}

/// By time; what has none, or the same, as numbers and text.
fn order(a: &str, b: &str) -> Ordering {
    time(a).cmp(&time(b)).then_with(|| numeric(a, b))
}

static MARKS: LazyLock<Option<(Regex, Regex)>> = LazyLock::new(|| {
    let up = Regex::new(r"(?mi)^\s*--[\s-]*up\s+migration").ok()?;
    let down = Regex::new(r"(?mi)^\s*--[\s-]*down\s+migration").ok()?;
    Some((up, down))
});

fn migration(path: &str, name: &str, text: &str) -> Migration {
    let mut file = Migration {
        id: stem(name).to_owned(),
        path: path.to_owned(),
        ..Migration::default()
    };
    if name.strip_suffix(".sql").is_none() {
        file.undo = undo_of_script(text);
        file.without_transaction = text.contains("noTransaction");
        return file;
    }
    let marked = MARKS
        .as_ref()
        .and_then(|(up, down)| Parts::of(text, up, down));
    // Without marks, the whole file is the way there.
    let parts = marked.unwrap_or_else(|| Parts {
        up: text.to_owned(),
        ..Parts::default()
    });
    file.undo = parts.undo();
    file.sql = Some(parts.up);
    file.undo_sql = parts.down;
    file
}

impl Tool for Configured<NodePgMigrate> {
    fn migration_files(&self, _: &Tree) -> Result<Vec<FileRequest>, Error> {
        Ok(vec![FileRequest::folder(self.folder(), &["*"])])
    }

    fn queries(&self, system: System, _: &Tree) -> Vec<Query> {
        let NodePgMigrate { table, schema, .. } = &self.config;
        let table = Table::new(
            Some(schema.as_deref().unwrap_or("public")),
            table.as_deref().unwrap_or("pgmigrations"),
        );
        vec![Query::of(
            table,
            &["name", "run_on"],
            "ORDER BY run_on, id",
            system,
        )]
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        seen.files.must_have(self.folder())?;
        let files = seen.files.below(self.folder());
        let visible = files.filter(|(_, name, _)| !name.starts_with('.'));
        let files = visible
            .map(|(path, name, bytes)| migration(path, name, &String::from_utf8_lossy(bytes)));
        let mut files: Vec<Migration> = files.collect();
        files.sort_by(|a, b| order(&a.id, &b.id));
        let applied = seen.rows(0).iter().map(|row| Applied {
            id: cell(row, 0).to_owned(),
            at: maybe(row, 1),
            ..Applied::default()
        });
        let line = LinearHistory {
            applied: applied.collect(),
            files,
            order,
        };
        Ok(line.read(seen))
    }

    fn apply(&self, _: &Reading) -> Command {
        self.call(["up"])
    }

    fn undo(&self, reading: &Reading, to: Option<&str>) -> Result<Vec<Command>, UndoError> {
        let count = undo_each(reading, to)?.len().to_string();
        Ok(vec![self.call(["down", &count])])
    }

    fn pending_sql(&self, reading: &Reading) -> Pending {
        let files: Option<Vec<Script>> = reading
            .pending_files()
            .map(|file| {
                Some(Script {
                    revision: file.id.clone(),
                    path: file.path.clone(),
                    sql: file.sql.clone()?,
                })
            })
            .collect();
        match files {
            Some(scripts) => Pending::Scripts(scripts),
            None => Pending::Commands(vec![(None, self.call(["up", "--dry-run"]))]),
        }
    }

    /// It prints a title before each, and tells how it goes.
    fn printed(&self, reading: &Reading, text: &str) -> Option<Vec<Script>> {
        let mut scripts: Vec<Script> = Vec::new();
        for line in text.lines() {
            let title = line.strip_prefix("### MIGRATION ");
            let title = title.and_then(|rest| rest.strip_suffix(" (UP) ###"));
            let next = title.filter(|id| reading.pending.iter().any(|pending| pending == id));
            if let Some(file) = next.and_then(|id| reading.file(id)) {
                scripts.push(Script {
                    revision: file.id.clone(),
                    path: file.path.clone(),
                    sql: String::new(),
                });
            } else if let Some(last) = scripts.last_mut() {
                last.sql.push_str(line);
                last.sql.push('\n');
            }
        }
        if let Some(last) = scripts.last_mut()
            && let Some(sql) = last.sql.trim_end().strip_suffix("Migrations complete!")
        {
            last.sql.truncate(sql.len());
        }
        Some(scripts)
    }

    /// `--single-transaction` is its default.
    fn transactions(&self, _: System) -> Transactions {
        Transactions::All
    }

    fn handover(&self) -> Handover {
        Handover::Variable(self.url_env.clone())
    }

    fn next(&self, reading: &Reading, finding: &Finding) -> String {
        match &finding.kind {
            FindingKind::OutOfOrder { .. } => format!(
                "node-pg-migrate refuses it: give the file a time after that of {}",
                reading.current.join(", ")
            ),
            _ => usual_next(
                "node-pg-migrate",
                &self.apply(reading).text(),
                reading,
                finding,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_forms_are_one_order() {
        assert_eq!(time("1700000000000_a"), 1_700_000_000_000);
        // 2023-11-14T22:13:20.000Z is the same moment.
        assert_eq!(time("20231114221320000_a"), 1_700_000_000_000);
        assert_eq!(time("20240229120000123_a"), 1_709_208_000_123);
        assert_eq!((time("2_b"), time("x_b"), time("")), (2, 0, 0));
        assert!(order("20231114221320000_b", "1700000000001_a").is_lt());
    }
}

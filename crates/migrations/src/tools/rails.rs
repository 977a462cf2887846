//! Active Record: files `VERSION_name.rb`, and a table with the versions alone. Read from its
//! documented form; Rails itself is not in the tests.

use database::System;
use sections::migrate::Rails;

use crate::command::{Command, Pending, UndoError};
use crate::error::Error;
use crate::files::{FileRequest, Tree};
use crate::handover::Handover;
use crate::kinds::Configured;
use crate::line::{LinearHistory, numeric};
use crate::reading::{Applied, Migration, Reading, Undo};
use crate::steps::undo_each;
use crate::tool::{Tool, line_with};
use crate::tool_query::{Query, Table, ToolAnswers, cell};

impl Configured<Rails> {
    fn folder(&self) -> &str {
        self.config.folder.as_deref().unwrap_or("db/migrate")
    }

    fn call<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Command {
        let call = self.config.command.as_ref();
        // Without it, a failed or finished migration rewrites `db/schema.rb` of the deployed release.
        let mut command = Command::calling(call, "bin/rails", words);
        let env = ("DUMP_SCHEMA_AFTER_MIGRATION", "false");
        command.env.push((env.0.to_owned(), env.1.to_owned()));
        command
    }
}

/// `change` can be undone unless it says that it cannot.
fn undo(text: &str) -> Undo {
    let code = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let code: Vec<&str> = code.collect();
    let has = |words: &str| code.iter().any(|line| line.starts_with(words));
    let is_irreversible = code
        .iter()
        .any(|line| line.contains("IrreversibleMigration"));
    match () {
        () if is_irreversible => Undo::Absent,
        () if has("def down") || has("def self.down") || has("def change") => Undo::Present,
        () => Undo::Absent,
    }
}

impl Tool for Configured<Rails> {
    fn migration_files(&self, _: &Tree) -> Result<Vec<FileRequest>, Error> {
        Ok(vec![FileRequest::Folder {
            path: self.folder().to_owned(),
            depth: 5,
            names: vec!["*.rb".to_owned()],
            skip: &[],
        }])
    }

    fn queries(&self, system: System, _: &Tree) -> Vec<Query> {
        let table = Table::new(self.config.schema.as_deref(), "schema_migrations");
        vec![Query::of(table, &["version"], "", system)]
    }

    fn own_tables(&self) -> &'static [&'static str] {
        &["ar_internal_metadata"]
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        seen.files.must_have(self.folder())?;
        let files = seen.files.below(self.folder());
        let files = files.filter_map(|(path, within, bytes)| {
            let name = within.rsplit('/').next().unwrap_or(within);
            let (version, rest) = name.strip_suffix(".rb")?.split_once('_')?;
            let is_number =
                !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
            let text = String::from_utf8_lossy(bytes);
            is_number.then(|| Migration {
                // The table has numbers: `001_a.rb` is version 1.
                id: number(version),
                name: Some(rest.split('.').next().unwrap_or(rest).to_owned()),
                path: path.to_owned(),
                undo: undo(&text),
                without_transaction: text.contains("disable_ddl_transaction!"),
                ..Migration::default()
            })
        });
        let mut files: Vec<Migration> = files.collect();
        files.sort_by(|a, b| numeric(&a.id, &b.id));
        let applied = seen.rows(0).iter().map(|row| Applied {
            id: number(cell(row, 0)),
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

    fn apply(&self, _: &Reading) -> Command {
        self.call(["db:migrate"])
    }

    fn undo(&self, reading: &Reading, to: Option<&str>) -> Result<Vec<Command>, UndoError> {
        let back = undo_each(reading, to)?.into_iter();
        let down =
            |file: &Migration| self.call(["db:migrate:down", &format!("VERSION={}", file.id)]);
        Ok(back.map(down).collect())
    }

    fn pending_sql(&self, _: &Reading) -> Pending {
        Pending::Unavailable("Rails cannot print the SQL of a migration")
    }

    fn no_way_back(&self, told: &str) -> Option<String> {
        line_with(told, "IrreversibleMigration")
    }

    fn handover(&self) -> Handover {
        Handover::Variable(self.url_env.clone())
    }
}

fn number(version: &str) -> String {
    let short = version.trim_start_matches('0');
    if short.is_empty() { "0" } else { short }.to_owned()
}

//! Alembic: a graph of revisions, and a table with those at which the schema is. The table tells nothing
//! of what came before them, and an unknown one nothing at all.
//!
//! `alembic current` prints nothing and ends with 0 on a database that was never migrated, and every
//! error ends with 255 (alembic 1.20).

use database::System;
use sections::migrate::Alembic;

use crate::command::{Command, Pending, Transactions, UndoError};
use crate::error::Error;
use crate::files::{FileRequest, Tree, file_name, join};
use crate::finding::{Finding, FindingKind};
use crate::handover::Handover;
use crate::kinds::Configured;
use crate::reading::{Reading, Tracking};
use crate::tool::{Tool, line_with, usual_next};
use crate::tool_query::{Query, Table, ToolAnswers, cell};

mod graph;
mod layout;

use graph::Graph;
use layout::{Layout, PYPROJECT, configs, of_env};

impl Configured<Alembic> {
    fn call<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Command {
        let call = self.config.command.as_ref();
        let mut command = Command::calling::<String>(call, "alembic", []);
        if let Some(config) = &self.config.config {
            command = command.and(["-c", config.as_str()]);
        }
        if let Some(name) = &self.config.name {
            command = command.and(["-n", name.as_str()]);
        }
        command.and(words)
    }
}

/// Of separate histories, all heads; several of one history are refused by Alembic.
fn head(reading: &Reading) -> &'static str {
    let is_heads = |finding: &Finding| matches!(finding.kind, FindingKind::Heads { .. });
    if reading.heads.len() > 1 && !reading.findings.iter().any(is_heads) {
        return "heads";
    }
    "head"
}

impl Tool for Configured<Alembic> {
    fn settings(&self) -> Vec<FileRequest> {
        let configs = configs(&self.config);
        let files = configs.into_iter().chain([PYPROJECT]);
        files
            .map(|file| FileRequest::File(file.to_owned()))
            .collect()
    }

    fn migration_files(&self, settings: &Tree) -> Result<Vec<FileRequest>, Error> {
        let layout = Layout::of(&self.config, settings)?;
        let mut wanted = vec![FileRequest::File(join(&layout.script, "env.py"))];
        for folder in layout.versions {
            wanted.push(FileRequest::Folder {
                path: folder,
                depth: if layout.is_recursive { 20 } else { 1 },
                names: vec!["*.py".to_owned()],
                skip: &["__pycache__"],
            });
        }
        Ok(wanted)
    }

    fn queries(&self, system: System, files: &Tree) -> Vec<Query> {
        let layout = Layout::of(&self.config, files).unwrap_or_default();
        let env = files
            .text(&join(&layout.script, "env.py"))
            .unwrap_or_default();
        let given = |own: &Option<String>, key: &str| own.clone().or_else(|| of_env(&env, key));
        let table = given(&self.config.table, "version_table");
        let schema = given(&self.config.schema, "version_table_schema");
        let table = Table::new(
            schema.as_deref(),
            table.as_deref().unwrap_or("alembic_version"),
        );
        vec![Query::of(table, &["version_num"], "ORDER BY 1", system)]
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        let layout = Layout::of(&self.config, seen.files)?;
        let mut graph = Graph::default();
        for folder in &layout.versions {
            seen.files.must_have(folder)?;
            for (path, within, bytes) in seen.files.below(folder) {
                let name = file_name(within);
                if name != "__init__.py" && !name.starts_with(".#") {
                    graph.add(path, &String::from_utf8_lossy(bytes));
                }
            }
        }
        let rows: Vec<String> = seen
            .rows(0)
            .iter()
            .map(|row| cell(row, 0).to_owned())
            .collect();
        Ok(graph.read(&rows, seen))
    }

    fn apply(&self, reading: &Reading) -> Command {
        self.call(["upgrade", head(reading)])
    }

    fn undo(&self, reading: &Reading, to: Option<&str>) -> Result<Vec<Command>, UndoError> {
        let Some(current) = reading.current.first() else {
            return Err(UndoError::NothingApplied);
        };
        if let Some(unknown) = reading.current.iter().find(|id| reading.file(id).is_none()) {
            return Err(UndoError::NoFile(unknown.clone()));
        }
        let back = match to {
            None if reading.current.len() > 1 => format!("{current}-1"),
            None => "-1".to_owned(),
            Some("") => "base".to_owned(),
            Some(to) => {
                let missing = to.split(',').find(|id| !reading.is_applied(id));
                if let Some(missing) = missing {
                    return Err(UndoError::NotApplied(missing.to_owned()));
                }
                let all = to.split(',');
                return Ok(all.map(|to| self.call(["downgrade", to])).collect());
            }
        };
        Ok(vec![self.call(["downgrade", &back])])
    }

    fn pending_sql(&self, reading: &Reading) -> Pending {
        if reading.pending.is_empty() {
            return Pending::Scripts(Vec::new());
        }
        let head = head(reading);
        // Without a start, Alembic begins at the base whatever the database has.
        let range = match &reading.current[..] {
            [] => head.to_owned(),
            [current] => format!("{current}:{head}"),
            _ => {
                return Pending::Unavailable(
                    "alembic prints no SQL from several revisions at once",
                );
            }
        };
        Pending::Commands(vec![(None, self.call(["upgrade", &range, "--sql"]))])
    }

    fn transactions(&self, system: System) -> Transactions {
        match system {
            System::Postgres => Transactions::All,
            System::MySql => Transactions::None,
        }
    }

    fn no_way_back(&self, told: &str) -> Option<String> {
        line_with(told, "NotImplementedError")
    }

    fn handover(&self) -> Handover {
        Handover::Variable(self.url_env.clone())
    }

    /// SQLAlchemy loads the driver that the scheme of the URL names; of `postgresql://`, 2.1 takes psycopg (3) and those before
    /// psycopg2.
    fn hint(&self, told: &str) -> Option<String> {
        let name = told.split("No module named '").nth(1)?.split('\'').next()?;
        let (scheme, package) = match name {
            "psycopg" => ("postgresql+psycopg2://", "psycopg[binary]"),
            "psycopg2" => ("postgresql+psycopg://", "psycopg2-binary"),
            "asyncpg" => ("postgresql+psycopg://", "asyncpg"),
            "MySQLdb" => ("mysql+pymysql://", "mysqlclient"),
            "pymysql" => ("mysql+mysqldb://", "pymysql"),
            _ => return None,
        };
        Some(format!(
            "the driver {name} is not installed where alembic runs: `pip install '{package}'`, or name another one in the URL that \
             env.py gives SQLAlchemy: `{scheme}…` (`postgresql://` is psycopg from SQLAlchemy 2.1 on, and psycopg2 before)"
        ))
    }

    fn next(&self, reading: &Reading, finding: &Finding) -> String {
        let call = |words: &[&str]| format!("`{}`", self.call(words.iter().copied()).text());
        match &finding.kind {
            FindingKind::NotMigrated { .. } if reading.standing == Tracking::Untracked => format!(
                "is it the right database? If its tables are those of a revision: {}; else {}",
                call(&["stamp", "REVISION"]),
                call(&["upgrade", "head"])
            ),
            FindingKind::Heads { heads } => {
                let mut words = vec!["merge"];
                words.extend(heads.iter().map(String::as_str));
                format!("{}, and commit the file that it writes", call(&words))
            }
            FindingKind::Unknown => format!(
                "deploy the release that has {0}, or bring its file back; only where the schema is known to be that of another revision: {1}",
                finding.revision.as_deref().unwrap_or_default(),
                call(&["stamp", "--purge", "REVISION"])
            ),
            _ => usual_next("alembic", &self.apply(reading).text(), reading, finding),
        }
    }
}

//! What every migration tool is to us.

use database::System;
use values::ShellText;

use crate::command::{Command, Pending, Script, Transactions, UndoError};
use crate::error::Error;
use crate::files::{FileRequest, Tree};
use crate::finding::{Finding, FindingKind};
use crate::handover::Handover;
use crate::reading::{Reading, Tracking};
use crate::session::LimitTransport;
use crate::tool_query::{Query, ToolAnswers};

/// What has a row in `migration_tools::tool_kinds`.
pub trait Named {
    /// As the configuration names it: `node-pg-migrate`.
    fn name(&self) -> &'static str;
}

/// A migration tool. It asks for files and tables by name, and judges what they say; nothing here runs
/// or connects to anything.
pub trait Tool: Named {
    /// The files of the tool's own configuration, which tell where the migrations are.
    fn settings(&self) -> Vec<FileRequest> {
        Vec::new()
    }

    /// The files with the migrations.
    ///
    /// # Errors
    /// Returns an error if the tool's configuration does not tell where they are.
    fn migration_files(&self, settings: &Tree) -> Result<Vec<FileRequest>, Error>;

    /// The queries whose answers it needs. `files` has everything that was wanted.
    fn queries(&self, system: System, files: &Tree) -> Vec<Query>;

    /// Further tables that the tool makes for itself.
    fn own_tables(&self) -> &'static [&'static str] {
        &[]
    }

    /// A command of the user's whose lines it needs.
    fn prints(&self) -> Option<&ShellText> {
        None
    }

    /// What tables and files say together.
    ///
    /// # Errors
    /// Returns an error if the files are not there, or are no migrations of the tool.
    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error>;

    /// Applies everything that is pending. It makes no database.
    fn apply(&self, reading: &Reading) -> Command;

    /// Undoes the migrations behind a revision, which is one that a reading had; `None` undoes the
    /// last one.
    ///
    /// # Errors
    /// Returns the reason where the tool cannot.
    fn undo(&self, reading: &Reading, to: Option<&str>) -> Result<Vec<Command>, UndoError>;

    /// How the SQL of what is pending is had.
    fn pending_sql(&self, reading: &Reading) -> Pending;

    /// The SQL of each migration in what the tool printed of all; `None` where the whole text is SQL.
    fn printed(&self, _reading: &Reading, _text: &str) -> Option<Vec<Script>> {
        None
    }

    /// Releases the lock that a dead run left in the tool's own table; `None` where the tool has none.
    fn unlock(&self) -> Option<Command> {
        None
    }

    /// What a failure takes back by itself. MariaDB and MySQL commit every change of a schema at once.
    fn transactions(&self, system: System) -> Transactions {
        match system {
            System::Postgres => Transactions::Each,
            System::MySql => Transactions::None,
        }
    }

    /// How settings of the session reach the tool.
    fn limit_transport(&self, system: System) -> LimitTransport {
        match system {
            System::Postgres => LimitTransport::PgOptions,
            System::MySql => LimitTransport::None,
        }
    }

    /// What to do about a failure that the tool told in these words, where it is not the migration's.
    fn hint(&self, _told: &str) -> Option<String> {
        None
    }

    /// What a missing way down raised: it is not wrong, it is missing.
    fn no_way_back(&self, _told: &str) -> Option<String> {
        None
    }

    /// How the tool gets the database's URL.
    fn handover(&self) -> Handover;

    /// What to do about a finding, in the tool's own words.
    fn next(&self, reading: &Reading, finding: &Finding) -> String {
        usual_next(self.name(), &self.apply(reading).text(), reading, finding)
    }
}

/// The line of an output that has the name of an error in it.
pub(crate) fn line_with(told: &str, name: &str) -> Option<String> {
    let mut lines = told.lines().rev().map(str::trim);
    let line = lines.find(|line| line.contains(name) && !line.starts_with("raise "))?;
    Some(line.to_owned())
}

/// What holds for any tool.
pub(crate) fn usual_next(name: &str, apply: &str, reading: &Reading, finding: &Finding) -> String {
    let revision = finding.revision.as_deref().unwrap_or_default();
    match &finding.kind {
        FindingKind::NotMigrated { .. } if reading.standing == Tracking::Untracked => {
            format!(
                "is it the right database? If its tables are those of the migrations, mark them as applied with {name} (baseline); else `{apply}`"
            )
        }
        FindingKind::NotMigrated { .. } | FindingKind::Pending => format!("`{apply}`"),
        FindingKind::OutOfOrder { .. } => {
            format!("{name} applies it late: check that it does not need the order, then `{apply}`")
        }
        FindingKind::Unknown => format!(
            "bring the file of {revision} back, from the branch or release that applied it, or deploy that release"
        ),
        FindingKind::Ahead => format!(
            "deploy the release that brought {revision}, or undo {revision} with that release's files"
        ),
        FindingKind::Diverged { .. } => format!(
            "bring the file of {revision} into this release, before its own migrations; or undo {revision} with the release that has it"
        ),
        FindingKind::Overlapping { with } => {
            format!("delete the row of {revision}: {with} includes it")
        }
        FindingKind::Renamed { to, .. } => format!(
            "give {to} its old name back: under the new one it would be applied a second time"
        ),
        FindingKind::Failed { .. } => {
            "look what of it was done, finish it or take it back by hand, then record that"
                .to_owned()
        }
        FindingKind::Changed { .. } => format!(
            "restore the file as it was applied, and write what is new as a migration of its own ({revision} is not run again)"
        ),
        FindingKind::Heads { .. } => "merge the heads, or rebase one onto the other".to_owned(),
        FindingKind::Inconsistent { needs } => {
            format!("apply {needs}, or record it as applied if it is")
        }
        FindingKind::Locked { .. } => {
            "end the run that holds it; if no run holds it, release the lock".to_owned()
        }
        FindingKind::Broken { .. } => {
            format!(
                "repair the files in the repository: {name} refuses them, or reads them in another way"
            )
        }
    }
}

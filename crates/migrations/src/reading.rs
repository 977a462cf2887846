//! What the tables and the files say together.

use crate::finding::{Finding, FindingKind};

/// How far the database is under the tool's control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// There is no table but the tool's own, and it has applied nothing.
    Empty,
    /// There are tables, and the tool has applied nothing.
    Untracked,
    /// The tool has applied something.
    Tracked,
}

/// A migration that the tool's table has as applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub id: String,
    pub name: Option<String>,
    pub checksum: Option<String>,
    /// As the table has it.
    pub at: Option<String>,
}

/// Whether a migration can be undone by the tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undo {
    Present,
    /// It is missing or empty, or it refuses.
    Absent,
    #[default]
    Unknown,
}

/// A migration among the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migration {
    pub id: String,
    pub name: Option<String>,
    /// As it was found, from the folder where the tool is called.
    pub path: String,
    pub checksum: Option<String>,
    pub undo: Undo,
    /// What it runs, where the file is SQL.
    pub sql: Option<String>,
    /// What undoes it, where the file is SQL.
    pub undo_sql: Option<String>,
    /// The file asks to be run outside of a transaction.
    pub without_transaction: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub standing: Tracking,
    /// In the order in which they were applied, where the table tells it; else in the files' order.
    pub applied: Vec<Applied>,
    /// In the order in which the tool would apply them.
    pub files: Vec<Migration>,
    /// The ids of the files that the tool would apply, in its order.
    pub pending: Vec<String>,
    /// The ids at which the schema is: one, or one for each branch or app.
    pub current: Vec<String>,
    /// The last ids of the files: one, unless the history has branches.
    pub heads: Vec<String>,
    /// Everything that is not as it is after a migration that went well.
    pub findings: Vec<Finding>,
    /// What neither the files nor the tables could tell, each a whole sentence.
    pub unseen: Vec<String>,
}

impl Reading {
    pub(crate) fn new(standing: Tracking) -> Reading {
        Reading {
            standing,
            applied: Vec::new(),
            files: Vec::new(),
            pending: Vec::new(),
            current: Vec::new(),
            heads: Vec::new(),
            findings: Vec::new(),
            unseen: Vec::new(),
        }
    }

    /// The revision of the schema, to be recorded and compared; `None` where nothing is applied.
    pub fn revision(&self) -> Option<String> {
        (!self.current.is_empty()).then(|| self.current.join(","))
    }

    /// The file of a migration.
    pub fn file(&self, id: &str) -> Option<&Migration> {
        self.files.iter().find(|file| file.id == id)
    }

    /// The pending migrations, in the tool's order.
    pub fn pending_files(&self) -> impl Iterator<Item = &Migration> {
        self.pending.iter().filter_map(|id| self.file(id))
    }

    pub fn is_applied(&self, id: &str) -> bool {
        self.applied.iter().any(|applied| applied.id == id)
    }

    /// Everything is applied, and nothing is wrong.
    pub fn is_at_head(&self) -> bool {
        self.findings.is_empty()
    }

    /// Nothing is wrong but that something is to be applied.
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.kind.is_work())
    }

    /// One that was begun and did not end: neither applied nor pending.
    pub(crate) fn fail(&mut self, id: &str, message: Option<String>) {
        self.find(FindingKind::Failed { message }, Some(id));
        self.applied.retain(|one| one.id != id);
        if self.current.iter().any(|current| current == id) {
            let last = self.applied.last().map(|last| last.id.clone());
            self.current = last.into_iter().collect();
        }
    }

    pub(crate) fn find(&mut self, kind: FindingKind, id: Option<&str>) {
        let file = id.and_then(|id| self.file(id));
        let applied = self.applied.iter().find(|one| Some(one.id.as_str()) == id);
        let of_row = || applied.and_then(|one| one.name.clone());
        let finding = Finding {
            revision: id.map(str::to_owned),
            name: file.and_then(|file| file.name.clone()).or_else(of_row),
            file: file.map(|file| file.path.clone()),
            kind,
            next: String::new(),
        };
        self.findings.push(finding);
    }
}

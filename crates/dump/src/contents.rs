//! What a dump holds, and what can be wrong with it.

use std::collections::BTreeSet;

use database::System;

/// How a dump is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `pg_dump --format=custom`
    Custom,
    Directory,
    Tar,
    /// Statements.
    Sql,
    /// Statements within gzip.
    SqlGzip,
}

impl Format {
    /// What `pg_restore` reads.
    pub fn is_archive(self) -> bool {
        match self {
            Format::Custom | Format::Directory | Format::Tar => true,
            Format::Sql | Format::SqlGzip => false,
        }
    }
}

/// A dump that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    pub format: Format,
    pub system: System,
    /// Whose dump it is, where the dump tells.
    pub databases: Vec<String>,
    /// The server's version, where the dump tells.
    pub server: Option<String>,
    /// `schema.table`, or `table` with MariaDB.
    pub tables: BTreeSet<String>,
    /// Those whose rows are in it, empty ones too where the dump tells.
    pub with_data: BTreeSet<String>,
    /// In bytes.
    pub size: u64,
    /// Of all its bytes.
    pub sha256: String,
    /// It chooses its database itself, so that it can be restored there alone.
    pub is_bound: bool,
}

/// What a dump must be.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Whose dump it must be.
    pub database: Option<String>,
    /// Tables that must be in it. Plain SQL of PostgreSQL does not name its database: its tables tell.
    pub tables: BTreeSet<String>,
    /// Noted when it was taken.
    pub sha256: Option<String>,
    /// The database had no table when it was taken.
    pub may_be_empty: bool,
}

/// What is wrong with a dump.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentsError {
    #[error("it is empty")]
    Empty,
    #[error("it is not a dump of PostgreSQL or MariaDB")]
    NotADump,
    /// It ends too early; what was missed.
    #[error("it is cut off: {0}")]
    CutOff(String),
    /// What its reader said.
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("it has the rows and not the schema, as `--data-only` leaves them")]
    DataOnly,
    #[error("it has the schema and no rows, as `--schema-only` leaves it")]
    SchemaOnly,
    #[error("it has no table")]
    NoTables,
    #[error("it is a dump of {}, not of `{wanted}`", listed(.has))]
    OtherDatabase { has: Vec<String>, wanted: String },
    #[error("it does not have {}", listed(.0))]
    MissingTables(Vec<String>),
    #[error("it has changed since it was taken: its sha256 is {has}, and {noted} was noted")]
    Changed { has: String, noted: String },
}

impl ContentsError {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            ContentsError::DataOnly => "take it without `--data-only`",
            ContentsError::SchemaOnly => "take it without `--schema-only` (MariaDB: `--no-data`)",
            ContentsError::OtherDatabase { .. }
            | ContentsError::MissingTables(_)
            | ContentsError::NoTables => "see which database the backup job dumps",
            ContentsError::Empty
            | ContentsError::NotADump
            | ContentsError::CutOff(_)
            | ContentsError::Damaged(_)
            | ContentsError::Changed { .. } => {
                "take another: `migrate backup`; and see the log of the job that wrote this one"
            }
        }
    }
}

/// The first few of some names.
fn listed(names: &[String]) -> String {
    const MAX_SHOWN: usize = 5;
    let shown: Vec<String> = names
        .iter()
        .take(MAX_SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(MAX_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Whether these definitions and rows are a whole dump. The one rule of what is schema and what is data.
pub(crate) fn halves(definitions: usize, tables: usize, data: usize) -> Option<ContentsError> {
    match (definitions, tables, data) {
        (0, _, 0) => Some(ContentsError::NoTables),
        (0, _, _) => Some(ContentsError::DataOnly),
        (_, 1.., 0) => Some(ContentsError::SchemaOnly),
        _ => None,
    }
}

impl Contents {
    /// What is wrong, given what it must be.
    pub fn fault(&self, expected: &Expected) -> Option<ContentsError> {
        if let Some(noted) = &expected.sha256
            && *noted != self.sha256
        {
            return Some(ContentsError::Changed {
                has: self.sha256.clone(),
                noted: noted.clone(),
            });
        }
        if let Some(wanted) = &expected.database
            && !self.databases.is_empty()
            && !self.databases.contains(wanted)
        {
            return Some(ContentsError::OtherDatabase {
                has: self.databases.clone(),
                wanted: wanted.clone(),
            });
        }
        if self.tables.is_empty() && !expected.may_be_empty {
            return Some(ContentsError::NoTables);
        }
        let missing = expected.tables.difference(&self.tables);
        let missing: Vec<String> = missing.cloned().collect();
        (!missing.is_empty()).then_some(ContentsError::MissingTables(missing))
    }
}

//! What a tool asks a database, and what it makes its reading of.

use database::{Rows, System, identifier};

use crate::files::Tree;
use crate::reading::Tracking;

/// A table of the tool's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub schema: Option<String>,
    pub name: String,
}

impl Table {
    pub fn new(schema: Option<&str>, name: &str) -> Table {
        Table {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// As the system reads it, whatever letters it has.
    pub fn quoted(&self, system: System) -> String {
        let name = identifier(system, &self.name);
        match &self.schema {
            Some(schema) => format!("{}.{name}", identifier(system, schema)),
            None => name,
        }
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

/// A question to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The table that it reads; `None` for a query of the user's.
    pub table: Option<Table>,
    pub sql: String,
}

impl Query {
    /// Some columns of a table. `rest` follows the table's name.
    pub fn of(table: Table, columns: &[&str], rest: &str, system: System) -> Query {
        let columns: Vec<String> = columns
            .iter()
            .map(|column| identifier(system, column))
            .collect();
        let from = table.quoted(system);
        Query {
            sql: format!("SELECT {} FROM {from} {rest}", columns.join(", ")),
            table: Some(table),
        }
    }
}

/// All that a reading is made of.
#[derive(Debug)]
pub struct ToolAnswers<'a> {
    pub system: System,
    pub files: &'a Tree,
    /// The answers to the tool's queries, in their order; `None` where the table does not exist.
    pub answers: &'a [Option<Rows>],
    /// Whether the database has no tables but those of the queries.
    pub is_empty: bool,
    /// What the tool's command printed, where it has one.
    pub lines: &'a [String],
}

impl ToolAnswers<'_> {
    /// The rows of a query; none where the table does not exist.
    pub fn rows(&self, nth: usize) -> &[Vec<Option<String>>] {
        let rows = self.answers.get(nth).and_then(Option::as_ref);
        rows.map(|rows| rows.rows.as_slice()).unwrap_or_default()
    }

    pub fn standing(&self, has_applied: bool) -> Tracking {
        match (has_applied, self.is_empty) {
            (true, _) => Tracking::Tracked,
            (false, true) => Tracking::Empty,
            (false, false) => Tracking::Untracked,
        }
    }
}

/// A cell; empty where it is NULL.
pub(crate) fn cell(row: &[Option<String>], nth: usize) -> &str {
    row.get(nth).and_then(Option::as_deref).unwrap_or_default()
}

/// A cell that may be NULL.
pub(crate) fn maybe(row: &[Option<String>], nth: usize) -> Option<String> {
    row.get(nth).cloned().flatten()
}

/// A boolean of any system.
pub(crate) fn is_true(cell: &str) -> bool {
    matches!(cell, "t" | "true" | "1" | "\u{1}")
}

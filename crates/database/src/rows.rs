//! What a statement gives: rows of text.

use std::future::Future;

use crate::error::Error;

/// The answer to one statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub columns: Vec<String>,
    /// A cell is `None` where it is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The first cell of the first row.
    pub fn first_cell(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }

    /// The first cell of every row; NULLs are left out.
    pub fn first(&self) -> impl Iterator<Item = &str> {
        let cells = self.rows.iter().filter_map(|row| row.first());
        cells.filter_map(Option::as_deref)
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Asks a database.
pub trait QueryRows {
    /// The rows of one statement.
    fn rows(&mut self, sql: &str) -> impl Future<Output = Result<Rows, Error>>;
}

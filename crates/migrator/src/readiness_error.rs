//! Why it is not known what the pending SQL does, or whether the database is ready for it.

use ddl::rule::UnknownRuleError;
use ddl::{LintError, ReadError};

/// Each is shown as the end of a sentence.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadinessError {
    /// The tool cannot give the SQL at all.
    #[error("{0}")]
    NoSql(&'static str),
    /// The tool was asked for the SQL and failed, with what it wrote.
    #[error("{0}")]
    NotPrinted(String),
    #[error("{file}: {unread}")]
    Unread { file: String, unread: ReadError },
    #[error(transparent)]
    NotLinted(#[from] LintError),
    #[error(transparent)]
    NoSuchRule(#[from] UnknownRuleError),
    #[error(transparent)]
    Database(#[from] database::Error),
}

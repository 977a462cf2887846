//! Why it is not known what the pending SQL does, or whether the database is ready for it.

use ddl::rule::NoSuchRule;
use ddl::{NotLinted, Unread};

/// Each is shown as the end of a sentence.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unknown {
    /// The tool cannot give the SQL at all.
    #[error("{0}")]
    NoSql(&'static str),
    /// The tool was asked for the SQL and failed, with what it wrote.
    #[error("{0}")]
    NotPrinted(String),
    #[error("{file}: {unread}")]
    Unread { file: String, unread: Unread },
    #[error(transparent)]
    NotLinted(#[from] NotLinted),
    #[error(transparent)]
    NoSuchRule(#[from] NoSuchRule),
    #[error(transparent)]
    Database(#[from] database::Error),
}

//! In which transactions a migration is made.

/// How the statements of a migration are put into transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// The tool puts the whole file into one.
    Whole,
    /// The tool sends the file as one query: several statements are one transaction, and one
    /// statement is by itself.
    Implicit,
    /// As the file says, with its BEGIN and COMMIT.
    AsWritten,
}

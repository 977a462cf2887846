//! What is known of a tool before it is asked anything.

use crate::transaction::Transaction;

/// How the file of a migration is blanked where it is not SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sql,
    /// `${schema}` is a name, or a part of one.
    Placeholders,
    /// A line that begins with `\` is a command of psql.
    Psql,
}

/// Which line begins the part of a file that applies, and which one the part that undoes, behind `--` and in small letters.
#[derive(Clone, Copy, Debug)]
pub struct Markers {
    pub up: &'static str,
    pub down: &'static str,
}

/// What to do instead of what harms, in the tool's own words.
#[derive(Clone, Copy, Debug)]
pub struct SafeWays {
    /// How a statement is kept out of the migration's transaction; fits after "run it".
    pub outside_transaction: &'static str,
    pub create_index: &'static str,
    pub drop_index: &'static str,
    /// A foreign key that is not checked yet.
    pub foreign_key_not_valid: &'static str,
    /// A check that is not made yet.
    pub check_not_valid: &'static str,
    pub validate: &'static str,
    /// How the code forgets a column before the database does; fits after "first release code that".
    pub forget_column: &'static str,
}

/// The words of a tool whose migrations are SQL.
pub(crate) const SQL_WAYS: SafeWays = SafeWays {
    outside_transaction: "outside a transaction, in a migration of its own",
    create_index: "`CREATE INDEX CONCURRENTLY`",
    drop_index: "`DROP INDEX CONCURRENTLY`",
    foreign_key_not_valid: "`ADD FOREIGN KEY ... NOT VALID`",
    check_not_valid: "`ADD CONSTRAINT ... CHECK (...) NOT VALID`",
    validate: "`ALTER TABLE ... VALIDATE CONSTRAINT ...`",
    forget_column: "does not use it",
};

/// What is known of a tool before it is asked anything.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// As the configuration names it.
    pub name: &'static str,
    /// Programs that do nothing but migrate.
    pub programs: &'static [&'static str],
    /// The words in a row by which a command line calls it: each of these.
    pub calls: &'static [&'static [&'static str]],
    /// Parts of a command line, of a package's script too, that speak of a migration by it.
    pub mentions: &'static [&'static str],
    /// Folders that hold its migrations, by the end of their paths.
    pub folders: &'static [&'static str],
    /// What it does without being told otherwise.
    pub transaction: Transaction,
    /// Whether BEGIN and COMMIT are the migration's to write.
    pub has_own_transactions: bool,
    /// The tables in which it keeps what it has applied.
    pub own_tables: &'static [&'static str],
    pub markers: &'static [Markers],
    /// Whether what precedes the first marker is applied.
    pub applies_before_markers: bool,
    /// Whether a file undoes a migration, by its path and its name in small letters.
    pub undoes: fn(path: &str, name: &str) -> bool,
    pub dialect: Dialect,
    pub ways: SafeWays,
}

/// A tool that is a program, or of which nothing else is known.
pub(crate) const FACTS: Facts = Facts {
    name: "",
    programs: &[],
    calls: &[],
    mentions: &[],
    folders: &[],
    transaction: Transaction::AsWritten,
    has_own_transactions: false,
    own_tables: &[],
    markers: &[],
    applies_before_markers: true,
    undoes: |_, _| false,
    dialect: Dialect::Sql,
    ways: SQL_WAYS,
};

//! What one statement does to those who use the database meanwhile, and to the release before.

use std::fmt;
use std::ops::Range;

use crate::{Name, Place};

/// The lock that a statement takes on a relation, weakest first.
///
/// Which mode conflicts with which is said by the manual, 13.3.1 Table-Level Locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMode {
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl LockMode {
    pub const ALL: [LockMode; 6] = [
        LockMode::RowExclusive,
        LockMode::ShareUpdateExclusive,
        LockMode::Share,
        LockMode::ShareRowExclusive,
        LockMode::Exclusive,
        LockMode::AccessExclusive,
    ];

    /// As the manual and `LOCK TABLE` write it.
    pub fn name(self) -> &'static str {
        match self {
            LockMode::RowExclusive => "ROW EXCLUSIVE",
            LockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            LockMode::Share => "SHARE",
            LockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            LockMode::Exclusive => "EXCLUSIVE",
            LockMode::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// As the view `pg_locks` writes it.
    pub fn in_pg_locks(self) -> &'static str {
        match self {
            LockMode::RowExclusive => "RowExclusiveLock",
            LockMode::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            LockMode::Share => "ShareLock",
            LockMode::ShareRowExclusive => "ShareRowExclusiveLock",
            LockMode::Exclusive => "ExclusiveLock",
            LockMode::AccessExclusive => "AccessExclusiveLock",
        }
    }

    /// Whether a `SELECT` waits for it.
    pub fn blocks_reads(self) -> bool {
        self == LockMode::AccessExclusive
    }

    /// Whether an `INSERT`, `UPDATE` or `DELETE` waits for it.
    pub fn blocks_writes(self) -> bool {
        self >= LockMode::Share
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a statement does with all rows of a relation, lightest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// As long as it takes with an empty table.
    #[default]
    None,
    /// Every row is read: to check a constraint, or to build an index.
    Scan,
    /// The types do not tell whether every row is read or written again.
    Unsure,
    /// Every row is written again, with all indexes.
    Rewrite,
    /// The rows are thrown away, whatever their number.
    Empty,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Work::None => "no work on the rows",
            Work::Scan => "reads every row",
            Work::Unsure => "may write every row again",
            Work::Rewrite => "writes every row again",
            Work::Empty => "empties it",
        })
    }
}

/// What a statement does with one relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    pub relation: Name,
    /// `None` where no lock is taken that anyone but `ACCESS EXCLUSIVE` waits for.
    pub lock: Option<LockMode>,
    pub work: Work,
    /// The same migration has made it: nothing waits for it yet.
    pub fresh: bool,
}

/// What a release may use of a database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Table(Name),
    Column(Name, String),
    View(Name),
    /// Sequences, types, functions, schemas and others, with the word for their kind.
    Other(&'static str, String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Table(name) => write!(f, "table {name}"),
            Part::Column(table, column) => write!(f, "column {table}.{column}"),
            Part::View(name) => write!(f, "view {name}"),
            Part::Other(kind, name) => write!(f, "{kind} {name}"),
        }
    }
}

/// Why a release that was written for the schema before no longer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Dropped,
    Renamed,
    Moved,
    OtherType,
    /// A row without a value is refused, which the release before may write.
    Required,
    /// The default is gone on which the release before may count.
    WithoutDefault,
    /// The values are made by the database, and a release that writes its own is refused.
    Generated,
}

/// A part that the release before may use, and can no longer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Break {
    pub part: Part,
    pub change: Change,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Break { part, change } = self;
        match change {
            Change::Dropped => write!(f, "{part} is dropped"),
            Change::Renamed => write!(f, "{part} is renamed"),
            Change::Moved => write!(f, "{part} is moved to another schema"),
            Change::OtherType => write!(f, "{part} gets another type"),
            Change::Required => write!(f, "{part} must have a value"),
            Change::WithoutDefault => write!(f, "{part} has no default any more"),
            Change::Generated => write!(f, "{part} is written by the database alone"),
        }
    }
}

/// Whether the release before works on the schema after the statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Compatibility {
    #[default]
    Compatible,
    /// What fits the old shape is still read and written, but some rows are refused that were not
    /// before.
    Restricts(String),
    Breaks(Vec<Break>),
    /// It cannot be told from the statement.
    Unknown(String),
}

/// Whether a statement can be undone by another one, with all that was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reversible {
    #[default]
    Yes,
    No(String),
    Unknown,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementEffect {
    pub place: Place,
    /// The statement on one line, cut after [`MAX_SHOWN_CHARS`] characters.
    pub text: String,
    /// Whether its locks are held until the migration's transaction ends, instead of with it.
    pub in_transaction: bool,
    /// In the order in which they are touched. Locks that only `ACCESS EXCLUSIVE` waits for (those
    /// of `SELECT`) are left out.
    pub touched: Vec<Touched>,
    pub reversible: Reversible,
    pub compatibility: Compatibility,
    /// The parts whose data are gone afterwards.
    pub destroys: Vec<Part>,
    /// Whether PostgreSQL refuses it in a transaction.
    pub alone: bool,
    /// Its bytes in the text.
    pub bytes: Range<usize>,
    /// Why more may happen than is said here: the statement, or a part of it, is not understood.
    pub unknown: Option<String>,
}

/// How much of a statement is shown.
pub const MAX_SHOWN_CHARS: usize = 160;

impl StatementEffect {
    pub(crate) fn of(
        place: Place,
        bytes: Range<usize>,
        said: &str,
        in_transaction: bool,
    ) -> StatementEffect {
        let said = said.trim_end_matches(';').trim_end();
        let text = match said.char_indices().nth(MAX_SHOWN_CHARS) {
            Some((end, _)) => format!("{}…", said[..end].trim_end()),
            None => said.to_owned(),
        };
        StatementEffect {
            place,
            text,
            in_transaction,
            touched: Vec::new(),
            reversible: Reversible::default(),
            compatibility: Compatibility::default(),
            destroys: Vec::new(),
            alone: false,
            bytes,
            unknown: None,
        }
    }

    /// The strongest lock on a relation that others use.
    pub fn strongest(&self) -> Option<LockMode> {
        let others = self.touched.iter().filter(|touched| !touched.fresh);
        others.filter_map(|touched| touched.lock).max()
    }

    /// The heaviest work on a relation that has rows.
    pub fn work(&self) -> Work {
        let others = self.touched.iter().filter(|touched| !touched.fresh);
        others.map(|touched| touched.work).max().unwrap_or_default()
    }

    pub(crate) fn touch(&mut self, relation: &Name, lock: Option<LockMode>, work: Work) {
        let known = self
            .touched
            .iter_mut()
            .find(|one| one.relation == *relation);
        if let Some(known) = known {
            known.lock = known.lock.max(lock);
            known.work = known.work.max(work);
            return;
        }
        self.touched.push(Touched {
            relation: relation.clone(),
            lock,
            work,
            fresh: false,
        });
    }

    pub(crate) fn lock(&mut self, relation: &Name, lock: LockMode) {
        self.touch(relation, Some(lock), Work::None);
    }

    pub(crate) fn work_on(&mut self, relation: &Name, work: Work) {
        self.touch(relation, None, work);
    }

    pub(crate) fn breaks(&mut self, part: Part, change: Change) {
        let one = Break { part, change };
        match &mut self.compatibility {
            Compatibility::Breaks(all) => all.push(one),
            other => *other = Compatibility::Breaks(vec![one]),
        }
    }

    /// Counts where nothing breaks.
    pub(crate) fn restricts(&mut self, why: impl Into<String>) {
        if self.compatibility == Compatibility::Compatible {
            self.compatibility = Compatibility::Restricts(why.into());
        }
    }

    /// Counts where nothing breaks.
    pub(crate) fn perhaps_breaks(&mut self, why: impl Into<String>) {
        if !matches!(self.compatibility, Compatibility::Breaks(_)) {
            self.compatibility = Compatibility::Unknown(why.into());
        }
    }

    pub(crate) fn destroys(&mut self, part: Part) {
        self.irreversible(format!("the data of {part} are gone"));
        self.destroys.push(part);
    }

    pub(crate) fn irreversible(&mut self, why: impl Into<String>) {
        if !matches!(self.reversible, Reversible::No(_)) {
            self.reversible = Reversible::No(why.into());
        }
    }

    /// The statement may do anything.
    pub(crate) fn not_understood(&mut self, why: impl Into<String>) {
        let why = why.into();
        self.perhaps_breaks(why.clone());
        if self.reversible == Reversible::Yes {
            self.reversible = Reversible::Unknown;
        }
        self.unknown.get_or_insert(why);
    }
}

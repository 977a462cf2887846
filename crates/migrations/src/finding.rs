//! What is not as it is after a migration that went well.

use std::fmt;

/// A kind of trouble, or of work that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// The tool has applied nothing yet.
    NotMigrated { is_empty: bool },
    /// A file that is not applied.
    Pending,
    /// A file that is not applied, although one that comes after it is.
    OutOfOrder { after: String },
    /// Applied, and no file has it; it is not known to be newer than the files.
    Unknown,
    /// Applied and newer than every file: the schema is ahead of this release.
    Ahead,
    /// Applied, and no file has it, while files have others in its place: two histories.
    Diverged { instead: Vec<String> },
    /// Two revisions are recorded as current of which one comes before the other.
    Overlapping { with: String },
    /// Applied under a name that no file has any more, but another file is the same.
    Renamed { to: String, proof: Proof },
    /// It was begun and did not end.
    Failed { message: Option<String> },
    /// The file is another one than was applied.
    Changed { recorded: String, found: String },
    /// The files have several ends of one history.
    Heads { heads: Vec<String> },
    /// Applied before a migration that it needs.
    Inconsistent { needs: String },
    /// The tool's lock is held, perhaps by a run that is gone.
    Locked {
        by: Option<String>,
        since: Option<String>,
    },
    /// The files contradict themselves, or cannot be read as the tool reads them.
    Broken { reason: String },
}

/// How it is known that a file has another name now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its content.
    Checksum,
    /// The part of its name that stayed.
    Name,
    /// Its version, which is recorded with another name.
    Version,
    /// It is the only one in its place. It may be another migration, too.
    Place,
}

impl FindingKind {
    /// Nothing is wrong: it only has to be applied.
    pub fn is_work(&self) -> bool {
        matches!(self, FindingKind::NotMigrated { .. } | FindingKind::Pending)
    }

    /// A stable word for reports.
    pub fn as_str(&self) -> &'static str {
        match self {
            FindingKind::NotMigrated { .. } => "not-migrated",
            FindingKind::Pending => "pending",
            FindingKind::OutOfOrder { .. } => "out-of-order",
            FindingKind::Unknown => "unknown",
            FindingKind::Ahead => "ahead",
            FindingKind::Diverged { .. } => "diverged",
            FindingKind::Overlapping { .. } => "overlapping",
            FindingKind::Renamed { .. } => "renamed",
            FindingKind::Failed { .. } => "failed",
            FindingKind::Changed { .. } => "changed",
            FindingKind::Heads { .. } => "several-heads",
            FindingKind::Inconsistent { .. } => "inconsistent",
            FindingKind::Locked { .. } => "locked",
            FindingKind::Broken { .. } => "broken",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub revision: Option<String>,
    /// What people call it, where that is not its id.
    pub name: Option<String>,
    /// The file, where there is one.
    pub file: Option<String>,
    pub kind: FindingKind,
    /// What to do, in the tool's own words.
    pub next: String,
}

impl Finding {
    /// The revision, with its name where the id does not tell it.
    pub fn title(&self) -> String {
        match (&self.revision, &self.name) {
            (None, _) => "the history".to_owned(),
            (Some(id), Some(name)) if !name.is_empty() && !id.contains(name.as_str()) => {
                format!("{id} ({name})")
            }
            (Some(id), _) => id.clone(),
        }
    }
}

/// One sentence without a full stop.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revision = self.title();
        match &self.kind {
            FindingKind::NotMigrated { is_empty: true } => f.write_str("the database is empty"),
            FindingKind::NotMigrated { is_empty: false } => {
                f.write_str("the database has tables, and no migration is recorded in it")
            }
            FindingKind::Pending => write!(f, "{revision} is pending"),
            FindingKind::OutOfOrder { after } => {
                write!(
                    f,
                    "{revision} is pending although {after}, which comes after it, is applied"
                )
            }
            FindingKind::Unknown => write!(f, "{revision} is applied, and no file has it"),
            FindingKind::Ahead => write!(
                f,
                "{revision} is applied and newer than every file: the schema is ahead of this release"
            ),
            FindingKind::Diverged { instead } => write!(
                f,
                "{revision} is applied where the files have {}: two histories",
                instead.join(", ")
            ),
            FindingKind::Overlapping { with } => write!(
                f,
                "{revision} and {with} are both recorded as current, and {revision} comes before {with}"
            ),
            FindingKind::Renamed { to, proof } => match proof {
                Proof::Checksum => write!(
                    f,
                    "{revision} is applied, and its file is now {to}: the content is the same"
                ),
                Proof::Name => write!(
                    f,
                    "{revision} is applied, and its file is now {to}: the name is the same"
                ),
                Proof::Version => write!(f, "{revision} was applied under another name than {to}"),
                Proof::Place => write!(
                    f,
                    "{revision} is applied, and no file has it; {to} is in its place: the same under another name, or another history"
                ),
            },
            FindingKind::Failed {
                message: Some(message),
            } => write!(f, "{revision} failed: {message}"),
            FindingKind::Failed { message: None } => write!(f, "{revision} failed half-way"),
            FindingKind::Changed { recorded, found } => write!(
                f,
                "{revision} was changed after it was applied: checksum {found}, recorded {recorded}"
            ),
            FindingKind::Heads { heads } => {
                write!(f, "the files have several heads: {}", heads.join(", "))
            }
            FindingKind::Inconsistent { needs } => {
                write!(f, "{revision} is applied before {needs}, which it needs")
            }
            FindingKind::Locked { by, since } => {
                f.write_str("the tool's lock is held")?;
                if let Some(by) = by {
                    write!(f, " by {by}")?;
                }
                match since {
                    Some(since) => write!(f, " since {since}"),
                    None => Ok(()),
                }
            }
            FindingKind::Broken { reason } => f.write_str(reason),
        }
    }
}

//! Why a backup was not taken, read or restored.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::text::duration;

use crate::contents::ContentsError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Database(#[from] database::Error),
    /// No program of the version that the server needs.
    #[error("no `{program}` of version {needs} or later is installed here{}", found_words(.found))]
    TooOld {
        program: &'static str,
        /// The server's major version.
        needs: u32,
        /// The versions that are here.
        found: Vec<u32>,
    },
    #[error("`{program}` is not installed here")]
    NoProgram {
        program: &'static str,
        /// Debian's name of what has it.
        package: &'static str,
    },
    #[error("`{program}` could not be started: {cause}")]
    NotStarted { program: String, cause: io::Error },
    /// A program did not end with success; what it said last.
    #[error("`{program}` failed: {told}")]
    Failed { program: String, told: String },
    #[error("`{program}` did not finish within {}", duration(*within))]
    Late { program: String, within: Duration },
    /// It was read, and it is no good.
    #[error("{}: {fault}", path.display())]
    Fault { path: PathBuf, fault: ContentsError },
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error("{}: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
    /// It cannot be done in this way here; the whole sentence.
    #[error("{0}")]
    Unfit(String),
    #[error("there is no backup `{0}`")]
    NoBackup(String),
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |cause| Error::Io { path, cause }
    }

    pub(crate) fn fault(path: &Path, fault: ContentsError) -> Error {
        Error::Fault {
            path: path.to_owned(),
            fault,
        }
    }

    /// What is wrong with what was read; `None` where it was not read.
    pub fn as_fault(&self) -> Option<&ContentsError> {
        match self {
            Error::Fault { fault, .. } => Some(fault),
            _ => None,
        }
    }

    /// The next step.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Error::TooOld { needs, .. } => {
                format!("install it: `apt-get install postgresql-client-{needs}`")
            }
            Error::NoProgram { package, .. } => format!("install it: `apt-get install {package}`"),
            Error::Database(error) if error.is_denied() => {
                "see what the user may do: `\\du`, `SHOW GRANTS`".to_owned()
            }
            Error::Failed { told, .. } if told.contains("permission denied") => {
                "a backup needs a user who may read everything: `GRANT pg_read_all_data TO …`"
                    .to_owned()
            }
            Error::Failed { told, .. } if told.contains("LOCK TABLE") => {
                "another session has locked the table: see `pg_stat_activity` and `pg_locks`, and try again".to_owned()
            }
            Error::Fault { fault, .. } => fault.hint().to_owned(),
            Error::Late { .. } => {
                "raise the deadline, or see what the server is busy with".to_owned()
            }
            Error::Database(_) => "see whether the server answers, and its log".to_owned(),
            Error::NotStarted { program, .. } => format!("try it here: `{program} --version`"),
            Error::Failed { .. } => "see the log of the database server".to_owned(),
            Error::Io { .. } => "check the space and the permissions of its folder".to_owned(),
            Error::Malformed { .. } => "take another: `migrate backup`".to_owned(),
            Error::NoBackup(_) => "take one: `migrate backup`".to_owned(),
            Error::Unfit(_) => return None,
        })
    }
}

fn found_words(found: &[u32]) -> String {
    let words: Vec<String> = found.iter().map(u32::to_string).collect();
    match words.as_slice() {
        [] => String::new(),
        words => format!(", only {}", words.join(", ")),
    }
}

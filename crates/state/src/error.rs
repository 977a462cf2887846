//! Why a state could not be read or written, and what to do about it.

use crate::backend::BackendError;
use crate::document::{Lock, SCHEMA};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read the state {place}: {reason}")]
    Read {
        place: String,
        reason: String,
        hint: String,
    },
    #[error("the state {place} is damaged: {reason}")]
    Damaged {
        place: String,
        reason: String,
        backup: Option<String>,
    },
    #[error("the state {place} has schema `{schema}`, this release reads `{SCHEMA}`")]
    Newer {
        place: String,
        schema: String,
        backup: Option<String>,
    },
    #[error("the state {place} has the format of before version 1")]
    Older { place: String },
    #[error("failed to write the state {place}; the old one is intact: {reason}")]
    Write {
        place: String,
        reason: String,
        hint: String,
    },
    #[error("failed to verify that the state {place} was written: {reason}")]
    Unsure { place: String, reason: String },
    #[error("failed to write the state {place} in time; the old one is intact: {reason}")]
    Busy { place: String, reason: String },
    #[error("locked by {} for `{}` since {}, until {}", lock.holder, lock.operation, lock.acquired, lock.expires)]
    Held { lock: Box<Lock> },
    #[error("the lock with fencing token {token} was lost; nothing was written")]
    Lost { token: u64 },
    #[error("the journal {place} is damaged: {reason}")]
    JournalDamaged { place: String, reason: String },
    #[error("the journal {place} was written by a newer deploy-guard: {reason}")]
    JournalNewer { place: String, reason: String },
    #[error("the state {place} is gone, and {left} is still there: this is not a fresh start")]
    Gone { place: String, left: String },
    #[error("failed to write the journal {place}: {reason}")]
    Journal {
        place: String,
        reason: String,
        hint: String,
    },
    #[error("failed to use the log {place}: {reason}")]
    Log {
        place: String,
        reason: String,
        hint: String,
    },
}

impl Error {
    /// Whether a safety rule forbids to go on, and not only that it could not be asked.
    pub fn refuses(&self) -> bool {
        match self {
            Error::Held { .. }
            | Error::Lost { .. }
            | Error::Damaged { .. }
            | Error::Newer { .. }
            | Error::Older { .. }
            | Error::Gone { .. }
            | Error::JournalDamaged { .. }
            | Error::JournalNewer { .. } => true,
            Error::Read { .. }
            | Error::Write { .. }
            | Error::Unsure { .. }
            | Error::Busy { .. }
            | Error::Journal { .. }
            | Error::Log { .. } => false,
        }
    }

    /// The next step for a person.
    pub fn hint(&self) -> String {
        match self {
            Error::Read { hint, .. }
            | Error::Write { hint, .. }
            | Error::Journal { hint, .. }
            | Error::Log { hint, .. } => hint.clone(),
            Error::Newer { backup, .. } => {
                let backup = backup.as_ref().map(|backup| {
                    format!("; the version before it is {backup}")
                });
                format!(
                    "it was left untouched: use the release of this tool that wrote it{}",
                    backup.unwrap_or_default()
                )
            }
            Error::Damaged { backup, .. } => match backup {
                Some(backup) => format!(
                    "it was left untouched; the version before it is {backup}: `rollback state repair` shows what it would do"
                ),
                None => "it was left untouched, and there is no backup: restore it, or move it away to start anew".into(),
            },
            Error::Older { .. } => {
                "it was left untouched: `rollback state migrate --dry-run` shows what becomes of it".into()
            }
            Error::Unsure { .. } => "see what was written: `rollback status`".into(),
            Error::Busy { place, .. } => format!(
                "find the process that writes there; remove `{place}.lock` if its process has certainly ended"
            ),
            Error::Held { .. } => "wait for it with `--lock-wait 10m`, or see `rollback status`; `rollback unlock` removes a lock whose holder is gone".into(),
            Error::Lost { .. } => "another operation took the lock over: see `rollback status` and `rollback history`".into(),
            Error::JournalNewer { .. } => {
                "it was left untouched: use the release of this tool that wrote it".into()
            }
            Error::Gone { left, .. } => format!(
                "nothing was changed: `rollback state repair` shows what it would put back; to begin anew, move {left} away too"
            ),
            Error::JournalDamaged { .. } => {
                "inspect the journal and what runs; then move the journal away and run `rollback run` again".into()
            }
        }
    }

    pub(crate) fn read(place: String, error: BackendError) -> Error {
        let (reason, hint) = error.reason_and_hint("check its name, and what you may read there");
        Error::Read {
            place,
            reason,
            hint,
        }
    }

    pub(crate) fn journal(place: String, error: BackendError) -> Error {
        let (reason, hint) = error.reason_and_hint(
            "check the free space and the permissions beside the state, then `rollback resume`",
        );
        Error::Journal {
            place,
            reason,
            hint,
        }
    }
}

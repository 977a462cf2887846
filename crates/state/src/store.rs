//! The state in a local file: read, compared, swapped, leased.
//!
//! A swap is short and stands under an operating system lock on a file beside the state; the
//! lease for a whole operation is `lock` in the document itself.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::document::{Document, Lock, SCHEMA};
use crate::{Holder, atomic};

/// Far more than a history needs.
const MAX_SIZE: u64 = 4 << 20;
/// A swap takes milliseconds; whoever holds it longer is stuck.
const SWAP_TIME: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read the state {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the state {} is damaged: {reason}", path.display())]
    Damaged {
        path: PathBuf,
        reason: String,
        backup: Option<PathBuf>,
    },
    #[error("the state {} has schema `{schema}`, this release reads `{SCHEMA}`", path.display())]
    Newer {
        path: PathBuf,
        schema: String,
        backup: Option<PathBuf>,
    },
    #[error("failed to write the state {}; the old one is intact", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("failed to lock {} within {} s", path.display(), SWAP_TIME.as_secs())]
    Busy { path: PathBuf },
    #[error("locked by {} for `{}` since {}, until {}", lock.holder, lock.operation, lock.acquired, lock.expires)]
    Held { lock: Box<Lock> },
    #[error("the lock with fencing token {token} was lost; nothing was written")]
    Lost { token: u64 },
}

impl Error {
    /// The next step for a person.
    pub fn hint(&self) -> String {
        match self {
            Error::Read { .. } => "check the path and its permissions".into(),
            Error::Damaged { backup, path, .. } | Error::Newer { backup, path, .. } => match backup {
                Some(backup) => format!(
                    "it was left untouched; the version before it is {}: look at both, then `cp {} {}`",
                    backup.display(),
                    backup.display(),
                    path.display()
                ),
                None => "it was left untouched, and there is no backup: restore it, or move it away to start anew".into(),
            },
            Error::Write { .. } => "check the disk's free space and the folder's permissions".into(),
            Error::Busy { path } => format!("see who has it open: `fuser {}`", path.display()),
            Error::Held { .. } => "wait for it, or see `rollback status`; `rollback unlock` takes away a lock whose holder is gone".into(),
            Error::Lost { .. } => "somebody took the lock over: see `rollback status` and `rollback history`".into(),
        }
    }
}

/// A state file.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

/// The right to change the service until it is released or expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub token: u64,
}

/// What a lease is for.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    pub holder: Holder,
    pub operation: &'a str,
    pub ttl: Duration,
}

impl Store {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Store { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version before the present one.
    pub fn backup(&self) -> PathBuf {
        atomic::beside(&self.path, "bak")
    }

    fn kept_backup(&self) -> Option<PathBuf> {
        Some(self.backup()).filter(|path| path.is_file())
    }

    /// The document; `None` if there is no file yet.
    pub fn read(&self) -> Result<Option<Document>, Error> {
        let read = |source| Error::Read {
            path: self.path.clone(),
            source,
        };
        let mut bytes = Vec::new();
        // Opening a pipe would wait for its other end.
        if std::fs::metadata(&self.path).is_ok_and(|meta| !meta.is_file()) {
            return Err(Error::Damaged {
                path: self.path.clone(),
                reason: "it is no regular file".into(),
                backup: self.kept_backup(),
            });
        }
        match File::open(&self.path) {
            Ok(file) => file
                .take(MAX_SIZE + 1)
                .read_to_end(&mut bytes)
                .map_err(read)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(read(error)),
        };
        self.parse(&bytes).map(Some)
    }

    fn parse(&self, bytes: &[u8]) -> Result<Document, Error> {
        let damaged = |reason: String| Error::Damaged {
            path: self.path.clone(),
            reason,
            backup: self.kept_backup(),
        };
        if bytes.len() as u64 > MAX_SIZE {
            return Err(damaged(format!("it is larger than {} MiB", MAX_SIZE >> 20)));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(damaged("it is empty".into()));
        }
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| damaged(format!("not JSON: {error}")))?;
        match value["schema"].as_str() {
            Some(SCHEMA) => {}
            Some(schema) if schema.starts_with("deploy-guard/state/") => {
                return Err(Error::Newer {
                    path: self.path.clone(),
                    schema: schema.to_owned(),
                    backup: self.kept_backup(),
                });
            }
            _ => {
                return Err(damaged(format!(
                    "it is no state file: `schema` is not `{SCHEMA}`"
                )));
            }
        }
        serde_json::from_value(value).map_err(|error| damaged(error.to_string()))
    }

    /// Changes the document in one swap. With a lease, only while the lease is held.
    pub fn update<T>(
        &self,
        lease: Option<&Lease>,
        change: impl FnOnce(&mut Document) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let write = |source| Error::Write {
            path: self.path.clone(),
            source,
        };
        std::fs::create_dir_all(atomic::folder(&self.path)).map_err(write)?;
        let swap = self.lock_swap()?;
        let old = self.read()?;
        let mut document = old.clone().unwrap_or_else(|| Document::new(None, None));
        if let Some(lease) = lease
            && document.lock.as_ref().map(|lock| lock.token) != Some(lease.token)
        {
            return Err(Error::Lost { token: lease.token });
        }
        let result = change(&mut document)?;
        document.generation += 1;
        let mut bytes = serde_json::to_vec_pretty(&document).map_err(|e| write(e.into()))?;
        bytes.push(b'\n');
        if old.is_some() {
            let before = std::fs::read(&self.path).map_err(write)?;
            atomic::replace(&self.backup(), &before).map_err(write)?;
        }
        atomic::replace(&self.path, &bytes).map_err(write)?;
        drop(swap);
        Ok(result)
    }

    /// Takes the lease. A lease whose holder is certainly gone, or that has expired, is taken
    /// over with a higher fencing token; one whose holder may be alive never is.
    ///
    /// `prepare` sees the document before the lock is in it: it may fill in the lock, or refuse.
    pub fn acquire<T>(
        &self,
        claim: &Claim<'_>,
        prepare: impl FnOnce(&mut Document, &mut Lock) -> T,
    ) -> Result<(Lease, T), Error> {
        self.update(None, |document| {
            let now = Timestamp::now();
            if let Some(lock) = &document.lock
                && !is_free(lock, now)
            {
                return Err(Error::Held {
                    lock: Box::new(lock.clone()),
                });
            }
            document.last_token += 1;
            let token = document.last_token;
            let mut lock = Lock {
                holder: claim.holder.clone(),
                operation: claim.operation.to_owned(),
                destination: None,
                acquired: now,
                expires: after(now, claim.ttl),
                token,
            };
            let prepared = prepare(document, &mut lock);
            document.lock = Some(lock);
            Ok((Lease { token }, prepared))
        })
    }

    /// Proves that the lease is still held, and holds it for `ttl` from now. Asked before each act
    /// of a long operation: whoever lost the lease must not act any more.
    pub fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), Error> {
        self.update(Some(lease), |document| {
            if let Some(lock) = &mut document.lock {
                lock.expires = after(Timestamp::now(), ttl);
            }
            Ok(())
        })
    }

    /// Gives the lease back, with a last change in the same write.
    pub fn release(&self, lease: &Lease, change: impl FnOnce(&mut Document)) -> Result<(), Error> {
        self.update(Some(lease), |document| {
            change(document);
            document.lock = None;
            Ok(())
        })
    }

    fn lock_swap(&self) -> Result<File, Error> {
        let path = atomic::beside(&self.path, "lock");
        let write = |source| Error::Write {
            path: self.path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(write)?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if since.elapsed() < SWAP_TIME => pause(),
                Err(TryLockError::WouldBlock) => return Err(Error::Busy { path }),
                Err(TryLockError::Error(source)) => return Err(write(source)),
            }
        }
    }
}

fn after(now: Timestamp, ttl: Duration) -> Timestamp {
    let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
    now.checked_add(ttl).unwrap_or(Timestamp::MAX)
}

/// Whether a lease may be taken over.
pub fn is_free(lock: &Lock, now: Timestamp) -> bool {
    lock.expires <= now || lock.holder.is_gone()
}

/// Between two tries for the swap lock, which is held for milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the swap is blocking and short by design"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}
